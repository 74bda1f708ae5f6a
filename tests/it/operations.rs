//! Routes for operators: health, readiness, metrics and the API document.

use reqwest::Method;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::client::answer;
use crate::support::client::fixture::CREATED;

async fn a_running_service_is_healthy_and_ready(app: &TestApp) {
    assert_eq!(app.client.get("/healthz").await.json(), json!({"status": "ok"}));
    assert_eq!(app.client.get("/readyz").await.json(), json!({"status": "ready"}));
    let probed = answer(app.client.request(Method::HEAD, "/healthz")).await;
    assert_eq!((probed.status, &*probed.text), (200, ""), "some monitors probe with HEAD");
}

on_both_databases!(a_running_service_is_healthy_and_ready);

async fn without_the_database_answers_are_503_with_retry_after_and_the_process_stays_healthy(app: &TestApp) {
    app.lose_database().await;
    let refused = app.client.send(app.client.signed(CREATED)).await;
    assert_eq!((refused.brief().as_str(), refused.header("retry-after")), ("503 database_unavailable", "5"));
    let asked = app.client.get_as(&app.token("user_1"), "/v1/users/current").await;
    assert_eq!(asked.brief(), "503 database_unavailable");
    assert_eq!(app.client.list("").await.brief(), "503 database_unavailable");
    assert_eq!(app.client.get("/readyz").await.brief(), "503 database_unavailable");
    assert_eq!(app.client.get("/healthz").await.status, 200);
    assert_eq!(app.client.get("/metrics").await.status, 200);
}

on_both_databases!(without_the_database_answers_are_503_with_retry_after_and_the_process_stays_healthy);

async fn deliveries_tokens_and_requests_are_counted(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver("{}").await;
    app.client.deliver("{").await;
    app.expect_parked(1);
    app.client.get_as("a.b.c", "/v1/users/current").await;
    app.client.get_as(&app.token("user_1"), "/v1/identity").await;
    let page = app.client.get("/metrics").await;
    assert_eq!(page.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        r#"usersync_deliveries_total{source="clerk",outcome="applied"} 1"#,
        r#"usersync_deliveries_total{source="clerk",outcome="parked"} 1"#,
        r#"usersync_deliveries_refused_total{source="clerk",code="invalid_json"} 1"#,
        r#"usersync_tokens_total{result="invalid_auth_header"} 1"#,
        r#"usersync_tokens_total{result="ok"} 1"#,
        r#"usersync_http_requests_total{method="POST",route="/webhooks/{source}",status="200"} 2"#,
        "usersync_journal_parked 1",
        r#"usersync_key_fetches{result="ok"} 1"#,
    ] {
        assert!(page.text.lines().any(|found| found == line), "{line}\n{}", page.text);
    }
}

on_both_databases!(deliveries_tokens_and_requests_are_counted);

async fn an_unknown_method_does_not_become_a_metric_label(app: &TestApp) {
    for number in 0..3 {
        let method = Method::from_bytes(format!("MADE{number}").as_bytes()).unwrap();
        assert_eq!(answer(app.client.request(method, "/healthz")).await.status, 405);
    }
    let page = app.client.get("/metrics").await.text;
    assert!(page.contains(r#"method="other",route="/healthz",status="405"} 3"#), "{page}");
    assert!(!page.contains("MADE"));
}

on_both_databases!(an_unknown_method_does_not_become_a_metric_label);

async fn every_answer_has_a_request_id_and_a_plain_one_of_the_client_is_kept(app: &TestApp) {
    let get = || app.client.request(Method::GET, "/healthz");
    assert_eq!(app.client.get("/nowhere").await.header("x-request-id").len(), 36);
    assert_eq!(answer(get().header("x-request-id", "trace-42")).await.header("x-request-id"), "trace-42");
    let odd = answer(get().header("x-request-id", "a b")).await;
    assert_eq!(odd.header("x-request-id").len(), 36);
}

on_both_databases!(every_answer_has_a_request_id_and_a_plain_one_of_the_client_is_kept);

async fn the_routes_are_described_for_programs(app: &TestApp) {
    let document = app.client.get("/openapi.json").await.json();
    // As text: insta would write each number as serde_json's own name for it.
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&document).unwrap());
}

on_both_databases!(the_routes_are_described_for_programs);
