//! Whether a message comes from whom it says: signature schemes, rotation of secrets, tolerance by our own clock.

mod standard_webhooks;

use std::fmt;

use http::HeaderMap;

pub use standard_webhooks::{StandardWebhooks, sign};

use crate::domain::Timestamp;

/// Something that a source vouches for.
#[derive(Clone, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Takes over what was verified when it was journaled, or what an operator gives by hand: no sender is behind it.
    pub fn vouched(value: T) -> Self {
        Self(value)
    }

    /// What was vouched for.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A message as it came over the wire.
#[derive(Clone, Debug)]
pub struct Message {
    /// The id in its headers, where the scheme has one there.
    pub id: Option<String>,
    /// The raw body.
    pub body: Vec<u8>,
}

/// One way of vouching for a message.
pub trait Scheme: fmt::Debug + Send + Sync {
    /// Checks a message and gives the id that its headers carry, if this scheme has one there.
    fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<String>, SignatureError>;

    /// The names of the checks that a message with these headers meets, in order: of [`SignatureError::CHECKS`].
    fn checks(&self, headers: &HeaderMap) -> &'static [&'static str];
}

/// Checks a message by a scheme; any failure leaves nothing to work with.
pub fn verify(
    scheme: &dyn Scheme,
    headers: &HeaderMap,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<Verified<Message>, SignatureError> {
    let id = scheme.check(headers, &body, now)?;
    Ok(Verified(Message { id, body }))
}

/// The check that a message failed. The texts carry no secret and no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is not there, or only in the other family.
    #[error(
        "header `{0}` is missing; id, timestamp and signature must be of one family (svix-* or webhook-*)"
    )]
    MissingHeader(&'static str),
    /// A header is there twice, or no visible ASCII, or too long.
    #[error("header `{0}` is malformed")]
    InvalidHeader(&'static str),
    /// The timestamp is no plain number of seconds.
    #[error("the timestamp is not a plain number of seconds since 1970")]
    InvalidTimestamp,
    /// The timestamp is outside the tolerance.
    #[error("the timestamp is {seconds} s {direction}; {tolerance} s are tolerated: check the clocks")]
    OutsideTolerance {
        /// How far off.
        seconds: u64,
        /// `old` or `in the future`.
        direction: &'static str,
        /// What is tolerated both ways.
        tolerance: u64,
    },
    /// No secret of the source fits.
    #[error(
        "no secret of the source fits the signature: the secret is another endpoint's, or the body was changed on its way"
    )]
    NoMatch,
    /// The source has no secret.
    #[error("the source has no webhook secret, so it accepts no delivery")]
    NoSecret,
}

impl SignatureError {
    /// Every check's name, in the order in which a signed message meets them.
    pub const CHECKS: [&str; 5] = ["headers", "timestamp", "tolerance", "secret", "signature"];

    /// The check that failed, one of [`Self::CHECKS`].
    pub fn check(&self) -> &'static str {
        match self {
            Self::MissingHeader(_) | Self::InvalidHeader(_) => "headers",
            Self::InvalidTimestamp => "timestamp",
            Self::OutsideTolerance { .. } => "tolerance",
            Self::NoSecret => "secret",
            Self::NoMatch => "signature",
        }
    }
}
