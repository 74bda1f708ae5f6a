//! Looking users up, and forward authentication for a reverse proxy.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::answer;
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, DELETED, GRACE};

async fn ids(app: &TestApp) -> Vec<String> {
    app.client.rows().await.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

async fn a_user_gets_the_public_view_and_a_service_the_full_view(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(CREATED_GOOGLE).await;
    let [ada, grace] = ids(app).await.try_into().unwrap();
    let path = format!("/v1/users/{grace}");
    let public = app.client.get_as(&app.token(ADA), &path).await.json();
    assert_eq!(
        public,
        json!({
            "id": grace, "name": "Grace Hopper", "nickname": null,
            "pictureUrl": "https://img.clerk.com/eyJ0eXBlIjoicHJveHkifQ",
        })
    );
    let full = app.client.get_as(app.client.service_key(), &path).await.json();
    assert_eq!((&full["email"], &full["externalId"]), (&json!("grace@example.com"), &json!(GRACE)));

    let unknown = "01a20884-80f7-7520-90ce-8858c5ec0504";
    let listed =
        app.client.get_as(&app.token(ADA), &format!("/v1/users?ids={grace},{unknown},{ada},nonsense")).await;
    let names: Vec<Value> =
        listed.json()["users"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
    assert_eq!(names, ["Grace Hopper", "Ada Lovelace"], "in the order of the ids");
    assert_eq!(listed.json()["users"][0].get("email"), None);
    for nobody in [unknown, "nonsense", "%00"] {
        let missing = app.client.get_as(&app.token(ADA), &format!("/v1/users/{nobody}")).await;
        assert_eq!(missing.brief(), "404 user_not_found");
    }
}

on_both_databases!(a_user_gets_the_public_view_and_a_service_the_full_view);

async fn at_most_a_hundred_ids_are_accepted(app: &TestApp) {
    let asked = |count: usize| vec!["01a20884-80f7-7520-90ce-8858c5ec0504"; count].join(",");
    let key = app.client.service_key();
    let most = app.client.get_as(key, &format!("/v1/users?ids={}", asked(100))).await;
    assert_eq!(most.json(), json!({"users": []}));
    let more = app.client.get_as(key, &format!("/v1/users?ids={}", asked(101))).await;
    assert_eq!(more.brief(), "400 invalid_query");
    let mixed = app.client.get_as(key, "/v1/users?ids=&limit=5").await;
    assert_eq!(mixed.brief(), "400 invalid_query");
    let none = app.client.get_as(key, "/v1/users?ids=").await;
    assert_eq!(none.json(), json!({"users": []}));
}

on_both_databases!(at_most_a_hundred_ids_are_accepted);

async fn a_deleted_user_cannot_look_others_up(app: &TestApp) {
    app.client.deliver(CREATED_GOOGLE).await;
    app.client.deliver(DELETED).await;
    let grace = ids(app).await.remove(0);
    for path in [format!("/v1/users/{grace}"), format!("/v1/users?ids={grace}")] {
        assert_eq!(app.client.get_as(&app.token(ADA), &path).await.brief(), "410 user_deleted");
        assert_eq!(app.client.get(&path).await.brief(), "401 invalid_auth_header");
    }
}

on_both_databases!(a_deleted_user_cannot_look_others_up);

async fn a_proxy_gets_the_user_or_a_refusal(app: &TestApp) {
    assert_eq!(app.client.get("/v1/auth").await.brief(), "401 invalid_auth_header");
    assert_eq!(app.client.get_as("a.b.c", "/v1/auth").await.status, 401);
    assert_eq!(app.client.get_as(&app.token(ADA), "/v1/auth").await.brief(), "403 user_not_synced");
    app.client.deliver(CREATED).await;
    let passed = app.client.get_as(&app.token(ADA), "/v1/auth").await;
    assert_eq!((passed.status, passed.text.as_str()), (200, ""));
    assert_eq!(passed.header("x-user-id"), ids(app).await[0]);
    assert_eq!(passed.header("x-user-external-id"), ADA);
    assert_eq!(passed.header("x-user-source"), "clerk");
    assert_eq!(passed.header("x-user-email"), "ada@example.com");
    app.client.deliver(DELETED).await;
    assert_eq!(app.client.get_as(&app.token(ADA), "/v1/auth").await.brief(), "403 user_deleted");
}

on_both_databases!(a_proxy_gets_the_user_or_a_refusal);

async fn a_proxy_may_use_the_method_and_the_path_of_the_original_request(app: &TestApp) {
    app.client.deliver(CREATED).await;
    for (method, path) in [
        (Method::POST, "/v1/auth"),
        (Method::DELETE, "/v1/auth/messages/1?all=yes"),
        (Method::PUT, "/v1/auth/"),
    ] {
        let request = || app.client.request(method.clone(), path);
        assert_eq!(answer(request()).await.brief(), "401 invalid_auth_header");
        let passed = answer(request().bearer_auth(app.token(ADA))).await;
        assert_eq!((passed.status, passed.header("x-user-external-id")), (200, ADA), "{method} {path}");
    }
    assert_eq!(app.client.get_as(&app.token(ADA), "/v1/authority").await.brief(), "404 not_found");
}

on_both_databases!(a_proxy_may_use_the_method_and_the_path_of_the_original_request);
