//! The service's own decision about a token, with what an explanation needs beside it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::authenticator::Authenticator;
use super::error::{TokenError, excerpt};
use super::jwt::{Authenticated, Token};
use super::rule::audience;

/// What was decided about a token, and about what kind of token.
#[derive(Debug)]
pub struct Explained {
    /// The service's own decision.
    pub decided: Result<Arc<Authenticated>, TokenError>,
    /// The rule that was picked, counted over all sources in configured order.
    pub rule: Option<usize>,
    /// The token's header and claims, if it has the form of a token.
    pub claimed: Option<Claimed>,
}

/// The header and claims of a token, verified or not, without secrets and without data about its user. Strings
/// are cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claimed {
    /// `alg` of the header.
    pub algorithm: Option<String>,
    /// `kid` of the header.
    pub key_id: Option<String>,
    /// `iss`
    pub issuer: Option<String>,
    /// `aud`, as a list.
    pub audience: Vec<String>,
    /// `azp`
    pub party: Option<String>,
    /// `exp`, as the number that it is.
    pub expires_at: Option<f64>,
    /// `nbf`, as the number that it is.
    pub not_before: Option<f64>,
    /// `iat`, as the number that it is.
    pub issued_at: Option<f64>,
}

impl Authenticator {
    /// Checks a token by the same steps as [`Self::authenticate`], without its cache, and returns the result of each
    /// step.
    pub async fn explain(&self, token: &str) -> Explained {
        let token = match Token::parse(token) {
            Ok(token) => token,
            Err(error) => return Explained { decided: Err(error), rule: None, claimed: None },
        };
        let claimed = Some(Claimed::by(&token));
        let issuer = match self.issuer_of(&token) {
            Ok(issuer) => issuer,
            Err(error) => return Explained { decided: Err(error), rule: None, claimed },
        };
        let decided = self.verify(&token, issuer).await.map(|verified| verified.authenticated);
        Explained { decided, rule: Some(issuer.place), claimed }
    }
}

impl Claimed {
    fn by(token: &Token<'_>) -> Self {
        let (header, claims) = (token.unverified_header(), token.unverified_claims());
        let number = |name| claims.get(name).and_then(Value::as_f64);
        Self {
            algorithm: string(header, "alg"),
            key_id: string(header, "kid"),
            issuer: string(claims, "iss"),
            audience: audience(claims).into_iter().map(excerpt).collect(),
            party: string(claims, "azp"),
            expires_at: number("exp"),
            not_before: number("nbf"),
            issued_at: number("iat"),
        }
    }
}

fn string(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(excerpt)
}
