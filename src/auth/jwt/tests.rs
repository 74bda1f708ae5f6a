use std::slice;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{Candidate, Token};
use crate::auth::keys::KeySet;
use crate::auth::rule::{Rule, pick};
use crate::auth::testing::{NOW, Signer, base64url, custom_jwt, ed25519, oidc, p256, rsa};
use crate::auth::{Authenticated, TokenError};
use crate::config::Algorithm;
use crate::domain::Timestamp;

/// [`NOW`], for times with a fraction.
const NOW_FLOAT: f64 = 1_767_268_800.0;

const ISSUER: &str = "https://a.example";

/// What a good token claims; every row of a table changes one thing.
pub(super) fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "user_1", "aud": "app", "iat": NOW, "exp": NOW + 60})
}

/// The object with members set, or taken out by null.
fn with(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        object[name] = value.clone();
    }
    object.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    object
}

pub(super) fn keys(signers: &[&Signer]) -> KeySet {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    KeySet::from_json(&json!({ "keys": keys })).unwrap()
}

pub(super) fn oidc_rule() -> Rule {
    Rule::new("a".into(), &oidc(ISSUER, Some("app")))
}

fn custom_rule() -> Rule {
    Rule::new("a".into(), &custom_jwt(ISSUER, Some("app")))
}

fn decide(token: &str, rule: &Rule, keys: &KeySet) -> Result<Authenticated, TokenError> {
    let token = Token::parse(token)?;
    let rule = pick(slice::from_ref(rule), token.unverified_claims())?;
    Candidate::new(&token, rule)?.verify(keys, Timestamp::from_seconds(NOW), Duration::from_secs(5))
}

/// `accepted`, or the check that failed.
pub(super) fn verdict(token: &str, rule: &Rule, keys: &KeySet) -> &'static str {
    decide(token, rule, keys).map_or_else(|error| error.check(), |_| "accepted")
}

