//! Why a token is refused, why keys could not be fetched, and why no authenticator could be made.

use std::time::Duration;

use reqwest::StatusCode;
use strum::VariantNames;

use crate::content_coding::CodingError;
use crate::domain::Timestamp;

/// How much of a string that a token or a provider chose is repeated in a message, in characters.
const LONGEST_EXCERPT: usize = 100;

/// The checks, in the order in which a token meets them. Their names are part of the contract: `explain`
/// prints them, and the log has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
enum Check {
    Form,
    Issuer,
    Audience,
    Algorithm,
    CriticalExtensions,
    KeyId,
    Keys,
    Key,
    Signature,
    Expiry,
    NotBefore,
    IssuedAt,
    AuthorizedParty,
    Session,
    Subject,
}

/// The first check that a token failed.
///
/// The message contains what was expected and what was found, for the log and for `explain`. It may name the
/// issuer, the audience, the authorised party, a key id or a time, never the token or anything about its
/// user.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// Not a JSON Web Token of three parts, or longer than any real one.
    #[error("it is not a signed JSON Web Token: {0}")]
    Malformed(&'static str),
    /// `iss` is absent or not a string.
    #[error("it has no `iss`, so no rule can be picked")]
    NoIssuer,
    /// No rule has this issuer.
    #[error("no token rule has the issuer {found:?}")]
    ForeignIssuer {
        /// `iss` of the token.
        found: String,
    },
    /// Rules have this issuer, but none of them has an application id that is in `aud`.
    #[error("`aud` must contain {}, but is {found:?}", either(.expected))]
    WrongAudience {
        /// The application ids of the rules with this issuer.
        expected: Vec<String>,
        /// `aud` of the token; empty when absent.
        found: Vec<String>,
    },
    /// `alg` is not one of the rule's algorithms.
    #[error("its algorithm must be {}, but is {found:?}", either(.expected))]
    WrongAlgorithm {
        /// The rule's algorithms.
        expected: Vec<String>,
        /// `alg` of the header.
        found: String,
    },
    /// The header has `crit`: extensions that must be understood, and we support none.
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
    /// Without a `kid`, more than one key has the algorithm.
    #[error("its header has no `kid`, and {matching} keys have its algorithm")]
    AmbiguousKey {
        /// How many keys have it.
        matching: usize,
    },
    /// No key set could be fetched, now or before: the token may be good.
    #[error("the keys of the issuer could not be fetched: {why}")]
    KeysUnavailable {
        /// What went wrong at the last attempt.
        why: FetchError,
    },
    /// The signature does not match the key.
    #[error("its signature does not match the issuer's key")]
    WrongSignature,
    /// A required time is absent.
    #[error("it has no `{claim}`, which is required")]
    NoTime {
        /// `exp` or `iat`.
        claim: &'static str,
    },
    /// A time is not a number of seconds since 1970.
    #[error("its `{claim}` is not a number of seconds since 1970")]
    NotATime {
        /// `exp`, `nbf` or `iat`.
        claim: &'static str,
    },
    /// `exp` has passed, leeway included.
    #[error("it expired at {at}; the time is now {now}")]
    Expired {
        /// `exp`.
        at: Timestamp,
        /// When it was checked.
        now: Timestamp,
    },
    /// `nbf` is in the future, leeway included.
    #[error("it is not valid before {from}; the time is now {now}")]
    NotYetValid {
        /// `nbf`.
        from: Timestamp,
        /// When it was checked.
        now: Timestamp,
    },
    /// `iat` is in the future, leeway included.
    #[error("it was issued at {at}, which is in the future: the time is now {now}")]
    IssuedInTheFuture {
        /// `iat`.
        at: Timestamp,
        /// When it was checked.
        now: Timestamp,
    },
    /// `azp` is not one of the rule's authorised parties.
    #[error("its `azp` must be {}, but is {}", either(.expected), found.as_deref().unwrap_or("absent"))]
    WrongParty {
        /// The rule's authorised parties.
        expected: Vec<String>,
        /// `azp` of the token, if it has one.
        found: Option<String>,
    },
    /// The session is not complete: a second factor or the choice of an organisation is missing.
    #[error("its session is pending (`sts`): a required task is not completed yet")]
    PendingSession,
    /// `sub` is absent, empty, not a string, or not a possible user id.
    #[error("it has no usable `sub`: absent, empty, or not a possible user id")]
    NoSubject,
}

