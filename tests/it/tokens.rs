//! Tokens: which are accepted, which are refused, and what happens when the user is deleted.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use usersync::internals::config::{Algorithm, JwksLocation, RuleKind, TokenRule};

use crate::support::app::TestApp;
use crate::support::client::answer;
use crate::support::client::fixture::{ADA, CREATED, CREATED_PHONE_ONLY, DELETED};
use crate::support::provider::{Page, key_set};
use crate::support::signer::{Signer, base64url, ed25519, p256, rsa};

async fn current(app: &TestApp, token: &str) -> String {
    app.client.get_as(token, "/v1/users/current").await.brief()
}

/// A token with the usual claims except for these; null removes a claim.
fn token(app: &TestApp, signer: &Signer, differing: &Value) -> String {
    let mut claims = app.claims(ADA);
    for (name, value) in differing.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    signer.token(&claims)
}

async fn a_token_finds_its_users_row(app: &TestApp) {
    let early = app.client.get_as(&app.token(ADA), "/v1/users/current").await;
    assert_eq!(early.brief(), "404 user_not_synced");
    assert_eq!(early.header("retry-after"), "1");
    app.client.deliver(CREATED).await;
    let found = app.client.get_as(&app.token(ADA), "/v1/users/current").await;
    assert_eq!(found.json(), app.client.rows().await[0]);
    assert_eq!(found.json()["email"], "ada@example.com", "the provider's word, not the token's");
}

on_both_databases!(a_token_finds_its_users_row);

async fn a_deleted_users_token_stops_at_once(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let token = app.token(ADA);
    assert_eq!(app.client.get_as(&token, "/v1/users/current").await.status, 200);
    app.client.deliver(DELETED).await;
    for path in ["/v1/users/current", "/v1/identity"] {
        assert_eq!(app.client.get_as(&token, path).await.brief(), "410 user_deleted", "{path}");
    }
}

on_both_databases!(a_deleted_users_token_stops_at_once);

async fn the_identity_is_returned_with_and_without_a_row(app: &TestApp) {
    let identity = app.client.get_as(&app.token(ADA), "/v1/identity").await;
    assert_eq!(identity.status, 200);
    let issuer = app.provider.url("");
    assert_eq!(
        identity.json(),
        json!({
            "tokenIdentifier": format!("{issuer}|{ADA}"), "subject": ADA, "issuer": issuer,
            "email": "claimed@example.com",
        })
    );
}

on_both_databases!(the_identity_is_returned_with_and_without_a_row);

async fn every_algorithm_of_the_rule_is_accepted(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let (elliptic, edwards) = (p256("key_2"), ed25519("key_3"));
    app.provider.publish(&[&app.signer, &elliptic, &edwards]);
    for signer in [&app.signer, &elliptic, &edwards] {
        let asked = app.client.get_as(&token(app, signer, &json!({})), "/v1/users/current").await;
        assert_eq!(asked.status, 200, "{} {}", signer.alg(), asked.text);
    }
}

on_both_databases!(every_algorithm_of_the_rule_is_accepted);

