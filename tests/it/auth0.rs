//! Auth0, configured by its variables alone: partial updates, test events, and ids that are reused.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use usersync::internals::config::{Config, RuleKind};

use crate::support::app::{APPLICATION_ID, NOW, TestApp};
use crate::support::client::SignedRequest;
use crate::support::senders::{AUTH0, sources};

const CREATED: &str = include_str!("../fixtures/auth0/user_created.json");
const UPDATED: &str = include_str!("../fixtures/auth0/user_updated.json");
const PARTIAL: &str = include_str!("../fixtures/auth0/user_updated_partial.json");
const OLDER_NAMES: &str = include_str!("../fixtures/auth0/user_created_older_names.json");
const TEST: &str = include_str!("../fixtures/auth0/user_created_test.json");
const SOCIAL_CREATED: &str = include_str!("../fixtures/auth0/social_user_created.json");
const SOCIAL_DELETED: &str = include_str!("../fixtures/auth0/social_user_deleted.json");
const SOCIAL_UPDATED_LATE: &str = include_str!("../fixtures/auth0/social_user_updated_late.json");
const SOCIAL_CREATED_AGAIN: &str = include_str!("../fixtures/auth0/social_user_created_again.json");
const SOCIAL: &str = "google-oauth2|100000000000000000001";

const HOUR: i64 = 3_600;

/// Replaces the usual source by the one that the variables make, with the issuer of the tests.
fn by_variables(config: &mut Config) {
    let RuleKind::Oidc { domain, .. } = &config.sources[0].tokens[0].kind else { unreachable!() };
    let tokens = [("AUTH0_DOMAIN", domain.as_str()), ("AUTH0_CLIENT_ID", APPLICATION_ID)];
    config.sources = sources("", &[&AUTH0[..], &tokens].concat());
}

async fn deliver(app: &TestApp, body: &str) -> String {
    let headers = vec![("authorization", "Bearer token-in-use".to_owned())];
    let wire = SignedRequest { path: "/webhooks/auth0".to_owned(), headers, body: body.into() };
    app.client.send(wire).await.brief()
}

/// The answer to a token of the social user that was issued this many hours ago.
async fn current(app: &TestApp, hours_ago: i64) -> String {
    let mut claims = app.claims(SOCIAL);
    claims["iat"] = json!(NOW - hours_ago * HOUR);
    let answer = app.client.get_as(&app.signer.token(&claims), "/v1/users/current").await;
    if answer.status == 200 { "200".to_owned() } else { answer.brief() }
}

async fn an_update_sets_only_what_it_carries(app: &TestApp) {
    for body in [CREATED, PARTIAL, UPDATED] {
        assert_eq!(deliver(app, body).await, "200 applied");
    }
    let row = &app.client.rows().await[0];
    assert_eq!(row["name"], "Ada King");
    assert_eq!(row["nickname"], "ada", "a username that comes alone says nothing of the nickname");
    assert_eq!((&row["phoneNumber"], &row["phoneNumberVerified"]), (&json!("+15555550100"), &json!(true)));
    assert_eq!(row["metadata"], json!({"theme": "light"}), "never app_metadata");
    assert_eq!(row["updatedAt"], "2026-01-02T18:00:00Z");
}

on_both_databases!(an_update_sets_only_what_it_carries, configured by by_variables);

async fn older_event_names_are_understood_and_the_username_replaces_a_missing_nickname(app: &TestApp) {
    assert_eq!(deliver(app, OLDER_NAMES).await, "200 applied");
    let row = &app.client.rows().await[0];
    assert_eq!((&row["externalId"], &row["nickname"]), (&json!("github|1000001"), &json!("linus_t")));
}

on_both_databases!(older_event_names_are_understood_and_the_username_replaces_a_missing_nickname, configured by by_variables);

async fn a_test_event_is_accepted_and_makes_no_user(app: &TestApp) {
    assert_eq!(deliver(app, TEST).await, "200 ignored");
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_test_event_is_accepted_and_makes_no_user, configured by by_variables);

async fn an_event_without_the_time_of_creation_is_parked(app: &TestApp) {
    let mut event: Value = serde_json::from_str(CREATED).unwrap();
    event["data"]["object"].as_object_mut().unwrap().remove("created_at");
    assert_eq!(deliver(app, &event.to_string()).await, "200 parked");
    app.expect_parked(1);
}

on_both_databases!(an_event_without_the_time_of_creation_is_parked, configured by by_variables);

async fn a_person_who_signs_up_again_is_a_new_user_with_the_old_external_id(app: &TestApp) {
    assert_eq!(deliver(app, SOCIAL_CREATED).await, "200 applied");
    let first = app.client.rows().await.remove(0);
    assert_eq!((current(app, 70).await, current(app, 0).await), ("200".into(), "200".into()));

    // 51 hours ago. A token from before stops; one from after belongs to the next lifetime.
    assert_eq!(deliver(app, SOCIAL_DELETED).await, "200 applied");
    assert_eq!(current(app, 70).await, "410 user_deleted");
    assert_eq!(current(app, 0).await, "404 user_not_synced");
    assert_eq!(deliver(app, SOCIAL_UPDATED_LATE).await, "200 stale");
    assert!(app.client.rows().await.is_empty());

    assert_eq!(deliver(app, SOCIAL_CREATED_AGAIN).await, "200 applied");
    let second = app.client.rows().await.remove(0);
    assert_eq!(second["externalId"], first["externalId"]);
    assert_ne!(second["id"], first["id"]);
    assert_eq!(second["name"], "Grace Murray");
    assert_eq!((&second["nickname"], &second["metadata"]), (&Value::Null, &Value::Null), "of the old life");
    assert_eq!(current(app, 70).await, "410 user_deleted", "it was issued to the deleted user");
    assert_eq!(current(app, 0).await, "200");

    // Sent again under another id, the deletion of the first life leaves the second alone.
    let again = SOCIAL_DELETED.replace("gra2", "gra5");
    assert_eq!(deliver(app, &again).await, "200 stale");
    assert_eq!(app.client.rows().await, [second]);
}

on_both_databases!(a_person_who_signs_up_again_is_a_new_user_with_the_old_external_id, configured by by_variables);

async fn a_late_deletion_of_an_earlier_lifetime_writes_no_row_and_sends_no_event(app: &TestApp) {
    assert_eq!(deliver(app, SOCIAL_CREATED_AGAIN).await, "200 applied");
    let living = app.client.rows().await;
    let request = app.client.request(Method::GET, "/v1/users/current/stream");
    let mut stream = request.bearer_auth(app.token(SOCIAL)).send().await.unwrap();
    let first = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(first.starts_with("event: user\n") && first.contains("Grace Murray"), "{first}");

    app.clock.advance(Duration::from_mins(1));
    // Of the lifetime before: the tombstone is new, but the living row stays as it is.
    assert_eq!(deliver(app, SOCIAL_DELETED).await, "200 applied");
    assert_eq!(app.client.rows().await, living, "not even the time of writing");
    let renamed = SOCIAL_CREATED_AGAIN
        .replace("gra4", "gra6")
        .replace("Grace Murray", "Grace Hopper")
        .replace(r#""updated_at": "2026-01-03T09"#, r#""updated_at": "2026-01-03T10"#);
    assert_eq!(deliver(app, &renamed).await, "200 applied");
    let next = String::from_utf8(stream.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(next.starts_with("event: user\n") && next.contains("Grace Hopper"), "{next}");
}

on_both_databases!(
    a_late_deletion_of_an_earlier_lifetime_writes_no_row_and_sends_no_event,
    configured by by_variables
);
