//! Verified tokens and rows are cached. Each rule of the caches is a test.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Database};
use secrecy::ExposeSecret;
use serde_json::json;
use usersync::internals::domain::UserKey;
use usersync::internals::jobs::Jobs;
use usersync::internals::sync::{CachedLookup, Feed, UserCache};

use crate::support::app::TestApp;
use crate::support::client::fixture::{
    ADA, CREATED, CREATED_GOOGLE, CREATED_PHONE_ONLY, DELETED, GRACE, UPDATED,
};
use crate::support::signer::rsa;

const CURRENT: &str = "/v1/users/current";
/// The user of `CREATED_PHONE_ONLY`.
const USER_WITH_INVALID_ROW: &str = "user_2tPhone000000000000000000003";

async fn name(app: &TestApp, token: &str) -> String {
    let answer = app.client.get_as(token, CURRENT).await;
    answer.json().get("name").map_or_else(|| answer.brief(), |name| name.as_str().unwrap().to_owned())
}

async fn a_token_is_cached_no_longer_than_it_is_valid(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let token = app.token(ADA);
    assert_eq!(name(app, &token).await, "Ada Lovelace");
    app.clock.advance(Duration::from_secs(64));
    assert_eq!(name(app, &token).await, "Ada Lovelace", "within the leeway");
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(name(app, &token).await, "401 unauthenticated");
}

on_both_databases!(a_token_is_cached_no_longer_than_it_is_valid);

async fn a_cached_token_is_refused_when_its_key_leaves_the_key_set(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let mut claims = app.claims(ADA);
    claims["exp"] = json!(app.clock.now().as_seconds() + 86_400);
    let token = app.signer.token(&claims);
    assert_eq!(name(app, &token).await, "Ada Lovelace");
    app.provider.publish(&[&rsa("another")]);
    // The cached keys have expired: the next request waits for the new key set.
    app.clock.advance(Duration::from_mins(11));
    assert_eq!(name(app, &token).await, "401 unauthenticated");
}

on_both_databases!(a_cached_token_is_refused_when_its_key_leaves_the_key_set);

async fn a_change_made_by_this_replica_is_visible_at_once(app: &TestApp) {
    let token = app.token(ADA);
    app.client.deliver(CREATED).await;
    assert_eq!(name(app, &token).await, "Ada Lovelace");
    app.client.deliver(UPDATED).await;
    assert_eq!(name(app, &token).await, "Ada King");
    app.client.deliver(DELETED).await;
    assert_eq!(name(app, &token).await, "410 user_deleted");
}

on_both_databases!(a_change_made_by_this_replica_is_visible_at_once);

async fn a_change_made_by_another_replica_is_visible_within_a_second(app: &TestApp) {
    let (service, other) = app.replica().await;
    let token = app.token(ADA);
    app.client.deliver(CREATED).await;
    assert_eq!(other.get_as(&token, CURRENT).await.json()["name"], "Ada Lovelace");
    app.client.deliver(UPDATED).await;
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(other.get_as(&token, CURRENT).await.json()["name"], "Ada King");
    app.client.deliver(DELETED).await;
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(other.get_as(&token, CURRENT).await.brief(), "410 user_deleted");
    service.stop().await.unwrap();
}

on_both_databases!(a_change_made_by_another_replica_is_visible_within_a_second);

async fn a_change_without_a_notification_is_visible_within_a_second(app: &TestApp) {
    let token = app.token(ADA);
    app.client.deliver(CREATED).await;
    let database = Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    let read = std::time::Instant::now();
    assert_eq!(name(app, &token).await, "Ada Lovelace");
    database.execute_unprepared("UPDATE users SET name = 'Somebody'").await.unwrap();
    let shown = name(app, &token).await;
    // A machine so slow that the second was over by then proves nothing.
    assert!(shown == "Ada Lovelace" || read.elapsed() > Duration::from_millis(900), "it is cached: {shown}");
    database.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(name(app, &token).await, "Somebody");
}

on_both_databases!(a_change_without_a_notification_is_visible_within_a_second);

async fn concurrent_callers_share_one_read(app: &TestApp) {
    let users = UserCache::new(&Jobs::default(), &app.store, Feed::default());
    app.client.deliver(CREATED).await;
    let ada = UserKey::new("clerk", ADA);
    let found = join_all((0..100).map(|_| users.get(&ada))).await;
    let rows: Vec<_> = found
        .iter()
        .map(|found| match found {
            Ok(CachedLookup::Row(user)) => user,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(rows.iter().all(|row| Arc::ptr_eq(row, rows[0])));
}

on_both_databases!(concurrent_callers_share_one_read);

async fn users_read_by_one_statement_are_each_answered_by_themselves(app: &TestApp) {
    for event in [CREATED_GOOGLE, CREATED_PHONE_ONLY, DELETED] {
        app.client.deliver(event).await;
    }
    // A row with an invalid id must not affect the other users.
    let database = Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    let spoil = "UPDATE users SET id = 'spoilt' WHERE name IS NULL";
    assert_eq!(database.execute_unprepared(spoil).await.unwrap().rows_affected(), 1);
    database.close().await.unwrap();
    let users = UserCache::new(&Jobs::default(), &app.store, Feed::default());
    let nobody = (0..300).map(|number| format!("user_nobody_{number}"));
    let asked: Vec<String> = nobody.chain([ADA, GRACE, USER_WITH_INVALID_ROW].map(str::to_owned)).collect();
    let keys: Vec<UserKey> = asked.iter().map(|id| UserKey::new("clerk", id)).collect();
    for (key, found) in keys.iter().zip(join_all(keys.iter().map(|key| users.get(key))).await) {
        match (&*key.external_id, found) {
            (GRACE, Ok(CachedLookup::Row(user))) => assert_eq!(user.key, *key),
            (ADA, Ok(CachedLookup::NoRow(Some(_)))) | (USER_WITH_INVALID_ROW, Err(_)) => {}
            (id, Ok(CachedLookup::NoRow(None))) if id.starts_with("user_nobody_") => {}
            other => panic!("{other:?}"),
        }
    }
}

on_both_databases!(users_read_by_one_statement_are_each_answered_by_themselves);
