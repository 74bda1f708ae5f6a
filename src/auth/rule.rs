//! Which rule decides about a token: the first, in configured order, whose issuer and application id match
//! the token's `iss` and `aud`.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::error::{TokenError, excerpt};
use crate::config::{Algorithm, RuleKind, TokenRule};
use crate::domain::TokenKind;

/// A configured rule, ready to be compared with tokens.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The name of the source that the rule belongs to.
    pub(super) source: String,
    /// Its type.
    pub(super) kind: TokenKind,
    /// Canonical: see [`same_issuer`].
    issuer: String,
    application_id: Option<String>,
    /// Empty leaves `azp` unchecked.
    pub(super) authorized_parties: Vec<String>,
    /// Whether a session that is not complete is accepted.
    pub(super) allow_pending_sessions: bool,
    subject_separator: Option<String>,
    /// Never empty in a valid configuration; an empty list accepts nothing.
    pub(super) algorithms: Vec<Algorithm>,
}

impl Rule {
    pub(super) fn new(source: String, rule: &TokenRule) -> Self {
        let (kind, issuer, algorithms) = match &rule.kind {
            RuleKind::Oidc { domain, algorithms } => {
                (TokenKind::Oidc, domain.as_str(), algorithms.as_slice())
            }
            RuleKind::CustomJwt { issuer, algorithm, .. } => {
                (TokenKind::CustomJwt, issuer.as_str(), std::slice::from_ref(algorithm))
            }
        };
        Self {
            source,
            kind,
            issuer: canonical(issuer).into_owned(),
            application_id: rule.application_id.clone(),
            authorized_parties: rule.authorized_parties.clone(),
            allow_pending_sessions: rule.allow_pending_sessions,
            subject_separator: rule.subject_separator.clone(),
            algorithms: algorithms.to_vec(),
        }
    }

    /// The algorithm of this name, if it is one of the rule's: the token's header alone never decides.
    pub(super) fn algorithm(&self, name: &str) -> Result<Algorithm, TokenError> {
        self.algorithms.iter().copied().find(|one| is_named(*one, name)).ok_or_else(|| {
            let expected = self.algorithms.iter().map(|one| algorithm_name(*one).to_owned()).collect();
            TokenError::WrongAlgorithm { expected, found: excerpt(name) }
        })
    }

    /// The user's id in a `sub`.
    pub(super) fn user_id<'s>(&self, subject: &'s str) -> &'s str {
        let id = self.subject_separator.as_deref().and_then(|end| subject.split_once(end));
        id.map_or(subject, |(id, _)| id)
    }

    /// Whether the application id, if there is one, is in `aud`.
    fn is_for(&self, audience: &[&str]) -> bool {
        self.application_id.as_deref().is_none_or(|application_id| audience.contains(&application_id))
    }
}

impl AsRef<Rule> for Rule {
    fn as_ref(&self) -> &Rule {
        self
    }
}

/// The first rule that has the claims' issuer and, if it names an application, is in their audience.
///
/// This is all that claims may decide before the signature is checked. The picked rule alone decides the
/// rest.
pub(super) fn pick<'r, R: AsRef<Rule>>(
    rules: &'r [R],
    claims: &Map<String, Value>,
) -> Result<&'r R, TokenError> {
    let issuer = claims.get("iss").and_then(Value::as_str).ok_or(TokenError::NoIssuer)?;
    let of_issuer: Vec<&R> = rules.iter().filter(|rule| same_issuer(&rule.as_ref().issuer, issuer)).collect();
    if of_issuer.is_empty() {
        return Err(TokenError::ForeignIssuer { found: excerpt(issuer) });
    }
    let audience = audience(claims);
    of_issuer.iter().copied().find(|rule| rule.as_ref().is_for(&audience)).ok_or_else(|| {
        TokenError::WrongAudience {
            expected: of_issuer.iter().filter_map(|rule| rule.as_ref().application_id.clone()).collect(),
            found: audience.iter().map(|one| excerpt(one)).collect(),
        }
    })
}

/// The name of an algorithm, as a header or a key has it.
pub(super) fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rs256 => "RS256",
        Algorithm::Es256 => "ES256",
        Algorithm::EdDsa => "EdDSA",
    }
}

/// Whether this is a name of the algorithm. RFC 9864 names the curve: our keys for `EdDSA` are all on
/// Ed25519, so there both names mean the same.
pub(super) fn is_named(algorithm: Algorithm, name: &str) -> bool {
    algorithm_name(algorithm) == name || (algorithm == Algorithm::EdDsa && name == "Ed25519")
}

/// `aud`, which may be one string or a list of strings.
pub(super) fn audience(claims: &Map<String, Value>) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether two issuers are the same: `https://` is assumed, and a trailing slash is ignored.
pub fn same_issuer(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

fn canonical(issuer: &str) -> Cow<'_, str> {
    let issuer = issuer.strip_suffix('/').unwrap_or(issuer);
    if issuer.starts_with("https://") || issuer.starts_with("http://") {
        Cow::Borrowed(issuer)
    } else {
        Cow::Owned(format!("https://{issuer}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Rule, pick, same_issuer};
    use crate::auth::testing::{custom_jwt, oidc};

    #[test]
    fn https_is_assumed_and_a_trailing_slash_ignored() {
        for (one, other, same) in [
            ("https://a.example", "https://a.example", true),
            ("https://a.example/", "https://a.example", true),
            ("a.example", "https://a.example/", true),
            ("https://a.example/path/", "a.example/path", true),
            ("http://a.example", "https://a.example", false),
            ("https://a.example", "https://a.example.evil.example", false),
            ("https://a.example", "https://A.example", false),
            ("https://a.example//", "https://a.example", false),
        ] {
            assert_eq!(same_issuer(one, other), same, "{one} {other}");
            assert_eq!(same_issuer(other, one), same, "{other} {one}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_is_picked() {
        let rules = [
            Rule::new("first".into(), &oidc("https://a.example", Some("app"))),
            Rule::new("second".into(), &custom_jwt("https://a.example", Some("other"))),
            Rule::new("third".into(), &custom_jwt("https://b.example", None)),
            Rule::new("fourth".into(), &custom_jwt("https://b.example", Some("app"))),
        ];
        for (claims, expected) in [
            (json!({"iss": "https://a.example", "aud": "app"}), "first"),
            (json!({"iss": "a.example/", "aud": ["x", "app"]}), "first"),
            (json!({"iss": "https://a.example", "aud": ["other", "app"]}), "first"),
            (json!({"iss": "https://a.example", "aud": "other"}), "second"),
            (json!({"iss": "https://b.example", "aud": "app"}), "third"),
            (json!({"iss": "https://b.example"}), "third"),
            (json!({"iss": "https://a.example", "aud": "applepie"}), "audience"),
            (json!({"iss": "https://a.example", "aud": {"app": 1}}), "audience"),
            (json!({"iss": "https://a.example"}), "audience"),
            (json!({"iss": "https://c.example", "aud": "app"}), "issuer"),
            (json!({"iss": ["https://a.example"], "aud": "app"}), "issuer"),
            (json!({"aud": "app"}), "issuer"),
        ] {
            let picked = pick(&rules, Value::as_object(&claims).unwrap());
            let found = picked.map_or_else(|error| error.check().to_owned(), |rule| rule.source.clone());
            assert_eq!(found, expected, "{claims}");
        }
    }
}
