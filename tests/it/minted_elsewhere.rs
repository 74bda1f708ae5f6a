//! Tokens signed by the libraries that identity providers are built with; each library writes keys in its own way.

use serde_json::{Value, json};
use usersync::internals::config::{Algorithm, JwksLocation, RuleKind};

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::peers::{JOSE, PYJWT, Peer, RunningScript};
use crate::support::provider::Page;

const ALGORITHMS: [(&str, Algorithm); 3] =
    [("RS256", Algorithm::Rs256), ("ES256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa)];

/// A token signed with an algorithm's own key, and the key set so far.
async fn mint(peer: &mut RunningScript, algorithm: &str, claims: &Value) -> (String, String) {
    let kid = format!("key of {algorithm}");
    let said = peer.ask(&json!({"algorithm": algorithm, "kid": kid, "claims": claims})).await;
    (said["token"].as_str().unwrap().to_owned(), said["jwks"].to_string())
}

/// A token by every algorithm, and the key set of them all.
async fn mint_all(peer: &mut RunningScript, claims: &Value) -> (Vec<String>, String) {
    let (mut tokens, mut all) = (Vec::new(), String::new());
    for (name, _) in ALGORITHMS {
        let (token, jwks) = mint(peer, name, claims).await;
        tokens.push(token);
        all = jwks;
    }
    (tokens, all)
}

async fn current(app: &TestApp, token: &str) -> String {
    app.client.get_as(token, "/v1/users/current").await.brief()
}

/// By discovery: the rule accepts every algorithm, and the provider publishes the address of the keys.
async fn is_found_by_discovery(app: &TestApp, peer: &Peer) {
    let Some(mut peer) = peer.start() else { return };
    let (tokens, jwks) = mint_all(&mut peer, &app.claims(ADA)).await;
    app.provider.page("/jwks", Page::ok(jwks));
    app.client.deliver(CREATED).await;
    for token in &tokens {
        assert_eq!(current(app, token).await, "200 -", "{token}");
    }
    let now = app.clock.now().as_seconds();
    for (claim, value, expected) in [
        ("aud", json!("another-app"), "401 no_auth_provider"),
        ("iss", json!("https://elsewhere.example"), "401 no_auth_provider"),
        ("exp", json!(now - 6), "401 unauthenticated"),
        ("nbf", json!(now + 6), "401 unauthenticated"),
    ] {
        let mut claims = app.claims(ADA);
        claims[claim] = value;
        for token in mint_all(&mut peer, &claims).await.0 {
            assert_eq!(current(app, &token).await, expected, "{claim}");
        }
    }
}

/// Tokens signed with other keys that have the same key ids.
async fn is_refused_by_other_keys(app: &TestApp, peer: &Peer) {
    let Some(mut ours) = peer.start() else { return };
    let mut theirs = peer.start().unwrap();
    let (tokens, _) = mint_all(&mut theirs, &app.claims(ADA)).await;
    let (good, jwks) = mint_all(&mut ours, &app.claims(ADA)).await;
    app.provider.page("/jwks", Page::ok(jwks));
    for (token, good) in tokens.iter().zip(&good) {
        assert_eq!(current(app, good).await, "404 user_not_synced");
        assert_eq!(current(app, token).await, "401 unauthenticated");
    }
}

/// By a rule with the keys written in it: one algorithm, and no audience.
async fn is_known_by_its_configuration(app: &TestApp, peer: &Peer) {
    let Some(mut peer) = peer.start() else { return };
    let claims = json!({
        "iss": "https://custom.example", "sub": "user_7", "exp": app.clock.now().as_seconds() + 60,
        "org": {"id": "org_1", "roles": ["admin"]},
    });
    let (tokens, jwks) = mint_all(&mut peer, &claims).await;
    for (token, (_, algorithm)) in tokens.iter().zip(ALGORITHMS) {
        let mut config = app.config.clone();
        let jwks = JwksLocation::Inline(jwks.clone());
        let rule = &mut config.sources[0].tokens[0];
        rule.kind = RuleKind::CustomJwt { issuer: "custom.example".to_owned(), jwks, algorithm };
        rule.application_id = None;
        let (service, client) = app.replica_of(&config).await;
        assert_eq!(
            client.get_as(token, "/v1/identity").await.json(),
            json!({
                "tokenIdentifier": "https://custom.example|user_7", "subject": "user_7",
                "issuer": "https://custom.example", "org.id": "org_1", "org.roles": ["admin"],
            })
        );
        for other in tokens.iter().filter(|other| *other != token) {
            assert_eq!(client.get_as(other, "/v1/identity").await.brief(), "401 unauthenticated");
        }
        service.stop().await.unwrap();
    }
}

async fn what_jose_mints_is_found_by_discovery(app: &TestApp) {
    is_found_by_discovery(app, &JOSE).await;
}

on_both_databases!(what_jose_mints_is_found_by_discovery);

async fn what_jose_mints_is_known_by_its_configuration(app: &TestApp) {
    is_known_by_its_configuration(app, &JOSE).await;
}

on_both_databases!(what_jose_mints_is_known_by_its_configuration);

async fn what_jose_mints_with_other_keys_is_refused(app: &TestApp) {
    is_refused_by_other_keys(app, &JOSE).await;
}

on_both_databases!(what_jose_mints_with_other_keys_is_refused);

async fn what_pyjwt_mints_is_found_by_discovery(app: &TestApp) {
    is_found_by_discovery(app, &PYJWT).await;
}

on_both_databases!(what_pyjwt_mints_is_found_by_discovery);

async fn what_pyjwt_mints_is_known_by_its_configuration(app: &TestApp) {
    is_known_by_its_configuration(app, &PYJWT).await;
}

on_both_databases!(what_pyjwt_mints_is_known_by_its_configuration);

async fn what_pyjwt_mints_with_other_keys_is_refused(app: &TestApp) {
    is_refused_by_other_keys(app, &PYJWT).await;
}

on_both_databases!(what_pyjwt_mints_with_other_keys_is_refused);
