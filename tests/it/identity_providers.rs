//! An identity provider that is down, is slow, or sends invalid answers: usersync gives a clear answer within bounded
//! time.

use std::time::{Duration, Instant};

use serde_json::json;
use usersync::internals::config::Config;

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::provider::Page;

/// A port on which no process listens.
const UNUSED_ADDRESS: &str = "http://127.0.0.1:9";

fn with_unreachable_provider(config: &mut Config) {
    use usersync::internals::config::RuleKind;
    if let RuleKind::Oidc { domain, .. } = &mut config.sources[0].tokens[0].kind {
        *domain = UNUSED_ADDRESS.parse().unwrap();
    }
}

async fn an_unreachable_provider_is_503_at_once_and_webhooks_still_work(app: &TestApp) {
    let mut claims = app.claims(ADA);
    claims["iss"] = json!(UNUSED_ADDRESS);
    for _ in 0..20 {
        let asked = app.client.get_as(&app.signer.token(&claims), "/v1/users/current").await;
        assert_eq!(asked.brief(), "503 keys_unavailable");
        assert_eq!(asked.header("retry-after"), "5");
    }
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
}

on_both_databases!(an_unreachable_provider_is_503_at_once_and_webhooks_still_work, configured by with_unreachable_provider);

/// What the provider answers at `/jwks` and what a token then gets; each on a service that has no keys yet.
async fn with_jwks(app: &TestApp, page: Page) -> (String, Duration) {
    app.provider.page("/jwks", page);
    // Past the life of the keys fetched at the start, and past the timeout with a failing provider.
    app.clock.advance(Duration::from_hours(2));
    let started = Instant::now();
    let asked = app.client.get_as(&app.token(ADA), "/v1/users/current").await;
    (asked.brief(), started.elapsed())
}

async fn an_invalid_answer_leaves_the_last_good_keys_in_use(app: &TestApp) {
    // The keys are fetched before the provider fails.
    let first = app.client.get_as(&app.token(ADA), "/v1/users/current").await;
    assert_eq!(first.brief(), "404 user_not_synced");
    let huge = format!("{{\"keys\":[],\"padding\":\"{}\"}}", "x".repeat(2 << 20));
    for page in [
        Page::status(500),
        Page::ok("<html>maintenance</html>"),
        Page::ok("{}"),
        Page::gzip(&huge),
        Page::ok(huge),
        Page::ok("{}").with("content-encoding", "br"),
        Page::redirect("http://192.0.2.1/jwks"),
    ] {
        let (brief, _) = with_jwks(app, page).await;
        assert_eq!(brief, "404 user_not_synced");
    }
}

on_both_databases!(an_invalid_answer_leaves_the_last_good_keys_in_use);

async fn keys_that_are_compressed_unasked_are_read(app: &TestApp) {
    let signer = crate::support::signer::p256("compressed");
    let document = json!({"issuer": app.provider.url(""), "jwks_uri": app.provider.url("/jwks")});
    app.provider.page("/.well-known/openid-configuration", Page::gzip(&document.to_string()));
    app.provider.page("/jwks", Page::gzip(&json!({"keys": [signer.jwk()]}).to_string()));
    app.clock.advance(Duration::from_hours(2));
    let asked = app.client.get_as(&signer.token(&app.claims(ADA)), "/v1/users/current").await;
    assert_eq!(asked.brief(), "404 user_not_synced");
}

on_both_databases!(keys_that_are_compressed_unasked_are_read);

fn with_short_timeout(config: &mut Config) {
    config.tokens.fetch_timeout = Duration::from_millis(300);
}

async fn a_slow_provider_is_waited_for_no_longer_than_configured(app: &TestApp) {
    let first = app.client.get_as(&app.token(ADA), "/v1/users/current").await;
    assert_eq!(first.brief(), "404 user_not_synced");
    let slow = Page::ok("{}").after(Duration::from_mins(1));
    let (brief, elapsed) = with_jwks(app, slow).await;
    assert_eq!(brief, "404 user_not_synced", "the last good keys");
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
}

on_both_databases!(a_slow_provider_is_waited_for_no_longer_than_configured, configured by with_short_timeout);

async fn a_provider_without_keys_is_401_and_not_503(app: &TestApp) {
    let (brief, _) = with_jwks(app, Page::ok(r#"{"keys":[]}"#)).await;
    assert_eq!(brief, "401 unauthenticated");
}

on_both_databases!(a_provider_without_keys_is_401_and_not_503);

async fn many_unknown_keys_cause_one_fetch(app: &TestApp) {
    assert_eq!(app.client.get_as(&app.token(ADA), "/v1/users/current").await.status, 404);
    let before = app.provider.key_requests();
    let flood = (0..30).map(|number| {
        let token = crate::support::signer::rsa(&format!("invented_{number}")).token(&app.claims(ADA));
        async move { app.client.get_as(&token, "/v1/users/current").await.brief() }
    });
    for refused in futures_util::future::join_all(flood).await {
        assert_eq!(refused, "401 unauthenticated");
    }
    assert_eq!(app.provider.key_requests() - before, 1);
}

on_both_databases!(many_unknown_keys_cause_one_fetch);
