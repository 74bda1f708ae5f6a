//! The rules for one token, given its keys and the time: no socket, no clock.
//!
//! A token is processed in these steps: [`Token::parse`], then a rule is picked by its claims
//! ([`pick`](super::rule::pick)), [`Candidate::new`] checks the header by that rule, and
//! [`Candidate::verify`] checks the signature and the claims with the rule's keys. Each step takes the
//! result of the one before, so none can be left out.
//!
//! `jsonwebtoken` only verifies the signature: its own validation reads the system clock, accepts an absent
//! `iss` or `aud` and never checks `iat`, `azp` and `crit`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::error::{TokenError, excerpt};
use super::keys::KeySet;
use super::program;
use super::rule::Rule;
use crate::config::{Algorithm, origin_matches};
use crate::domain::{Change, ChangeKind, Identity, Timestamp, TokenKind, UserKey, lenient_json};

/// The longest token that is read, in bytes: real ones have a few kilobytes, because they travel in a
/// header.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// 9999-12-31T23:59:59Z in seconds since 1970.
const LAST_SECOND: f64 = 253_402_300_799.0;

const NOT_THREE_PARTS: TokenError = TokenError::Malformed("it does not have three parts");

/// What is known from a token that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticated {
    /// The user of the token: the source whose rule matched, and the user's id in `sub`.
    pub user: UserKey,
    /// The identity in the token's claims.
    pub identity: Identity,
    /// `iat`; always there for an oidc token.
    pub issued_at: Option<Timestamp>,
    /// `exp`, without leeway.
    pub expires_at: Timestamp,
    /// What shows that the token belongs to a program, if it does.
    pub program_evidence: Option<&'static str>,
}

/// The token is that of a program, which is not a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token belongs to a program: {0}")]
pub struct NotAUser(&'static str);

impl Authenticated {
    /// The facts about the user in its claims, stamped with the time of issue. Without `iat` the claims rank below
    /// all others.
    pub fn claims(&self) -> Result<Change, NotAUser> {
        if let Some(evidence) = self.program_evidence {
            return Err(NotAUser(evidence));
        }
        let stamp = self.issued_at.unwrap_or(Timestamp::EPOCH);
        let kind = ChangeKind::Claims { facts: self.identity.facts() };
        Ok(Change { user: self.user.clone(), stamp, kind })
    }
}

/// A token that has the right form. Nothing in it is verified yet.
pub(super) struct Token<'t> {
    /// What is signed: header and claims, as they came.
    signed: &'t str,
    /// In base64url.
    signature: &'t str,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl<'t> Token<'t> {
    /// Reads `header.claims.signature`: the first two are base64url (without padding) of JSON objects.
    pub(super) fn parse(token: &'t str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed("it is longer than 16 KiB"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_THREE_PARTS)?;
        let (header, claims) = signed.split_once('.').ok_or(NOT_THREE_PARTS)?;
        if claims.contains('.') {
            return Err(NOT_THREE_PARTS);
        }
        Ok(Self { signed, signature, header: object(header)?, claims: claims_of(claims)? })
    }

    /// The claims, to pick a rule by and for `explain`. They are not verified.
    pub(super) fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The header, for `explain`. It is not verified.
    pub(super) fn unverified_header(&self) -> &Map<String, Value> {
        &self.header
    }
}

/// A token with the rule that decides about it. Its header is one that the rule accepts.
pub(super) struct Candidate<'t> {
    token: &'t Token<'t>,
    rule: &'t Rule,
    algorithm: Algorithm,
    key_id: Option<&'t str>,
}

