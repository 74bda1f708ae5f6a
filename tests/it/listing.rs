//! `GET /v1/users` with a service key.

use serde_json::{Value, json};
use usersync::internals::domain::Timestamp;

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED};

/// Creates this many users, numbered in order.
async fn people(app: &TestApp, count: usize) {
    for number in 0..count {
        let body =
            CREATED.replace(ADA, &format!("user_{number:03}")).replace("ada@", &format!("{}@", number % 2));
        assert_eq!(app.client.deliver(body).await, "200 applied");
    }
}

fn ids(page: &Value) -> Vec<&str> {
    page["users"].as_array().unwrap().iter().map(|user| user["externalId"].as_str().unwrap()).collect()
}

async fn pages_follow_each_other_in_order_of_creation(app: &TestApp) {
    people(app, 5).await;
    let first = app.client.list("?limit=2").await.json();
    assert_eq!(ids(&first), ["user_000", "user_001"]);
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = app.client.list(&format!("?limit=2&cursor={cursor}")).await.json();
    assert_eq!(ids(&second), ["user_002", "user_003"]);
    let cursor = second["nextCursor"].as_str().unwrap();
    let last = app.client.list(&format!("?limit=2&cursor={cursor}")).await.json();
    assert_eq!(ids(&last), ["user_004"]);
    assert_eq!(last["nextCursor"], Value::Null);
    assert_eq!(
        app.client.list("?limit=5").await.json()["nextCursor"],
        Value::Null,
        "exactly full is the last"
    );
}

on_both_databases!(pages_follow_each_other_in_order_of_creation);

async fn filters_narrow_the_list(app: &TestApp) {
    people(app, 4).await;
    assert_eq!(ids(&app.client.list("?externalId=user_002").await.json()), ["user_002"]);
    assert_eq!(ids(&app.client.list("?email=1@example.com").await.json()), ["user_001", "user_003"]);
    assert_eq!(ids(&app.client.list("?source=clerk&limit=1").await.json()), ["user_000"]);
    assert_eq!(app.client.list("?source=nobody").await.json(), json!({"users": [], "nextCursor": null}));
}

on_both_databases!(filters_narrow_the_list);

async fn an_invalid_query_is_refused(app: &TestApp) {
    for query in
        ["?limit=0", "?limit=201", "?limit=-1", "?limit=many", "?cursor=x", "?nobody=knows", "?email=%00"]
    {
        assert_eq!(app.client.list(query).await.brief(), "400 invalid_query", "{query}");
    }
    assert_eq!(app.client.list("?limit=200").await.status, 200);
}

on_both_databases!(an_invalid_query_is_refused);

async fn only_an_active_service_key_may_list(app: &TestApp) {
    assert_eq!(app.client.get("/v1/users").await.brief(), "401 invalid_auth_header");
    for stranger in ["usk_0000", &app.token(ADA), &app.client.service_key()[1..]] {
        assert_eq!(app.client.get_as(stranger, "/v1/users").await.brief(), "401 unauthenticated");
    }
    assert_eq!(app.client.list("").await.status, 200);
    app.store.api_keys().revoke("tests", Timestamp::EPOCH).await.unwrap();
    assert_eq!(app.client.list("").await.brief(), "401 unauthenticated");
}

on_both_databases!(only_an_active_service_key_may_list);
