//! Svix and Standard Webhooks: HMAC-SHA256 over `{id}.{timestamp}.{body}`, in `svix-*` or `webhook-*`
//! headers. Source: the specification of Standard Webhooks and the `svix` crate.
//!
//! The `svix` crate signs. Its check is not used, because its SHA-256 is slow
//! (`docs/decisions/0023-signatures-are-checked-without-the-svix-crate.md`).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit};
use http::HeaderMap;
use sha2::Sha256;
use svix::webhooks::{Webhook, WebhookError};

use super::{LONGEST_ID, Scheme, SignatureError, is_signed, only, plain_number, within};
use crate::domain::Timestamp;

/// In both directions, as in Svix's own libraries.
const TOLERANCE: Duration = Duration::from_mins(5);

/// The names of the headers: id, timestamp, signature.
type Family = [&'static str; 3];
const SVIX: Family = ["svix-id", "svix-timestamp", "svix-signature"];
const STANDARD: Family = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// The scheme with the secrets of one source. Any of them is accepted, so that a secret can be rotated.
pub struct StandardWebhooks {
    keys: Vec<Hmac<Sha256>>,
}

impl StandardWebhooks {
    /// A scheme with these secrets, of the form `whsec_<base64>` or plain base64.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Result<Self, WebhookError> {
        Ok(Self { keys: secrets.into_iter().map(key).collect::<Result<_, _>>()? })
    }
}

impl fmt::Debug for StandardWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandardWebhooks({} secrets)", self.keys.len())
    }
}

impl Scheme for StandardWebhooks {
    fn is_used_by(&self, headers: &HeaderMap) -> bool {
        SVIX.iter().chain(&STANDARD).any(|name| headers.contains_key(*name))
    }

    fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<String>, SignatureError> {
        let family = if SVIX.iter().any(|name| headers.contains_key(*name)) { SVIX } else { STANDARD };
        let [id, timestamp, signature] = family;
        let id_value = string_of(headers, id)?;
        let timestamp_value = string_of(headers, timestamp)?;
        let signature_value = string_of(headers, signature)?;
        if id_value.is_empty() || id_value.len() > LONGEST_ID {
            return Err(SignatureError::InvalidHeader(id));
        }
        let attempt = Timestamp::from_seconds(plain_number(timestamp_value)?);
        within(TOLERANCE, attempt, Timestamp::from_seconds(now.as_seconds()))?;

        let parts = [id_value.as_bytes(), b".", timestamp_value.as_bytes(), b".", body];
        let is_right = is_signed(&self.keys, &parts, &signatures_in(signature_value));
        is_right.then(|| Some(id_value.to_owned())).ok_or(SignatureError::NoMatch)
    }

    fn checks(&self) -> &'static [&'static str] {
        &SignatureError::CHECKS
    }
}

/// The key of a secret of the form `whsec_<base64>` or plain base64, under the rules of the `svix` crate.
fn key(secret: &str) -> Result<Hmac<Sha256>, WebhookError> {
    let bytes = BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret))?;
    if bytes.is_empty() {
        return Err(WebhookError::EmptySecret);
    }
    // HMAC accepts a key of any length, so this never fails.
    Hmac::new_from_slice(&bytes).map_err(|_| WebhookError::EmptySecret)
}

/// The signatures of version 1, `v1,<base64>`, separated by spaces; everything else is skipped. Supabase joins
/// several with a comma and a space, neither of which can be part of a signature.
fn signatures_in(header: &str) -> Vec<Vec<u8>> {
    let versions = header.split(' ').map(|one| one.strip_suffix(',').unwrap_or(one));
    versions.filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok()).collect()
}

/// Signs a message as Svix does and returns the value of the `svix-signature` header. For `usersync send` and
/// for tests.
pub fn sign(secret: &str, id: &str, timestamp: Timestamp, body: &[u8]) -> Result<String, WebhookError> {
    Webhook::new(secret)?.sign(id, timestamp.as_seconds(), body)
}

/// Signs a message with each secret and returns the value of the `webhook-signature` header: any one of them may be the
/// one that the receiver knows.
pub fn sign_with_all<'a>(
    secrets: impl IntoIterator<Item = &'a str>,
    id: &str,
    timestamp: Timestamp,
    body: &[u8],
) -> Result<String, WebhookError> {
    let signatures = secrets.into_iter().map(|secret| sign(secret, id, timestamp, body));
    Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
}

