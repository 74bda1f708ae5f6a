//! Whether a message comes from its source: signature schemes, rotation of secrets, and the tolerance for
//! the time of an attempt, measured by our own clock.

mod bearer;
mod standard_webhooks;
mod timestamped_hmac;

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

pub use bearer::Bearer;
pub use standard_webhooks::{StandardWebhooks, sign, sign_with_all};
pub use svix::webhooks::WebhookError as SigningError;
pub use timestamped_hmac::TimestampedHmac;

use crate::domain::Timestamp;

/// The longest message id, in bytes. Real ones have about thirty, and the journal's key has to store them.
pub const LONGEST_ID: usize = 256;

/// A value whose origin is proven: it comes from a configured source.
#[derive(Clone, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Marks a value as verified without a check: it was verified before it was journaled, or an operator supplied it.
    pub fn trusted(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A message as it was received.
#[derive(Clone, Debug)]
pub struct Message {
    /// The id in its headers, if the scheme has one there.
    pub id: Option<String>,
    /// The raw body.
    pub body: Vec<u8>,
}

/// A digest of a body, as 32 hexadecimal digits: equal bytes have equal digests.
pub fn digest(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body).get(..16).unwrap_or_default())
}

/// One way of proving where a message comes from.
pub trait Scheme: fmt::Debug + Send + Sync {
    /// Whether a message uses this scheme: it has one of the scheme's headers.
    fn is_used_by(&self, headers: &HeaderMap) -> bool;

    /// Checks a message and returns the id in its headers, if this scheme has one there.
    fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<String>, SignatureError>;

    /// The names of the checks that are made on a message, in order, as [`SignatureError::check`] returns them.
    fn checks(&self) -> &'static [&'static str];
}

/// Checks a message. Only a message that passes becomes a [`Verified`] one.
///
/// The first of the source's schemes that the message uses decides alone. If it uses none, the error is
/// that of the first scheme.
pub fn verify(
    schemes: &[Box<dyn Scheme>],
    headers: &HeaderMap,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<Verified<Message>, SignatureError> {
    let scheme = scheme_of(schemes, headers).ok_or(SignatureError::NoSecret)?;
    let id = scheme.check(headers, &body, now)?;
    Ok(Verified(Message { id, body }))
}

/// The names of the checks that [`verify`] makes on a message with these headers, in order.
pub fn checks(schemes: &[Box<dyn Scheme>], headers: &HeaderMap) -> &'static [&'static str] {
    scheme_of(schemes, headers).map_or(&["secret"], |scheme| scheme.checks())
}

fn scheme_of<'a>(schemes: &'a [Box<dyn Scheme>], headers: &HeaderMap) -> Option<&'a dyn Scheme> {
    let used = schemes.iter().find(|scheme| scheme.is_used_by(headers));
    used.or(schemes.first()).map(|scheme| &**scheme)
}

/// The one value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a HeaderValue, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(SignatureError::MissingHeader(name))?;
    if values.next().is_some() { Err(SignatureError::InvalidHeader(name)) } else { Ok(value) }
}

/// Whether one of these signatures is that of one of the keys, over these parts one after the other.
fn is_signed(keys: &[Hmac<Sha256>], parts: &[&[u8]], signatures: &[Vec<u8>]) -> bool {
    keys.iter().any(|key| {
        let signed = parts.iter().fold(key.clone(), Mac::chain_update);
        // In constant time.
        signatures.iter().any(|signature| signed.clone().verify_slice(signature).is_ok())
    })
}

/// A timestamp's number. The signature covers the characters of the header: `+1649367553` must not pass as
/// `1649367553`.
fn plain_number(header: &str) -> Result<i64, SignatureError> {
    let number: i64 = header.parse().map_err(|_| SignatureError::InvalidTimestamp)?;
    if number.to_string() == header { Ok(number) } else { Err(SignatureError::InvalidTimestamp) }
}

/// Whether the time of an attempt is within the tolerance, before or after.
fn within(tolerance: Duration, attempt: Timestamp, now: Timestamp) -> Result<(), SignatureError> {
    let age = now.as_micros().saturating_sub(attempt.as_micros());
    let off = Duration::from_micros(age.unsigned_abs());
    if off <= tolerance {
        return Ok(());
    }
    Err(SignatureError::OutsideTolerance {
        seconds: off.as_secs() + u64::from(off.subsec_nanos() > 0),
        direction: if age > 0 { "old" } else { "in the future" },
        tolerance: tolerance.as_secs(),
    })
}

/// The check that a message failed. The messages contain no secret and no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing, or is there only in the other family.
    #[error(
        "header `{0}` is missing; if there are several signature headers, all must begin with svix-, or all \
            with webhook-"
    )]
    MissingHeader(&'static str),
    /// A header is there twice, or is malformed.
    #[error("header `{0}` is malformed")]
    InvalidHeader(&'static str),
    /// The timestamp is not a plain number.
    #[error("the timestamp is not a plain number of seconds or milliseconds since 1970")]
    InvalidTimestamp,
    /// The timestamp is outside the tolerance.
    #[error("the timestamp is {seconds} s {direction}; at most {tolerance} s are allowed: check the clocks")]
    OutsideTolerance {
        /// How far off, in seconds.
        seconds: u64,
        /// `old` or `in the future`.
        direction: &'static str,
        /// How far off it may be in either direction, in seconds.
        tolerance: u64,
    },
    /// No secret of the source matches.
    #[error(
        "no secret of the source matches the signature: the secret belongs to another endpoint, or the body was changed \
         in transit"
    )]
    NoMatch,
    /// The source has no secret.
    #[error("the source has no webhook secret, so it accepts no delivery")]
    NoSecret,
    /// There is no `Authorization: Bearer …`, or more than one.
    #[error("the source requires exactly one `Authorization: Bearer <token>`")]
    NoBearerToken,
    /// The bearer token is not one of the source's.
    #[error("the bearer token is not one of the source's")]
    WrongBearerToken,
}

