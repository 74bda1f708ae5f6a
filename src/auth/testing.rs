//! Keys, tokens and rules for the tests of this module.

mod mutation;
mod provider;
mod signer;

use std::time::Duration;

use serde_json::json;

use crate::config::{Algorithm, JwksLocation, RuleKind, TokenRule, Tokens};

pub(super) use self::mutation::mutated;
pub(super) use self::provider::{Page, Provider, key_set};
pub(super) use self::signer::{Signer, base64url, ed25519, p256, rsa};

/// The time at which all tests begin: 2026-01-01T12:00:00Z.
pub(super) const NOW: i64 = 1_767_268_800;

/// The default `[tokens]`.
pub(super) fn settings() -> Tokens {
    Tokens {
        jwks_ttl: Duration::from_mins(10),
        jwks_cooldown: Duration::from_secs(30),
        fetch_timeout: Duration::from_secs(3),
        leeway: Duration::from_secs(5),
        allow_http: false,
    }
}

/// An oidc rule with the default algorithms.
pub(super) fn oidc(domain: &str, application_id: Option<&str>) -> TokenRule {
    let algorithms = vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
    rule(RuleKind::Oidc { domain: domain.parse().unwrap(), algorithms }, application_id)
}

/// A customJwt rule for RS256, with no keys.
pub(super) fn custom_jwt(issuer: &str, application_id: Option<&str>) -> TokenRule {
    custom_jwt_with(issuer, application_id, JwksLocation::Inline(json!({"keys": []}).to_string()))
}

/// A customJwt rule for RS256.
pub(super) fn custom_jwt_with(issuer: &str, application_id: Option<&str>, jwks: JwksLocation) -> TokenRule {
    rule(RuleKind::CustomJwt { issuer: issuer.to_owned(), jwks, algorithm: Algorithm::Rs256 }, application_id)
}

fn rule(kind: RuleKind, application_id: Option<&str>) -> TokenRule {
    TokenRule {
        kind,
        application_id: application_id.map(str::to_owned),
        authorized_parties: Vec::new(),
        allow_pending_sessions: false,
        subject_separator: None,
    }
}