fn string_of<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, SignatureError> {
    only(headers, name)?.to_str().map_err(|_| SignatureError::InvalidHeader(name))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;
    use svix::webhooks::Webhook;

    use super::{Scheme, SignatureError, StandardWebhooks, sign};
    use crate::domain::Timestamp;

    /// Published by Svix and by Standard Webhooks in the tests of their libraries.
    const VECTORS: [(&str, &str, i64, &str, &str); 3] = [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1_731_705_121,
            r#"{"event_type":"ping","data":{"success":true}}"#,
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ];

    fn headers(family: &str, id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        [("id", id), ("timestamp", timestamp), ("signature", signature)]
            .into_iter()
            .map(|(name, value)| {
                let name = HeaderName::try_from(format!("{family}-{name}")).unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn check(
        secrets: &[&str],
        timestamp: &str,
        signature: &str,
        body: &str,
        now: i64,
    ) -> Result<Option<String>, SignatureError> {
        let scheme = StandardWebhooks::new(secrets.iter().copied()).unwrap();
        let headers = headers("svix", "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp, signature);
        scheme.check(&headers, body.as_bytes(), Timestamp::from_seconds(now))
    }

    #[test]
    fn the_published_vectors_pass_in_both_header_families_and_are_what_we_sign() {
        for (secret, id, seconds, body, signature) in VECTORS {
            let now = Timestamp::from_seconds(seconds);
            let scheme = StandardWebhooks::new([secret]).unwrap();
            for family in ["svix", "webhook"] {
                let headers = headers(family, id, &seconds.to_string(), signature);
                assert_eq!(scheme.check(&headers, body.as_bytes(), now), Ok(Some(id.to_owned())));
            }
            assert_eq!(sign(secret, id, now, body.as_bytes()).unwrap(), signature);
        }
    }

    #[test]
    fn any_of_several_secrets_and_any_of_several_signatures_passes() {
        let [_, (secret, _, seconds, body, signature), (other, ..)] = VECTORS;
        let timestamp = seconds.to_string();
        assert!(check(&[other, secret], &timestamp, signature, body, seconds).is_ok());
        let several = format!("v1a,xyz v1,AAAA {signature}");
        assert!(check(&[secret], &timestamp, &several, body, seconds).is_ok());
        assert_eq!(check(&[other], &timestamp, signature, body, seconds), Err(SignatureError::NoMatch));
        assert_eq!(check(&[], &timestamp, signature, body, seconds), Err(SignatureError::NoMatch));
        for joined in [format!("v1,AAAA, {signature}"), format!("{signature}, v1,AAAA")] {
            assert!(check(&[secret], &timestamp, &joined, body, seconds).is_ok(), "as Supabase joins them");
        }
    }

    #[test]
    fn an_attempt_may_be_five_minutes_off_in_either_direction_and_not_a_second_more() {
        let [_, (secret, _, seconds, body, signature), _] = VECTORS;
        let at = |now| check(&[secret], &seconds.to_string(), signature, body, now);
        assert!(at(seconds + 300).is_ok() && at(seconds - 300).is_ok());
        for (now, direction) in [(seconds + 301, "old"), (seconds - 301, "in the future")] {
            let outside = SignatureError::OutsideTolerance { seconds: 301, direction, tolerance: 300 };
            assert_eq!(at(now), Err(outside));
        }
    }

    #[test]
    fn a_timestamp_written_in_another_way_is_refused() {
        let [_, (secret, _, seconds, body, signature), _] = VECTORS;
        for spelling in ["+1614265330", "01614265330", "1614265330.0", "soon", "99999999999999999999"] {
            let refused = check(&[secret], spelling, signature, body, seconds);
            assert_eq!(refused, Err(SignatureError::InvalidTimestamp), "{spelling}");
        }
        let refused = check(&[secret], &i64::MIN.to_string(), signature, body, seconds);
        assert!(matches!(refused, Err(SignatureError::OutsideTolerance { .. })));
    }

    #[test]
    fn the_first_of_several_failing_checks_is_reported() {
        let [_, (_, id, seconds, body, _), (other, ..)] = VECTORS;
        let now = Timestamp::from_seconds(seconds + 301);
        let named = |secrets: &[&str], headers: &HeaderMap, now| {
            let scheme = StandardWebhooks::new(secrets.iter().copied()).unwrap();
            scheme.check(headers, body.as_bytes(), now).unwrap_err().check()
        };
        let wrong = headers("svix", id, &seconds.to_string(), "v1,AAAA");
        let soon = headers("svix", id, "soon", "v1,AAAA");
        let mut without = soon.clone();
        without.remove("svix-id");
        let in_time = Timestamp::from_seconds(seconds);
        let failing = [
            named(&[other], &without, now),
            named(&[other], &soon, now),
            named(&[other], &wrong, now),
            SignatureError::NoSecret.check(),
            named(&[other], &wrong, in_time),
        ];
        assert_eq!(failing, SignatureError::CHECKS, "a source without a secret has no scheme to ask");
    }

    /// What a header of signatures may consist of; `SIGNATURE` stands for the right one.
    fn parts_of_a_header() -> impl Strategy<Value = Vec<String>> {
        let right = "SIGNATURE".to_owned();
        let parts = prop_oneof![
            Just(format!("v1,{right}")),
            Just(format!("v1a,{right}")),
            Just(format!("v1,{right}A")),
            Just(format!("v1,{right}=")),
            Just(format!("v2,{right}")),
            Just(right),
            "v1,[a-zA-Z0-9+/]{43}=",
            "[ -~]{0,50}",
        ];
        prop::collection::vec(parts, 0..4)
    }

    proptest! {
        #[test]
        fn the_svix_crate_agrees_with_every_verdict(
            secret in "(whsec_)?([a-zA-Z0-9+/]{4}){6,20}",
            id in "[!-~]{1,40}",
            seconds in 0_i64..4_000_000_000,
            body in "\\PC{0,300}",
            other_body in "\\PC{0,3}",
            parts in parts_of_a_header(),
        ) {
            let now = Timestamp::from_seconds(seconds);
            let right = sign(&secret, &id, now, body.as_bytes()).unwrap();
            let header = parts.join(" ").replace("SIGNATURE", &right["v1,".len()..]);
            let headers = headers("webhook", &id, &seconds.to_string(), &header);
            let (ours, theirs) = (StandardWebhooks::new([&*secret]).unwrap(), Webhook::new(&secret).unwrap());
            for body in [&body, &other_body] {
                prop_assert_eq!(
                    ours.check(&headers, body.as_bytes(), now).is_ok(),
                    theirs.verify_ignoring_timestamp(body.as_bytes(), &headers).is_ok()
                );
            }
        }

        #[test]
        fn the_svix_crate_agrees_on_what_a_secret_is(secret in "(whsec_)?[a-zA-Z0-9+/=_-]{0,12}") {
            prop_assert_eq!(StandardWebhooks::new([&*secret]).is_ok(), Webhook::new(&secret).is_ok());
        }
    }

    #[test]
    fn headers_must_be_of_one_family_and_appear_once() {
        let [_, (secret, id, seconds, body, signature), _] = VECTORS;
        let scheme = StandardWebhooks::new([secret]).unwrap();
        let now = Timestamp::from_seconds(seconds);
        let check = |headers: &HeaderMap| scheme.check(headers, body.as_bytes(), now);

        let mut mixed = headers("webhook", id, &seconds.to_string(), signature);
        let moved = mixed.remove("webhook-id").unwrap();
        mixed.insert("svix-id", moved);
        assert_eq!(check(&mixed), Err(SignatureError::MissingHeader("svix-timestamp")));
        assert_eq!(check(&HeaderMap::new()), Err(SignatureError::MissingHeader("webhook-id")));

        let mut twice = headers("svix", id, &seconds.to_string(), signature);
        twice.append("svix-id", HeaderValue::from_static("msg_other"));
        assert_eq!(check(&twice), Err(SignatureError::InvalidHeader("svix-id")));
        let long = headers("svix", &"m".repeat(257), &seconds.to_string(), signature);
        assert_eq!(check(&long), Err(SignatureError::InvalidHeader("svix-id")));
    }
}