impl TokenError {
    /// The name of every check, in the order in which a token meets them.
    pub const CHECKS: &[&str] = Check::VARIANTS;

    /// The name of the check that failed, one of [`Self::CHECKS`].
    pub fn check(&self) -> &'static str {
        match self {
            Self::Malformed(_) => Check::Form,
            Self::NoIssuer | Self::ForeignIssuer { .. } => Check::Issuer,
            Self::WrongAudience { .. } => Check::Audience,
            Self::WrongAlgorithm { .. } => Check::Algorithm,
            Self::CriticalExtension => Check::CriticalExtensions,
            Self::NoKeyId => Check::KeyId,
            Self::KeysUnavailable { .. } => Check::Keys,
            Self::UnknownKey { .. } | Self::AmbiguousKey { .. } => Check::Key,
            Self::WrongSignature => Check::Signature,
            Self::Expired { .. } => Check::Expiry,
            Self::NotYetValid { .. } => Check::NotBefore,
            Self::IssuedInTheFuture { .. } => Check::IssuedAt,
            Self::NoTime { claim } | Self::NotATime { claim } => match *claim {
                "exp" => Check::Expiry,
                "nbf" => Check::NotBefore,
                _ => Check::IssuedAt,
            },
            Self::WrongParty { .. } => Check::AuthorizedParty,
            Self::PendingSession => Check::Session,
            Self::NoSubject => Check::Subject,
        }
        .into()
    }
}

/// Why no key set could be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The address is neither `https` nor on this machine; its scheme and host.
    #[error("{0} is neither https nor on a loopback host")]
    NotSecure(String),
    /// `fetch_timeout` passed.
    #[error("no answer within {0:?}")]
    TooSlow(Duration),
    /// More bytes than any real key set has; the limit.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Neither the document nor a redirect to it.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// No connection, or none that could be trusted.
    #[error("{0}")]
    Transport(String),
    /// Its content coding is unknown, or the body does not have it; the coding or the problem.
    #[error("the answer has a content coding that cannot be decoded: {0}")]
    Encoded(String),
    /// Usually a page for people.
    #[error("the answer is not JSON")]
    NotJson,
    /// JSON without a list of `keys`.
    #[error("the answer is not a key set")]
    NoKeySet,
    /// The discovery document does not contain the address of the keys.
    #[error("the discovery document has no usable `jwks_uri`")]
    NoJwksUri,
    /// The discovery document names another issuer than the configured domain.
    #[error("the discovery document names another issuer ({found:?}) than {domain}")]
    ForeignIssuer {
        /// The configured domain.
        domain: String,
        /// `issuer` of the document; empty when absent.
        found: String,
        /// Where this machine can probably fetch the keys.
        jwks: Option<String>,
    },
    /// The discovery document is right, but the address of the keys that it names does not give them.
    #[error("{url}: {why}")]
    AtJwksUri {
        /// That address, without its query.
        url: String,
        /// What is wrong there.
        why: Box<Self>,
    },
    /// The fetch ended without a result, as when the program stops.
    #[error("the fetch was interrupted")]
    Interrupted,
}

impl From<CodingError> for FetchError {
    fn from(error: CodingError) -> Self {
        match error {
            CodingError::Undecodable(what) => Self::Encoded(what),
            CodingError::TooLarge(limit) => Self::TooLarge(limit),
        }
    }
}

/// Why no authenticator could be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The keys written in the configuration are not a key set.
    #[error("the `jwks` of a token rule of source {source_name:?} is not a JSON Web Key Set")]
    InlineKeys {
        /// The source's name.
        source_name: String,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client for fetching keys could not be created")]
    Client(#[from] reqwest::Error),
}

/// The beginning of a string that a token or a provider chose: it may be long.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(LONGEST_EXCERPT).collect()
}

fn and_kid(kid: Option<&str>) -> String {
    kid.map(|kid| format!(" and the `kid` {kid:?}")).unwrap_or_default()
}

fn either(expected: &[String]) -> String {
    expected.join(" or ")
}