#[test]
fn half_a_surrogate_pair_costs_a_name_one_character_and_a_subject_the_token() {
    let part = |json: &str| base64url(json.as_bytes());
    let claims = |json: &str| {
        let token = format!("{}.{}.x", part("{}"), part(json));
        Token::parse(&token).map(|token| token.unverified_claims().clone())
    };
    let read = claims(r#"{"sub":"user_1","name":"Lovelace \ud83d"}"#).unwrap();
    assert_eq!(read["name"], "Lovelace \u{fffd}");
    assert!(claims(r#"{"sub":"user_\ud83d","name":"Lovelace"}"#).is_err());
    assert!(claims(r#"{"sub":"user_1","name":"Lovelace"#).is_err());
}

#[test]
fn the_claims_of_an_oidc_token() {
    let signer = p256("k");
    let (rule, keys) = (oidc_rule(), keys(&[&signer]));
    for (change, expected) in [
        (json!({}), "accepted"),
        // iss: https:// assumed, trailing slash ignored
        (json!({"iss": "https://a.example/"}), "accepted"),
        (json!({"iss": "a.example"}), "accepted"),
        (json!({"iss": "http://a.example"}), "issuer"),
        (json!({"iss": "https://b.example"}), "issuer"),
        (json!({"iss": null}), "issuer"),
        // applicationID in aud
        (json!({"aud": ["other", "app"]}), "accepted"),
        (json!({"aud": "other"}), "audience"),
        (json!({"aud": ["other"]}), "audience"),
        (json!({"aud": []}), "audience"),
        (json!({"aud": "app other"}), "audience"),
        (json!({"aud": null}), "audience"),
        // exp required, 5 s leeway
        (json!({"exp": NOW + 1}), "accepted"),
        (json!({"exp": NOW - 4}), "accepted"),
        (json!({"exp": NOW - 5}), "expiry"),
        (json!({"exp": 0.5 + NOW_FLOAT}), "accepted"),
        (json!({"exp": NOW_FLOAT - 4.5}), "accepted"),
        (json!({"exp": NOW_FLOAT - 5.5}), "expiry"),
        (json!({"exp": (NOW + 60).to_string()}), "expiry"),
        (json!({"exp": (NOW + 60) * 1000}), "expiry"),
        (json!({"exp": -1}), "expiry"),
        (json!({"exp": 1e300}), "expiry"),
        (json!({"exp": true}), "expiry"),
        (json!({"exp": null}), "expiry"),
        // nbf checked if present
        (json!({"nbf": NOW}), "accepted"),
        (json!({"nbf": NOW + 5}), "accepted"),
        (json!({"nbf": NOW + 6}), "not_before"),
        (json!({"nbf": "now"}), "not_before"),
        // iat required for oidc
        (json!({"iat": NOW - 86_400}), "accepted"),
        (json!({"iat": NOW + 5}), "accepted"),
        (json!({"iat": NOW + 6}), "issued_at"),
        (json!({"iat": "now"}), "issued_at"),
        (json!({"iat": null}), "issued_at"),
        // sub required and not empty
        (json!({"sub": ""}), "subject"),
        (json!({"sub": 7}), "subject"),
        (json!({"sub": null}), "subject"),
        // sts: a session that has a task left is refused, anything else is not ours to judge
        (json!({"sts": "pending"}), "session"),
        (json!({"sts": "active"}), "accepted"),
        (json!({"sts": 7}), "accepted"),
        // azp is not checked unless configured
        (json!({"azp": "https://evil.example"}), "accepted"),
    ] {
        let token = signer.token(&with(claims(), &change));
        assert_eq!(verdict(&token, &rule, &keys), expected, "{change}");
    }
}

#[test]
fn a_pending_session_is_accepted_only_by_a_rule_that_says_so() {
    let signer = rsa("k");
    let keys = keys(&[&signer]);
    let token = signer.token(&with(claims(), &json!({"sts": "pending"})));
    let mut settings = custom_jwt(ISSUER, Some("app"));
    for (allowed, expected) in [(false, "session"), (true, "accepted")] {
        settings.allow_pending_sessions = allowed;
        assert_eq!(verdict(&token, &Rule::new("a".into(), &settings), &keys), expected);
    }
}

#[test]
fn a_user_is_known_by_what_stands_before_the_separator() {
    let signer = rsa("k");
    let keys = keys(&[&signer]);
    let user = |separator: Option<&str>, sub: &str| {
        let mut settings = custom_jwt(ISSUER, Some("app"));
        settings.subject_separator = separator.map(str::to_owned);
        let token = signer.token(&with(claims(), &json!({"sub": sub})));
        decide(&token, &Rule::new("a".into(), &settings), &keys)
            .map(|found| (found.user.external_id, found.identity.subject().to_owned()))
    };
    let known = |id: &str, sub: &str| Ok((id.to_owned(), sub.to_owned()));
    assert_eq!(user(None, "user_1|session_2"), known("user_1|session_2", "user_1|session_2"));
    assert_eq!(user(Some("|"), "user_1|session_2"), known("user_1", "user_1|session_2"));
    assert_eq!(user(Some("|"), "user_1"), known("user_1", "user_1"));
    assert_eq!(user(Some("|"), "user_1|a|b"), known("user_1", "user_1|a|b"));
    assert_eq!(user(Some("|"), "|session_2"), Err(TokenError::NoSubject), "nobody");
}

#[test]
fn an_explicit_null_is_not_a_time() {
    let signer = p256("k");
    for claim in ["exp", "nbf", "iat"] {
        let mut claims = claims();
        claims[claim] = Value::Null;
        let refused = decide(&signer.token(&claims), &oidc_rule(), &keys(&[&signer]));
        assert_eq!(refused, Err(TokenError::NotATime { claim }));
    }
}

#[test]
fn a_custom_jwt_needs_no_iat_and_without_application_id_no_aud() {
    let signer = rsa("k");
    let keys = keys(&[&signer]);
    let open = Rule::new("a".into(), &custom_jwt(ISSUER, None));
    for (rule, change, expected) in [
        (&custom_rule(), json!({"iat": null}), "accepted"),
        (&custom_rule(), json!({"iat": NOW + 6}), "issued_at"),
        (&custom_rule(), json!({"aud": null}), "audience"),
        (&open, json!({"aud": null}), "accepted"),
        (&open, json!({"aud": "other"}), "accepted"),
        (&open, json!({"iss": "https://b.example"}), "issuer"),
    ] {
        assert_eq!(verdict(&signer.token(&with(claims(), &change)), rule, &keys), expected, "{change}");
    }
}

#[test]
fn azp_must_be_an_authorized_party_if_configured() {
    let signer = rsa("k");
    for mut config in [oidc(ISSUER, None), custom_jwt(ISSUER, None)] {
        config.authorized_parties = vec!["https://one.example".into(), "https://two.example".into()];
        let rule = Rule::new("a".into(), &config);
        for (azp, expected) in [
            (json!("https://two.example"), "accepted"),
            (json!("https://two.example/"), "authorized_party"),
            (json!("https://evil.example"), "authorized_party"),
            (json!(["https://two.example"]), "authorized_party"),
            (json!(null), "authorized_party"),
        ] {
            let token = signer.token(&with(claims(), &json!({ "azp": azp })));
            assert_eq!(verdict(&token, &rule, &keys(&[&signer])), expected, "{azp}");
        }
    }
}

#[test]
fn the_header_never_chooses_how_it_is_checked() {
    let signer = rsa("k");
    let (rule, keys) = (oidc_rule(), keys(&[&signer]));
    let jwk = p256("evil").jwk();
    for (change, expected) in [
        (json!({}), "accepted"),
        (json!({"typ": "at+jwt", "cat": "x", "oiat": 1}), "accepted"),
        // algorithm from the rule
        (json!({"alg": "none"}), "algorithm"),
        (json!({"alg": "HS256"}), "algorithm"),
        (json!({"alg": "rs256"}), "algorithm"),
        (json!({"alg": "RS512"}), "algorithm"),
        (json!({"alg": null}), "form"),
        (json!({"alg": ["RS256"]}), "form"),
        (json!({"alg": "ES256"}), "key"),
        // crit refused
        (json!({"crit": ["b64"], "b64": false}), "critical_extensions"),
        (json!({"crit": []}), "critical_extensions"),
        // kid optional for oidc if one key fits
        (json!({"kid": null}), "accepted"),
        (json!({"kid": "other"}), "key"),
        (json!({"kid": ""}), "key"),
        (json!({"kid": 7}), "form"),
        // jku, x5u, jwk ignored
        (json!({"jku": "http://evil.example", "x5u": "http://evil.example", "jwk": jwk}), "accepted"),
    ] {
        let header = with(json!({"alg": "RS256", "typ": "JWT", "kid": "k"}), &change);
        assert_eq!(verdict(&signer.token_with(&header, &claims()), &rule, &keys), expected, "{change}");
    }
}

#[test]
fn each_algorithm_is_accepted_only_where_the_rule_has_it() {
    for (signer, for_custom) in
        [(rsa("k"), "accepted"), (p256("k"), "algorithm"), (ed25519("k"), "algorithm")]
    {
        let (token, keys) = (signer.token(&claims()), keys(&[&signer]));
        assert_eq!(verdict(&token, &oidc_rule(), &keys), "accepted", "{}", signer.alg());
        assert_eq!(verdict(&token, &custom_rule(), &keys), for_custom, "{}", signer.alg());
    }
}

#[test]
fn ed25519_in_the_header_or_the_key_means_eddsa() {
    let (signer, rsa) = (ed25519("k"), rsa("k"));
    let jwk = with(signer.jwk(), &json!({"alg": "Ed25519"}));
    let renamed = KeySet::from_json(&json!({ "keys": [jwk] })).unwrap();
    let token = |alg: &str| signer.token_with(&json!({"alg": alg, "kid": "k"}), &claims());
    for keys in [&keys(&[&signer]), &renamed] {
        for (alg, expected) in
            [("EdDSA", "accepted"), ("Ed25519", "accepted"), ("Ed448", "algorithm"), ("ed25519", "algorithm")]
        {
            assert_eq!(verdict(&token(alg), &oidc_rule(), keys), expected, "{alg}");
        }
    }
    assert_eq!(verdict(&token("Ed25519"), &custom_rule(), &renamed), "algorithm", "the rule has RS256 alone");
    assert_eq!(verdict(&token("Ed25519"), &oidc_rule(), &keys(&[&rsa])), "key");
}

#[test]
fn a_public_key_is_not_an_hmac_secret() {
    let signer = rsa("k");
    let header = json!({"alg": "HS256", "kid": "k"});
    let message = format!("{}.{}", base64url(header.to_string()), base64url(claims().to_string()));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &signer.public_der());
    let token = format!("{message}.{}", base64url(hmac::sign(&secret, message.as_bytes())));
    assert_eq!(verdict(&token, &oidc_rule(), &keys(&[&signer])), "algorithm");
}

#[test]
fn exactly_one_key_must_match() {
    let (one, other, foreign) = (p256("one"), p256("other"), p256("one"));
    let no_kid = json!({"alg": "ES256"});
    let rsa = rsa("one");
    for (token, known, expected) in [
        (one.token(&claims()), keys(&[&one, &other]), "accepted"),
        (foreign.token(&claims()), keys(&[&one, &other]), "signature"),
        (one.token(&claims()), keys(&[&foreign, &one]), "accepted"),
        (one.token(&claims()), keys(&[&other]), "key"),
        (one.token(&claims()), keys(&[]), "key"),
        (one.token_with(&no_kid, &claims()), keys(&[&one]), "accepted"),
        (one.token_with(&no_kid, &claims()), keys(&[&one, &rsa]), "accepted"),
        (one.token_with(&no_kid, &claims()), keys(&[&one, &other]), "key"),
        (one.token_with(&no_kid, &claims()), keys(&[&other]), "signature"),
    ] {
        assert_eq!(verdict(&token, &oidc_rule(), &known), expected);
    }
    let no_kid = rsa.token_with(&json!({"alg": "RS256"}), &claims());
    assert_eq!(verdict(&no_kid, &custom_rule(), &keys(&[&rsa])), "key_id");
}

#[test]
fn the_signature_is_checked_before_the_claims() {
    let (signer, foreign) = (p256("k"), p256("k"));
    let expired = with(claims(), &json!({"exp": 1, "sub": ""}));
    assert_eq!(verdict(&foreign.token(&expired), &oidc_rule(), &keys(&[&signer])), "signature");
}

#[test]
fn the_form_of_a_token() {
    let signer = ed25519("k");
    let good = signer.token(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { panic!("three parts") };
    let list = base64url("[]");
    for (token, expected) in [
        (String::new(), "form"),
        ("..".into(), "form"),
        ("bearer".into(), "form"),
        (format!("{header}.{claims}"), "form"),
        (format!("{good}.{signature}"), "form"),
        (format!(" {good}"), "form"),
        (format!("{header}=.{claims}.{signature}"), "form"),
        (format!("{list}.{claims}.{signature}"), "form"),
        (format!("{header}.{list}.{signature}"), "form"),
        (format!("{header}.{}.{signature}", "[".repeat(9_000)), "form"),
        (format!("{header}.{}.{signature}", base64url("[".repeat(9_000))), "form"),
        ("a".repeat(1 << 20), "form"),
        (format!("{header}.{claims}."), "signature"),
        (format!("{header}.{claims}.{signature}="), "signature"),
        (format!("{header}.{claims}.{}", signature.to_lowercase()), "signature"),
        (good.clone(), "accepted"),
    ] {
        let start: String = token.chars().take(40).collect();
        assert_eq!(verdict(&token, &oidc_rule(), &keys(&[&signer])), expected, "{start}");
    }
}

#[test]
fn what_an_accepted_token_proves() {
    let signer = ed25519("k");
    let claims = with(claims(), &json!({"iss": "https://a.example/", "exp": NOW_FLOAT + 0.5}));
    let accepted = decide(&signer.token(&claims), &oidc_rule(), &keys(&[&signer])).unwrap();
    assert_eq!(accepted.user.source, "a");
    assert_eq!(accepted.identity.token_identifier(), "https://a.example/|user_1");
    assert_eq!(accepted.issued_at, Some(Timestamp::from_seconds(NOW)));
    assert_eq!(accepted.expires_at, Timestamp::from_micros(NOW * 1_000_000 + 500_000));
}

#[test]
fn a_refusal_says_what_was_expected_and_found_and_never_the_token() {
    let signer = rsa("k");
    let refuse = |changes: &Value| {
        let token = signer.token(&with(claims(), changes));
        let error = decide(&token, &oidc_rule(), &keys(&[&signer])).unwrap_err();
        assert!(TokenError::CHECKS.contains(&error.check()), "{error:?}");
        assert!(!error.to_string().contains("user_1"), "{error}");
        (error.check(), error.to_string())
    };
    assert_eq!(
        refuse(&json!({"exp": NOW - 60})),
        ("expiry", "it expired at 2026-01-01T11:59:00Z; the time is now 2026-01-01T12:00:00Z".into())
    );
    assert_eq!(
        refuse(&json!({"aud": ["x"]})),
        ("audience", r#"`aud` must contain app, but is ["x"]"#.into())
    );
    assert_eq!(
        refuse(&json!({"iss": "https://b.example\n"})),
        ("issuer", r#"no token rule has the issuer "https://b.example\n""#.into())
    );
    let header = json!({"alg": "none"});
    let error = decide(&signer.token_with(&header, &claims()), &oidc_rule(), &keys(&[])).unwrap_err();
    assert_eq!(error.to_string(), r#"its algorithm must be RS256 or ES256 or EdDSA, but is "none""#);
}

#[test]
fn an_authorized_party_with_a_star_matches_one_label() {
    let signer = rsa("k");
    let mut config = oidc(ISSUER, None);
    config.authorized_parties = vec!["https://app-*-team.vercel.app".into()];
    let rule = Rule::new("a".into(), &config);
    for (azp, expected) in [
        ("https://app-git-main-team.vercel.app", "accepted"),
        ("https://app-*-team.vercel.app", "authorized_party"),
        ("https://app-a.b-team.vercel.app", "authorized_party"),
        ("https://app-1-team.vercel.app.evil.example", "authorized_party"),
        ("http://app-1-team.vercel.app", "authorized_party"),
    ] {
        let token = signer.token(&with(claims(), &json!({ "azp": azp })));
        assert_eq!(verdict(&token, &rule, &keys(&[&signer])), expected, "{azp}");
    }
}

#[test]
fn the_algorithm_and_the_key_id_are_read_once() {
    let signer = p256("k");
    let token = signer.token(&claims());
    let (token, rule) = (Token::parse(&token).unwrap(), oidc_rule());
    let candidate = Candidate::new(&token, &rule).unwrap();
    assert_eq!((candidate.algorithm, candidate.key_id), (Algorithm::Es256, Some("k")));
}

/// The checks that need more than a token and its rule are met in the tests of keys and rules.
#[test]
fn of_several_checks_that_fail_the_first_of_the_list_is_named() {
    let (signer, stranger) = (rsa("k"), p256("k"));
    let mut config = oidc(ISSUER, Some("app"));
    config.authorized_parties = vec!["https://one.example".into()];
    let rule = Rule::new("a".into(), &config);
    let header = json!({"alg": "RS256", "kid": "k"});
    let (mut head, mut body, mut keys) = (header.clone(), claims(), keys(&[&signer]));
    body["azp"] = json!("https://one.example");
    let mut by = &signer;
    // From the last check to the first, each failing on top of those that follow it.
    for check in TokenError::CHECKS.iter().rev() {
        match *check {
            "subject" => body["sub"] = json!(""),
            "authorized_party" => body["azp"] = json!("https://two.example"),
            "issued_at" => body["iat"] = json!(NOW + 60),
            "not_before" => body["nbf"] = json!(NOW + 60),
            "expiry" => body["exp"] = json!(NOW - 60),
            "signature" => by = &stranger,
            "key" => keys = KeySet::default(),
            "critical_extensions" => head["crit"] = json!(["x"]),
            "algorithm" => head["alg"] = json!("HS256"),
            _ => continue,
        }
        assert_eq!(verdict(&by.token_with(&head, &body), &rule, &keys), *check);
    }
}
