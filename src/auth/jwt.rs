//! The rules for one token, given its keys and the time: no socket, no clock.
//!
//! [`verify`] is the law of tokens from top to bottom. `jsonwebtoken` only does the mathematics: its own
//! validation reads the system clock, lets an absent `iss` or `aud` pass and never looks at `iat`, `azp` and
//! `crit`.

use std::slice;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::Authenticated;
use super::error::{TokenError, excerpt};
use super::keys::KeySet;
use super::rule::{Rule, pick};
use crate::domain::{Identity, Timestamp, TokenKind, UserKey};

/// The longest token that is looked at, in bytes: real ones have a few kilobytes, for they travel in a
/// header.
const LONGEST: usize = 16 * 1024;

/// 9999-12-31T23:59:59Z in seconds since 1970.
const LAST_SECOND: f64 = 253_402_300_799.0;

const NOT_THREE_PARTS: TokenError = TokenError::Malformed("it has not three parts");

/// A token whose form is right; nothing in it is to be believed yet.
pub(super) struct Unverified<'t> {
    /// What is signed: header and claims, as they came.
    signed: &'t str,
    /// In base64url.
    signature: &'t str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl<'t> Unverified<'t> {
    /// Reads `header.claims.signature`: the first two base64url (no padding) of JSON objects.
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::Malformed("it is longer than 16 KiB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_THREE_PARTS)?;
        let (header, claims) = signed.split_once('.').ok_or(NOT_THREE_PARTS)?;
        if claims.contains('.') {
            return Err(NOT_THREE_PARTS);
        }
        Ok(Self { signed, signature, header: object(header)?, claims: object(claims)? })
    }

    /// The claims, for picking a rule by them and nothing else.
    pub(super) fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The header, of which nothing is to be believed either.
    pub(super) fn unverified_header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// What can be refused without a key, so that such a token never causes a fetch: `alg` must be one of the
    /// rule's, `crit` must be absent, `kid` is required for customJwt. `jku`, `x5u` and `jwk` are not looked
    /// at.
    pub(super) fn check_header(&self, rule: &Rule) -> Result<(Algorithm, Option<&str>), TokenError> {
        let found = text(&self.header, "alg").ok_or(TokenError::Malformed("its header has no `alg`"))?;
        let named = |algorithm: &&Algorithm| format!("{algorithm:?}") == found;
        let Some(algorithm) = rule.algorithms.iter().find(named) else {
            let expected = rule.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
            return Err(TokenError::WrongAlgorithm { expected, found: excerpt(found) });
        };
        if self.header.contains_key("crit") {
            return Err(TokenError::CriticalExtension);
        }
        let kid = match self.header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.as_str()),
            Some(_) => return Err(TokenError::Malformed("its `kid` is no text")),
        };
        if kid.is_none() && rule.kind == TokenKind::CustomJwt {
            return Err(TokenError::NoKeyId);
        }
        Ok((*algorithm, kid))
    }

    /// The key must have the rule's algorithm, and the token's `kid` if it has one; without, only one key may
    /// fit.
    fn check_signature(&self, rule: &Rule, keys: &KeySet) -> Result<(), TokenError> {
        let (algorithm, kid) = self.check_header(rule)?;
        let fitting = keys.fitting(algorithm, kid);
        if fitting.is_empty() {
            return Err(TokenError::UnknownKey { kid: kid.map(excerpt), known: keys.len() });
        }
        if kid.is_none() && fitting.len() > 1 {
            return Err(TokenError::AmbiguousKey { fitting: fitting.len() });
        }
        // More than one only where the provider gave two keys the same `kid`.
        let fits = fitting.iter().any(|key| key.verifies(self.signed, self.signature));
        fits.then_some(()).ok_or(TokenError::WrongSignature)
    }
}

/// Decides about a token by one rule: first the header and the signature, then the claims, each check in the
/// order of [`TokenError::CHECKS`] but for the issuer and the audience, which picking the rule has checked
/// already.
pub(super) fn verify(
    token: &Unverified,
    rule: &Rule,
    keys: &KeySet,
    now: Timestamp,
    leeway: Duration,
) -> Result<Authenticated, TokenError> {
    token.check_signature(rule, keys)?;
    let claims = &token.claims;

    // That the rule was picked by these claims is not taken on trust.
    pick(slice::from_ref(rule), claims)?;

    let expires_at = moment(claims, "exp")?.ok_or(TokenError::NoTime { claim: "exp" })?;
    if expires_at.plus(leeway) <= now {
        return Err(TokenError::Expired { at: expires_at, now });
    }
    if let Some(from) = moment(claims, "nbf")?.filter(|from| *from > now.plus(leeway)) {
        return Err(TokenError::NotYetValid { from, now });
    }
    let issued_at = moment(claims, "iat")?;
    if issued_at.is_none() && rule.kind == TokenKind::Oidc {
        return Err(TokenError::NoTime { claim: "iat" });
    }
    if let Some(at) = issued_at.filter(|at| *at > now.plus(leeway)) {
        return Err(TokenError::IssuedInTheFuture { at, now });
    }
    check_party(claims, rule)?;
    // Clerk's: somebody who has signed in, but may not come in yet.
    if text(claims, "sts") == Some("pending") && !rule.allow_pending_sessions {
        return Err(TokenError::PendingSession);
    }
    let identity = Identity::from_claims(claims, rule.kind)
        .filter(|identity| UserKey::flaw_of(identity.subject()).is_none())
        .ok_or(TokenError::NoSubject)?;
    let user = UserKey::new(&rule.source, identity.subject());
    Ok(Authenticated { user, identity, issued_at, expires_at })
}

/// `azp`, if the rule names authorised parties; a token without one is refused then.
fn check_party(claims: &Map<String, Value>, rule: &Rule) -> Result<(), TokenError> {
    let expected = &rule.authorized_parties;
    let found = text(claims, "azp");
    if expected.is_empty() || found.is_some_and(|party| expected.iter().any(|one| one == party)) {
        return Ok(());
    }
    Err(TokenError::WrongParty { expected: expected.clone(), found: found.map(excerpt) })
}

/// A `NumericDate`: seconds since 1970, whole or not. Milliseconds or a text are refused, not guessed at.
fn moment(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds));
    let seconds = seconds.ok_or(TokenError::NotATime { claim })?;
    #[expect(clippy::cast_possible_truncation, reason = "in range; below a microsecond nothing is kept")]
    let micros = (seconds * 1e6) as i64;
    Ok(Some(Timestamp::from_micros(micros)))
}

fn text<'m>(object: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    object.get(name).and_then(Value::as_str)
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("a part is not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed("a part is no JSON object"))
}

#[cfg(test)]
mod tests;