async fn a_token_that_fails_a_check_is_refused(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let now = app.clock.now().as_seconds();
    for (differing, expected) in [
        (json!({"iss": "https://elsewhere.example"}), "401 no_auth_provider"),
        (json!({"iss": null}), "401 no_auth_provider"),
        (json!({"aud": "another-app"}), "401 no_auth_provider"),
        (json!({"aud": null}), "401 no_auth_provider"),
        (json!({"exp": now - 5}), "401 unauthenticated"),
        (json!({"exp": null}), "401 unauthenticated"),
        (json!({"exp": "tomorrow"}), "401 unauthenticated"),
        (json!({"nbf": now + 6}), "401 unauthenticated"),
        (json!({"iat": now + 6}), "401 unauthenticated"),
        (json!({"iat": null}), "401 unauthenticated"),
        (json!({"sub": ""}), "401 unauthenticated"),
        (json!({"sub": null}), "401 unauthenticated"),
        (json!({"sub": 7}), "401 unauthenticated"),
        (json!({"sub": "a\u{0}b"}), "401 unauthenticated"),
        (json!({"sub": "x".repeat(513)}), "401 unauthenticated"),
    ] {
        let asked = app.client.get_as(&token(app, &app.signer, &differing), "/v1/users/current").await;
        assert_eq!(asked.brief(), expected, "{differing}");
        assert_eq!(asked.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    for differing in
        [json!({"exp": now - 4}), json!({"nbf": now + 5, "iat": now + 5}), json!({"aud": ["x", "convex"]})]
    {
        let asked = app.client.get_as(&token(app, &app.signer, &differing), "/v1/users/current").await;
        assert_eq!(asked.status, 200, "{differing}");
    }
}

on_both_databases!(a_token_that_fails_a_check_is_refused);

async fn a_token_that_its_issuer_did_not_sign_is_refused(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let claims = app.claims(ADA);
    let unsigned =
        format!("{}.{}.", base64url(r#"{"alg":"none","kid":"key_1"}"#), base64url(claims.to_string()));
    assert_eq!(current(app, &unsigned).await, "401 unauthenticated");
    let confused = jsonwebtoken::encode(
        &jsonwebtoken::Header { kid: Some("key_1".to_owned()), ..jsonwebtoken::Header::default() },
        &claims,
        &jsonwebtoken::EncodingKey::from_secret(&app.signer.public_der()),
    );
    assert_eq!(current(app, &confused.unwrap()).await, "401 unauthenticated");
    let stranger = p256("key_1");
    assert_eq!(current(app, &stranger.token(&claims)).await, "401 unauthenticated");
    let lying = stranger.token_with(&json!({"alg": "RS256", "kid": "key_1", "jwk": stranger.jwk()}), &claims);
    assert_eq!(current(app, &lying).await, "401 unauthenticated");
    let critical = app.signer.token_with(&json!({"alg": "RS256", "kid": "key_1", "crit": ["exp"]}), &claims);
    assert_eq!(current(app, &critical).await, "401 unauthenticated");
    let mut changed = app.token(ADA).into_bytes();
    let last = changed.len() - 10;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    assert_eq!(current(app, &String::from_utf8(changed).unwrap()).await, "401 unauthenticated");
}

on_both_databases!(a_token_that_its_issuer_did_not_sign_is_refused);

async fn a_string_that_is_not_a_token_is_refused_with_the_reason(app: &TestApp) {
    let get = || app.client.request(Method::GET, "/v1/users/current");
    let huge = format!("Bearer {}", "x".repeat(20_000));
    for header in [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a.b",
        "Bearer a.b.c.d",
        "Bearer é",
        "Bearer ...",
        &huge,
    ] {
        let refused = answer(get().header("authorization", header)).await;
        assert_eq!(refused.brief(), "401 invalid_auth_header", "{header:.20}");
    }
    assert_eq!(answer(get()).await.header("www-authenticate"), "Bearer");
    let twice = get().header("authorization", "Bearer a").header("authorization", "Bearer b");
    assert_eq!(answer(twice).await.brief(), "401 invalid_auth_header");
    let lower = get().header("authorization", format!("bearer {}", app.token(ADA)));
    assert_eq!(answer(lower).await.brief(), "404 user_not_synced", "the scheme's case does not matter");
}

on_both_databases!(a_string_that_is_not_a_token_is_refused_with_the_reason);

/// A rule with its keys in the configuration, beside the discovered one.
fn with_inline_keys(config: &mut usersync::internals::config::Config) {
    let kind = RuleKind::CustomJwt {
        issuer: "https://custom.example/".to_owned(),
        jwks: JwksLocation::Inline(key_set(&[&rsa("key_1")])),
        algorithm: Algorithm::Rs256,
    };
    let parties = vec!["https://app.example".to_owned()];
    config.sources[0].tokens.push(TokenRule {
        kind,
        application_id: None,
        authorized_parties: parties,
        allow_pending_sessions: true,
        subject_separator: None,
    });
}

async fn a_custom_jwt_rule_checks_the_party_instead_of_the_audience(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let iss = "https://custom.example";
    for (azp, expected) in
        [(json!("https://app.example"), 200), (json!("https://other.example"), 401), (Value::Null, 401)]
    {
        let differing = json!({"iss": iss, "aud": null, "azp": azp, "iat": null});
        let asked = app.client.get_as(&token(app, &app.signer, &differing), "/v1/users/current").await;
        assert_eq!(asked.status, expected, "{differing} {}", asked.text);
    }
    let mut claims = app.claims(ADA);
    claims["iss"] = json!(iss);
    claims["azp"] = json!("https://app.example");
    claims["sts"] = json!("pending");
    assert_eq!(
        current(app, &app.signer.token(&claims)).await.split(' ').next(),
        Some("200"),
        "this rule lets it in"
    );
    let nameless = app.signer.token_with(&json!({"alg": "RS256"}), &claims);
    assert_eq!(current(app, &nameless).await, "401 unauthenticated", "kid is required");
}

on_both_databases!(a_custom_jwt_rule_checks_the_party_instead_of_the_audience, configured by with_inline_keys);

async fn a_session_that_is_not_complete_is_refused(app: &TestApp) {
    app.client.deliver(CREATED).await;
    for (status, expected) in [("pending", 401), ("active", 200)] {
        let token = token(app, &app.signer, &json!({"sts": status}));
        assert_eq!(app.client.get_as(&token, "/v1/users/current").await.status, expected, "{status}");
    }
}

on_both_databases!(a_session_that_is_not_complete_is_refused);

async fn two_tokens_of_two_users_get_their_own_rows(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(CREATED_PHONE_ONLY).await;
    let phone = "user_2tPhone000000000000000000003";
    let found = app.client.get_as(&app.token(phone), "/v1/users/current").await.json();
    assert_eq!((&found["externalId"], &found["phoneNumber"]), (&json!(phone), &json!("+15555550100")));
    assert_eq!(current(app, &app.token("user_nobody")).await, "404 user_not_synced");
}

on_both_databases!(two_tokens_of_two_users_get_their_own_rows);

async fn a_new_key_is_found_at_once_and_a_failing_provider_breaks_nothing(app: &TestApp) {
    assert_eq!(current(app, &app.token(ADA)).await, "404 user_not_synced");
    let other = rsa("key_unheard_of");
    app.provider.page("/jwks", Page::status(500));
    assert_eq!(current(app, &other.token(&app.claims(ADA))).await, "401 unauthenticated", "not an outage");
    assert_eq!(
        current(app, &app.token(ADA)).await,
        "404 user_not_synced",
        "the keys that are held stay good"
    );
    app.provider.publish(&[&other]);
    app.clock.advance(Duration::from_secs(31));
    assert_eq!(current(app, &other.token(&app.claims(ADA))).await, "404 user_not_synced");
    assert_eq!(
        current(app, &app.token(ADA)).await,
        "401 unauthenticated",
        "the old key left with the new set"
    );
}

on_both_databases!(a_new_key_is_found_at_once_and_a_failing_provider_breaks_nothing);