impl SignatureError {
    /// The name of every check, in the order in which they are made on a signed message.
    pub const CHECKS: [&str; 5] = ["headers", "timestamp", "tolerance", "secret", "signature"];

    /// The check that failed: one of [`Self::CHECKS`], or `bearer_token`.
    pub fn check(&self) -> &'static str {
        match self {
            Self::MissingHeader(_) | Self::InvalidHeader(_) => "headers",
            Self::InvalidTimestamp => "timestamp",
            Self::OutsideTolerance { .. } => "tolerance",
            Self::NoSecret => "secret",
            Self::NoMatch => "signature",
            Self::NoBearerToken | Self::WrongBearerToken => "bearer_token",
        }
    }
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use sha2::Sha256;

    use super::{Bearer, Scheme, SignatureError, StandardWebhooks, TimestampedHmac, sign, verify};
    use crate::domain::Timestamp;

    #[test]
    fn the_first_scheme_that_a_message_uses_decides_alone() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signature = || -> Box<dyn Scheme> { Box::new(StandardWebhooks::new([secret]).unwrap()) };
        let bearer = || -> Box<dyn Scheme> { Box::new(Bearer::new(["right"])) };
        let judged = |schemes: &[Box<dyn Scheme>], headers: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            verify(schemes, &headers, b"{}".to_vec(), Timestamp::EPOCH).map(|message| message.into_inner().id)
        };
        let both = [signature(), bearer()];
        let right = ("authorization", "Bearer right");
        assert_eq!(judged(&both, &[right]), Ok(None));
        assert_eq!(
            judged(&both, &[("authorization", "Bearer wrong")]),
            Err(SignatureError::WrongBearerToken)
        );
        let half_signed = [right, ("svix-id", "msg_1")];
        assert_eq!(judged(&both, &half_signed), Err(SignatureError::MissingHeader("svix-timestamp")));
        let wrongly_signed = [
            right,
            ("svix-id", "msg_1"),
            ("svix-timestamp", "0"),
            ("svix-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ];
        assert_eq!(judged(&both, &wrongly_signed), Err(SignatureError::NoMatch));
        assert_eq!(judged(&both, &[]), Err(SignatureError::MissingHeader("webhook-id")));
        assert_eq!(judged(&[bearer()], &half_signed), Ok(None));
        assert_eq!(judged(&[bearer()], &[]), Err(SignatureError::NoBearerToken));
        assert_eq!(judged(&[], &[right]), Err(SignatureError::NoSecret));
    }

    type Headers = Vec<(&'static str, String)>;

    /// Each scheme, with the headers of a message that passes.
    fn signed() -> [(Box<dyn Scheme>, Headers); 3] {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signature = sign(secret, "msg_1", Timestamp::EPOCH, b"{}").unwrap();
        let mut hmac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
        hmac.update(b"0.{}");
        let hmac = hex::encode(hmac.finalize().into_bytes());
        [
            (
                Box::new(StandardWebhooks::new([secret]).unwrap()),
                vec![
                    ("svix-id", "msg_1".to_owned()),
                    ("svix-timestamp", "0".to_owned()),
                    ("svix-signature", signature),
                ],
            ),
            (
                Box::new(TimestampedHmac::new("workos-signature", ["secret"])),
                vec![("workos-signature", format!("t=0, v1={hmac}"))],
            ),
            (Box::new(Bearer::new(["right"])), vec![("authorization", "Bearer right".to_owned())]),
        ]
    }

    proptest! {
        /// A changed header can still pass, for example with a space more. It never panics, the check that it fails
        /// has a known name, and a changed body never passes.
        #[test]
        fn no_header_panics_a_scheme_and_every_refusal_names_a_known_check(
            at in any::<Index>(), place in any::<Index>(), bytes in vec(any::<u8>(), 0..6), body in vec(any::<u8>(), 0..9),
        ) {
            for (scheme, headers) in signed() {
                let mut map = HeaderMap::new();
                let changed = at.index(headers.len());
                for (index, (name, value)) in headers.into_iter().enumerate() {
                    let mut value = value.into_bytes();
                    if index == changed {
                        let start = place.index(value.len() + 1);
                        value.splice(start..start, bytes.iter().copied());
                    }
                    if let Ok(value) = HeaderValue::from_bytes(&value) {
                        map.insert(HeaderName::from_static(name), value);
                    }
                }
                let known = scheme.checks();
                for body in [b"{}", &body[..]] {
                    match scheme.check(&map, body, Timestamp::EPOCH) {
                        Ok(_) => prop_assert!(body == b"{}" || known == ["bearer_token"], "a changed body passes"),
                        Err(error) => prop_assert!(known.contains(&error.check()), "{}", error),
                    }
                }
            }
        }
    }
}