impl<'t> Candidate<'t> {
    /// Checks what can be checked without a key, so that a token refused here never causes a fetch: `alg`
    /// must be one of the rule's, `crit` must be absent, `kid` is required for customJwt. `jku`, `x5u` and
    /// `jwk` are ignored.
    ///
    /// The rule must be the one that was picked by the token's own claims: issuer and audience are not
    /// checked again.
    pub(super) fn new(token: &'t Token<'t>, rule: &'t Rule) -> Result<Self, TokenError> {
        let header = &token.header;
        let found = string(header, "alg").ok_or(TokenError::Malformed("its header has no `alg`"))?;
        let algorithm = rule.algorithm(found)?;
        if header.contains_key("crit") {
            return Err(TokenError::CriticalExtension);
        }
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.as_str()),
            Some(_) => return Err(TokenError::Malformed("its `kid` is not a string")),
        };
        if key_id.is_none() && rule.kind == TokenKind::CustomJwt {
            return Err(TokenError::NoKeyId);
        }
        Ok(Self { token, rule, algorithm, key_id })
    }

    /// Decides about the token: first the signature, then the claims, in the order of
    /// [`TokenError::CHECKS`].
    pub(super) fn verify(
        &self,
        keys: &KeySet,
        now: Timestamp,
        leeway: Duration,
    ) -> Result<Authenticated, TokenError> {
        self.check_signature(keys)?;
        let (claims, rule) = (&self.token.claims, self.rule);

        let expires_at = time(claims, "exp")?.ok_or(TokenError::NoTime { claim: "exp" })?;
        if expires_at.plus(leeway) <= now {
            return Err(TokenError::Expired { at: expires_at, now });
        }
        if let Some(from) = time(claims, "nbf")?.filter(|from| *from > now.plus(leeway)) {
            return Err(TokenError::NotYetValid { from, now });
        }
        let issued_at = time(claims, "iat")?;
        if issued_at.is_none() && rule.kind == TokenKind::Oidc {
            return Err(TokenError::NoTime { claim: "iat" });
        }
        if let Some(at) = issued_at.filter(|at| *at > now.plus(leeway)) {
            return Err(TokenError::IssuedInTheFuture { at, now });
        }
        check_party(claims, rule)?;
        // Clerk's: the user has signed in, but the session still has a task to complete.
        if string(claims, "sts") == Some("pending") && !rule.allow_pending_sessions {
            return Err(TokenError::PendingSession);
        }
        let identity = Identity::from_claims(claims, rule.kind)
            .filter(|identity| UserKey::id_error(rule.user_id(identity.subject())).is_none())
            .ok_or(TokenError::NoSubject)?;
        let user = UserKey::new(&rule.source, rule.user_id(identity.subject()));
        Ok(Authenticated {
            user,
            identity,
            issued_at,
            expires_at,
            program_evidence: program::evidence(claims),
        })
    }

    /// The key must have the algorithm, and the token's `kid` if it has one. Without a `kid`, only one key
    /// may have the algorithm.
    fn check_signature(&self, keys: &KeySet) -> Result<(), TokenError> {
        let kid = self.key_id;
        let matching = keys.matching(self.algorithm, kid);
        if matching.is_empty() {
            return Err(TokenError::UnknownKey { kid: kid.map(excerpt), known: keys.len() });
        }
        if kid.is_none() && matching.len() > 1 {
            return Err(TokenError::AmbiguousKey { matching: matching.len() });
        }
        // More than one only where the provider gave two keys the same `kid`.
        let is_signed = matching.iter().any(|key| key.verifies(self.token.signed, self.token.signature));
        is_signed.then_some(()).ok_or(TokenError::WrongSignature)
    }
}

/// Checks `azp` if the rule names authorised parties. A token without `azp` is refused then.
fn check_party(claims: &Map<String, Value>, rule: &Rule) -> Result<(), TokenError> {
    let expected = &rule.authorized_parties;
    let found = string(claims, "azp");
    if expected.is_empty() || found.is_some_and(|party| expected.iter().any(|one| origin_matches(one, party)))
    {
        return Ok(());
    }
    Err(TokenError::WrongParty { expected: expected.clone(), found: found.map(excerpt) })
}

/// A `NumericDate`: seconds since 1970, whole or not. Milliseconds and strings are refused, never guessed.
fn time(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds));
    let seconds = seconds.ok_or(TokenError::NotATime { claim })?;
    #[expect(clippy::cast_possible_truncation, reason = "in range; parts of a microsecond are dropped")]
    let micros = (seconds * 1e6) as i64;
    Ok(Some(Timestamp::from_micros(micros)))
}

fn string<'m>(object: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    object.get(name).and_then(Value::as_str)
}

const NOT_AN_OBJECT: TokenError = TokenError::Malformed("a part is not a JSON object");

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    serde_json::from_slice(&bytes(part)?).map_err(|_| NOT_AN_OBJECT)
}

/// The claims. A name that was cut within an emoji does not make a token invalid. A subject has to be exact, because
/// two repaired ones could be the same.
fn claims_of(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = bytes(part)?;
    if let Ok(claims) = serde_json::from_slice(&bytes) {
        return Ok(claims);
    }
    let claims: Map<String, Value> = lenient_json::from_slice(&bytes).map_err(|_| NOT_AN_OBJECT)?;
    let is_exact = string(&claims, "sub").is_none_or(|subject| !subject.contains('\u{fffd}'));
    if is_exact { Ok(claims) } else { Err(TokenError::Malformed("its `sub` is not Unicode")) }
}

fn bytes(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("a part is not base64url"))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
