//! Service keys: their scopes, the time of their last use, and that a revoked key is refused.

use std::time::{Duration, Instant};

use usersync::internals::auth::service_key::ServiceKey;
use usersync::internals::domain::{Scope, Scopes, Timestamp};
use usersync::internals::store::ApiKey;

use crate::support::app::TestApp;

const MINUTE: Duration = Duration::from_mins(1);
const ROUTES: [&str; 3] = ["/v1/users", "/v1/users?ids=", "/v1/users/01a20884-80f7-7520-90ce-8858c5ec0504"];

/// A new key that may do this much.
async fn key(app: &TestApp, scopes: Scopes) -> String {
    let key = ServiceKey::generate().unwrap();
    let row = ApiKey::new(scopes.to_string(), key.prefix(), scopes, &app.clock);
    app.store.api_keys().insert(row, key.hash()).await.unwrap();
    key.reveal().to_owned()
}

async fn last_used(app: &TestApp) -> Option<Timestamp> {
    app.store.api_keys().list().await.unwrap()[0].last_used_at
}

/// Waits for what is written beside the requests.
async fn until_last_used(app: &TestApp, expected: Timestamp) {
    let started = Instant::now();
    while last_used(app).await != Some(expected) {
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}, not {expected}", last_used(app).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_key_may_do_what_its_scopes_allow(app: &TestApp) {
    let none = key(app, Scopes::default()).await;
    let admin = key(app, [Scope::Admin].into_iter().collect()).await;
    for path in ROUTES {
        let refused = app.client.get_as(&none, path).await;
        assert_eq!(refused.brief(), "403 insufficient_scope", "{path}");
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"users:read\"";
        assert_eq!(refused.header("www-authenticate"), challenge);
        for allowed in [&admin, app.client.service_key()] {
            let status = app.client.get_as(allowed, path).await.status;
            assert!(status == 200 || status == 404, "{path}: {status}");
        }
    }
}

on_both_databases!(a_key_may_do_what_its_scopes_allow);

async fn the_last_use_is_recorded_once_a_minute(app: &TestApp) {
    assert_eq!(last_used(app).await, None);
    let first = app.clock.now();
    app.client.list("").await;
    until_last_used(app, first).await;

    let (service, other) = app.replica().await;
    app.clock.advance(MINUTE / 2);
    app.client.list("").await;
    other.list("").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(last_used(app).await, Some(first), "not by another replica either");

    app.clock.advance(MINUTE / 2);
    app.client.list("").await;
    until_last_used(app, app.clock.now()).await;
    service.stop().await.unwrap();
}

on_both_databases!(the_last_use_is_recorded_once_a_minute);

async fn a_revoked_key_stops_within_a_second_on_every_replica(app: &TestApp) {
    let (service, other) = app.replica().await;
    for client in [&app.client, &other] {
        assert_eq!(client.list("").await.status, 200);
    }
    app.store.api_keys().revoke("tests", app.clock.now()).await.unwrap();
    let revoked = Instant::now();
    for client in [&app.client, &other] {
        while client.list("").await.status == 200 {
            assert!(revoked.elapsed() < Duration::from_secs(1), "it still works");
        }
        assert_eq!(client.list("").await.brief(), "401 unauthenticated");
    }
    service.stop().await.unwrap();
}

on_both_databases!(a_revoked_key_stops_within_a_second_on_every_replica);
