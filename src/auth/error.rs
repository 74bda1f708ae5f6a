//! Why a token is refused: one variant for each way to fail a check.

use super::keys::FetchError;
use crate::domain::Timestamp;

/// The longest part of a token's own text that an explanation repeats, in characters.
const LONGEST_EXCERPT: usize = 100;

/// The first check that a token failed.
///
/// The message says what was expected and what was found, for the log and for `explain`. It may name the
/// issuer, the audience, the authorised party, a key id or a time, never the token or anything about its
/// bearer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// Not a JSON Web Token of three parts, or longer than any real one.
    #[error("it is no signed JSON Web Token: {0}")]
    Malformed(&'static str),
    /// `iss` is absent or no text.
    #[error("it has no `iss`, so no rule can be picked")]
    NoIssuer,
    /// No rule has this issuer.
    #[error("no token rule has the issuer {found:?}")]
    ForeignIssuer {
        /// `iss` of the token.
        found: String,
    },
    /// Rules have this issuer, but none an application id that is in `aud`.
    #[error("`aud` must contain {}, but is {found:?}", either(.expected))]
    WrongAudience {
        /// The application ids of the rules with this issuer.
        expected: Vec<String>,
        /// `aud` of the token; empty when absent.
        found: Vec<String>,
    },
    /// `alg` is none of the rule's algorithms.
    #[error("its algorithm must be {}, but is {found:?}", either(.expected))]
    WrongAlgorithm {
        /// The rule's algorithms.
        expected: Vec<String>,
        /// `alg` of the header.
        found: String,
    },
    /// The header has `crit`: extensions that must be understood, and none is.
    #[error("its header has `crit`, and no critical extension is supported")]
    CriticalExtension,
    /// A customJwt token without `kid`.
    #[error("its header has no `kid`, which a customJwt rule requires")]
    NoKeyId,
    /// No key of the rule has this `kid` and algorithm.
    #[error("none of the issuer's {known} usable keys has the algorithm{}", and_kid(.kid.as_deref()))]
    UnknownKey {
        /// `kid` of the header, if it has one.
        kid: Option<String>,
        /// How many keys the rule has.
        known: usize,
    },
    /// Without a `kid`, more than one key fits the algorithm.
    #[error("its header has no `kid`, and {fitting} keys have its algorithm")]
    AmbiguousKey {
        /// How many keys fit.
        fitting: usize,
    },
    /// No key could be fetched, now or before: the token may well be good.
    #[error("no keys could be had from the issuer: {why}")]
    KeysUnavailable {
        /// What went wrong at the last attempt.
        why: FetchError,
    },
    /// The signature does not fit the key.
    #[error("its signature does not fit the issuer's key")]
    WrongSignature,
    /// A required time is absent.
    #[error("it has no `{claim}`, which is required")]
    NoTime {
        /// `exp` or `iat`.
        claim: &'static str,
    },
    /// A time is no number of seconds since 1970.
    #[error("its `{claim}` is no number of seconds since 1970")]
    NotATime {
        /// `exp`, `nbf` or `iat`.
        claim: &'static str,
    },
    /// `exp` has passed, leeway included.
    #[error("it expired at {at}, and it is {now}")]
    Expired {
        /// `exp`.
        at: Timestamp,
        /// When it was checked.
        now: Timestamp,
    },
    /// `nbf` is still to come, leeway included.
    #[error("it is not valid before {from}, and it is {now}")]
    NotYetValid {
        /// `nbf`.
        from: Timestamp,
        /// When it was checked.
        now: Timestamp,
    },
    /// `iat` is still to come, leeway included.
    #[error("it says to be issued at {at}, and it is {now}")]
    IssuedInTheFuture {
        /// `iat`.
        at: Timestamp,
        /// When it was checked.
        now: Timestamp,
    },
    /// `azp` is none of the rule's authorised parties.
    #[error("its `azp` must be {}, but is {}", either(.expected), found.as_deref().unwrap_or("absent"))]
    WrongParty {
        /// The rule's authorised parties.
        expected: Vec<String>,
        /// `azp` of the token, if it has one.
        found: Option<String>,
    },
    /// The session still has something to do, such as a second factor or choosing an organisation.
    #[error("its session is pending (`sts`): a task after signing in is not done yet")]
    PendingSession,
    /// `sub` is absent, empty, no text, or no id that a user could have.
    #[error("it has no `sub`, or one that is empty or nobody's")]
    NoSubject,
}

impl TokenError {
    /// Every check's name, in the order in which a token meets them.
    pub const CHECKS: [&str; 15] = [
        "form",
        "issuer",
        "audience",
        "algorithm",
        "critical_extensions",
        "key_id",
        "keys",
        "key",
        "signature",
        "expiry",
        "not_before",
        "issued_at",
        "authorized_party",
        "session",
        "subject",
    ];

    /// The check that failed, one of [`Self::CHECKS`].
    pub fn check(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "form",
            Self::NoIssuer | Self::ForeignIssuer { .. } => "issuer",
            Self::WrongAudience { .. } => "audience",
            Self::WrongAlgorithm { .. } => "algorithm",
            Self::CriticalExtension => "critical_extensions",
            Self::NoKeyId => "key_id",
            Self::KeysUnavailable { .. } => "keys",
            Self::UnknownKey { .. } | Self::AmbiguousKey { .. } => "key",
            Self::WrongSignature => "signature",
            Self::Expired { .. } => "expiry",
            Self::NotYetValid { .. } => "not_before",
            Self::IssuedInTheFuture { .. } => "issued_at",
            Self::NoTime { claim } | Self::NotATime { claim } => match *claim {
                "exp" => "expiry",
                "nbf" => "not_before",
                _ => "issued_at",
            },
            Self::WrongParty { .. } => "authorized_party",
            Self::PendingSession => "session",
            Self::NoSubject => "subject",
        }
    }
}

/// The beginning of a text that the token chose itself: it may be long.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(LONGEST_EXCERPT).collect()
}

fn and_kid(kid: Option<&str>) -> String {
    kid.map(|kid| format!(" and the `kid` {kid:?}")).unwrap_or_default()
}

fn either(expected: &[String]) -> String {
    expected.join(" or ")
}
