//! What those who run the service ask of it.

use serde_json::json;

use crate::support::client::fixture::CREATED;

on_both_databases! {
    async fn a_service_that_serves_is_alive_and_ready(app: &TestApp) {
        assert_eq!(app.client.get("/healthz").await.json(), json!({"status": "ok"}));
        assert_eq!(app.client.get("/readyz").await.json(), json!({"status": "ready"}));
    }
}

on_both_databases! {
    async fn a_database_that_is_away_is_503_with_retry_after_and_the_process_lives(app: &TestApp) {
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
}
