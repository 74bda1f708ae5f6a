//! The same decision once more, with what an explanation needs beside it.

use std::ptr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::error::excerpt;
use super::jwt::Unverified;
use super::rule::{self, audience};
use super::{Authenticated, Authenticator, Issuer, TokenError};

/// What was decided about a token, and about what kind of token.
#[derive(Debug)]
pub struct Explained {
    /// The service's own decision.
    pub decided: Result<Authenticated, TokenError>,
    /// The rule that was picked, counted over all sources in configured order.
    pub rule: Option<usize>,
    /// What the token says of itself, if it has the form of one.
    pub claimed: Option<Claimed>,
}

/// What a token says of itself, believed or not, as far as it is neither about its bearer nor secret. Texts
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
    /// Decides about a token exactly as [`Self::authenticate`] does, and tells what it was about.
    pub async fn explain(&self, token: &str) -> Explained {
        let decided = self.authenticate(token).await.map(Arc::unwrap_or_clone);
        let Ok(token) = Unverified::parse(token) else {
            return Explained { decided, rule: None, claimed: None };
        };
        let rule = rule::pick(&self.issuers, token.unverified_claims())
            .ok()
            .and_then(|picked| self.issuers.iter().position(|issuer: &Issuer| ptr::eq(issuer, picked)));
        Explained { decided, rule, claimed: Some(Claimed::by(&token)) }
    }
}

impl Claimed {
    fn by(token: &Unverified<'_>) -> Self {
        let (header, claims) = (token.unverified_header(), token.unverified_claims());
        let number = |name| claims.get(name).and_then(Value::as_f64);
        Self {
            algorithm: text(header, "alg"),
            key_id: text(header, "kid"),
            issuer: text(claims, "iss"),
            audience: audience(claims).into_iter().map(excerpt).collect(),
            party: text(claims, "azp"),
            expires_at: number("exp"),
            not_before: number("nbf"),
            issued_at: number("iat"),
        }
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(excerpt)
}
