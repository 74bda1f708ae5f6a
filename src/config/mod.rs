//! Typed configuration.

use std::time::Duration;

use url::Url;

/// `[tokens]`: what holds for the rules of every source.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// A key that left the JWKS is refused after this at the latest.
    pub jwks_ttl: Duration,
    /// Least time between two fetches caused by unknown kids.
    pub jwks_cooldown: Duration,
    /// Longest time for one fetch.
    pub fetch_timeout: Duration,
    /// Tolerance for clocks that differ.
    pub leeway: Duration,
    /// Whether `http://` is allowed for more than loopback hosts.
    pub allow_http: bool,
}

/// `[[sources.tokens]]`: what a source's tokens look like.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRule {
    /// The rule's type, with what only it needs.
    pub kind: RuleKind,
    /// Must be in `aud`; `None` leaves `aud` unchecked.
    pub application_id: Option<String>,
    /// `azp` must be one of these; empty leaves `azp` unchecked.
    pub authorized_parties: Vec<String>,
}

/// `type` of a token rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleKind {
    /// An OpenID Connect provider, whose keys are discovered.
    Oidc {
        /// The issuer.
        domain: Url,
        /// The accepted algorithms.
        algorithms: Vec<Algorithm>,
    },
    /// Any issuer of JSON Web Tokens.
    CustomJwt {
        /// The issuer.
        issuer: String,
        /// Where its keys are.
        jwks: JwksLocation,
        /// The one accepted algorithm.
        algorithm: Algorithm,
    },
}

/// Where a JSON Web Key Set is.
#[derive(Clone, Debug, PartialEq)]
pub enum JwksLocation {
    /// To be fetched.
    Url(Url),
    /// The set itself, as JSON.
    Inline(String),
}

/// A signature algorithm.
#[derive(Clone, Debug, PartialEq)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    Rs256,
    /// ECDSA on P-256, SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}
