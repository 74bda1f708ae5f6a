//! The current user: waiting for the row, the stream of changes, storing the user from the token.

use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED, DELETED, UPDATED};
use crate::support::client::{Answer, Client, answer, raw};

const CURRENT: &str = "/v1/users/current";

/// Sends a request that waits, and does something meanwhile.
async fn waiting(app: &TestApp, client: &Client, meanwhile: impl Future<Output = ()>) -> (Answer, Duration) {
    let token = app.token(ADA);
    let started = Instant::now();
    let ask = async {
        let answer = client.get_as(&token, "/v1/users/current?wait=20").await;
        (answer, started.elapsed())
    };
    let later = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        meanwhile.await;
    };
    tokio::join!(ask, later).0
}

async fn a_waiting_request_is_answered_when_the_row_is_written(app: &TestApp) {
    let (answer, elapsed) =
        waiting(app, &app.client, async { drop(app.client.deliver(CREATED).await) }).await;
    assert_eq!((answer.status, answer.json()["name"].clone()), (200, json!("Ada Lovelace")));
    assert!(elapsed < Duration::from_secs(4), "it must be notified, not wait for the next read: {elapsed:?}");
}

on_both_databases!(a_waiting_request_is_answered_when_the_row_is_written);

#[tokio::test]
async fn a_row_written_by_another_replica_ends_a_wait_here() {
    let Some(app) = TestApp::on_postgres(|_| ()).await else { return };
    let (service, other) = app.replica().await;
    // The replica gets notifications once it listens.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (answer, elapsed) = waiting(&app, &other, async { drop(app.client.deliver(CREATED).await) }).await;
    assert_eq!(answer.status, 200);
    assert!(elapsed < Duration::from_secs(4), "it must be notified, not wait for the next read: {elapsed:?}");
    service.stop().await.unwrap();
    app.finish().await;
}

async fn a_wait_ends_with_the_state_of_that_time(app: &TestApp) {
    let short = app.client.get_as(&app.token(ADA), "/v1/users/current?wait=1").await;
    assert_eq!(short.brief(), "404 user_not_synced");
    let (gone, elapsed) = waiting(app, &app.client, async { drop(app.client.deliver(DELETED).await) }).await;
    assert_eq!(gone.brief(), "410 user_deleted");
    assert!(elapsed < Duration::from_secs(4));
    for wrong in ["?wait=-1", "?wait=soon", "?wait", "?waits=1"] {
        let refused = app.client.get_as(&app.token("user_1"), &format!("{CURRENT}{wrong}")).await;
        assert_eq!(refused.brief(), "400 invalid_query", "{wrong}");
    }
}

on_both_databases!(a_wait_ends_with_the_state_of_that_time);

async fn a_service_that_stops_ends_every_wait(app: &TestApp) {
    let (service, other) = app.replica().await;
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let started = Instant::now();
        service.stop().await.unwrap();
        started.elapsed()
    };
    let token = app.token(ADA);
    let (answer, stream, stopped) = tokio::join!(
        other.get_as(&token, "/v1/users/current?wait=20"),
        other.get_as(&token, "/v1/users/current/stream"),
        stop,
    );
    assert_eq!(answer.brief(), "404 user_not_synced");
    assert!(stream.text.starts_with("event: pending\n"));
    assert!(stopped < Duration::from_secs(5), "{stopped:?}");
}

on_both_databases!(a_service_that_stops_ends_every_wait);

/// The events of a stream, each as its name and data.
async fn follow(
    app: &TestApp,
    token: &str,
    last_event_id: Option<&str>,
) -> impl Stream<Item = String> + Unpin + use<> {
    let mut request = app.client.request(Method::GET, "/v1/users/current/stream").bearer_auth(token);
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store, no-transform");
    Box::pin(response.bytes_stream().map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()))
}

/// The next event's name, id and data.
async fn next(events: &mut (impl Stream<Item = String> + Unpin)) -> (String, String, Value) {
    let text = tokio::time::timeout(Duration::from_secs(4), events.next()).await.unwrap().unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches([':', ' ']).to_owned()
    };
    (field("event"), field("id"), serde_json::from_str(&field("data")).unwrap())
}

async fn a_stream_sends_every_change_and_ends_when_the_user_is_deleted(app: &TestApp) {
    let token = app.token(ADA);
    let mut events = follow(app, &token, None).await;
    let first = events.next().await.unwrap();
    assert!(first.starts_with("event: pending\n") && first.ends_with("\nretry: 2000\n\n"), "{first}");
    app.client.deliver(CREATED).await;
    let (event, _, data) = next(&mut events).await;
    assert_eq!((event.as_str(), &data["name"]), ("user", &json!("Ada Lovelace")));
    app.client.deliver(UPDATED).await;
    let (event, id, data) = next(&mut events).await;
    assert_eq!((event.as_str(), &data["name"]), ("user", &json!("Ada King")));

    let mut again = follow(app, &token, Some(&id)).await;
    app.client.deliver(DELETED).await;
    assert_eq!(next(&mut again).await.0, "deleted", "the event that it knew is not sent again");
    assert_eq!(next(&mut events).await.0, "deleted");
    assert_eq!(events.next().await, None, "that was the last event");
    let refused = app.client.get_as(&token, "/v1/users/current/stream").await;
    assert_eq!(refused.brief(), "410 user_deleted");
}

on_both_databases!(a_stream_sends_every_change_and_ends_when_the_user_is_deleted);

async fn a_stream_ends_when_the_token_expires(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let mut claims = app.claims(ADA);
    claims["exp"] = json!(app.clock.now().as_seconds() + 1);
    let mut events = follow(app, &app.signer.token(&claims), None).await;
    assert_eq!(next(&mut events).await.0, "user");
    assert_eq!(next(&mut events).await.0, "expired");
    assert_eq!(events.next().await, None);
}

on_both_databases!(a_stream_ends_when_the_token_expires);

async fn a_stream_for_an_http_1_0_client_has_no_chunks_and_ends_with_the_connection(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let mut claims = app.claims(ADA);
    claims["exp"] = json!(app.clock.now().as_seconds() + 1);
    let token = app.signer.token(&claims);
    for (version, chunked) in [("1.0", false), ("1.1", true)] {
        let request = format!(
            "GET /v1/users/current/stream HTTP/{version}\r\nHost: usersync\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\n\r\n"
        );
        let answer = raw(app, request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 OK") && head.contains("text/event-stream"), "{head}");
        assert_eq!(head.contains("transfer-encoding: chunked"), chunked, "{head}");
        assert!(!head.contains("content-length"), "{head}");
        assert_eq!(body.starts_with("event: user\nid: "), !chunked, "{body}");
        assert_eq!(body.ends_with("event: expired\ndata: {}\n\n"), !chunked, "{body}");
    }
}

on_both_databases!(a_stream_for_an_http_1_0_client_has_no_chunks_and_ends_with_the_connection);

async fn store(app: &TestApp, token: &str) -> Answer {
    answer(app.client.request(Method::POST, CURRENT).bearer_auth(token)).await
}

async fn a_token_stores_its_user_until_a_webhook_arrives(app: &TestApp) {
    let made = store(app, &app.token(ADA)).await;
    assert_eq!(made.status, 201);
    let row = made.json();
    assert_eq!((&row["email"], &row["createdAt"]), (&json!("claimed@example.com"), &Value::Null));
    assert_eq!(store(app, &app.token(ADA)).await.status, 200);

    app.client.deliver(CREATED).await;
    let known = app.client.get_as(&app.token(ADA), CURRENT).await.json();
    assert_eq!((&known["id"], &known["email"]), (&row["id"], &json!("ada@example.com")));
    let kept = store(app, &app.token(ADA)).await;
    assert_eq!((kept.status, kept.json()["email"].clone()), (200, json!("ada@example.com")));

    app.client.deliver(DELETED).await;
    assert_eq!(store(app, &app.token(ADA)).await.brief(), "410 user_deleted");
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_token_stores_its_user_until_a_webhook_arrives);

async fn a_token_without_profile_claims_makes_a_row_too(app: &TestApp) {
    let mut claims = app.claims(ADA);
    claims.as_object_mut().unwrap().remove("email");
    let made = store(app, &app.signer.token(&claims)).await;
    assert_eq!((made.status, made.json()["email"].clone()), (201, Value::Null));
    let richer = store(app, &app.token(ADA)).await;
    assert_eq!((richer.status, richer.json()["email"].clone()), (200, json!("claimed@example.com")));
}

on_both_databases!(a_token_without_profile_claims_makes_a_row_too);

async fn the_token_of_a_program_makes_no_row(app: &TestApp) {
    for signs in [
        json!({"sub": "AbC123@clients", "azp": "AbC123", "gty": "client-credentials"}),
        json!({"sub": "5f1c", "idtyp": "app"}),
        json!({"sub": "reports", "client_id": "reports"}),
    ] {
        let mut claims = app.claims("replaced");
        claims.as_object_mut().unwrap().remove("email");
        claims.as_object_mut().unwrap().extend(signs.as_object().unwrap().clone());
        let token = app.signer.token(&claims);
        let refused = store(app, &token).await;
        assert_eq!(refused.brief(), "403 not_a_user", "{signs}");
        assert_eq!(app.client.get_as(&token, "/v1/identity").await.status, 200, "the token is good");
        assert_eq!(app.client.get_as(&token, CURRENT).await.brief(), "404 user_not_synced");
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(the_token_of_a_program_makes_no_row);

async fn a_webhook_and_a_token_may_store_the_same_user_at_the_same_time(app: &TestApp) {
    for number in 0..20 {
        let subject = format!("user_{number}");
        let body = CREATED.replace(ADA, &subject);
        let token = app.token(&subject);
        let (stored, delivered) = tokio::join!(store(app, &token), app.client.deliver(body));
        assert!(stored.status == 200 || stored.status == 201, "{stored:?}");
        assert_eq!(delivered, "200 applied");
        assert_eq!(app.client.get_as(&token, CURRENT).await.json()["email"], "ada@example.com");
    }
    assert_eq!(app.client.rows().await.len(), 20);
}

on_both_databases!(a_webhook_and_a_token_may_store_the_same_user_at_the_same_time);

async fn requests_that_store_the_same_user_at_the_same_time_all_get_the_row(app: &TestApp) {
    let (service, other) = app.replica().await;
    for number in 0..20 {
        let token = app.token(&format!("user_{number}"));
        let elsewhere = || answer(other.request(Method::POST, CURRENT).bearer_auth(&token));
        let [one, two] = [store(app, &token), store(app, &token)];
        let (one, two, three, four) = tokio::join!(one, two, elsewhere(), elsewhere());
        let mut statuses = [one, two, three, four].map(|answer| answer.status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 201]);
    }
    service.stop().await.unwrap();
}

on_both_databases!(requests_that_store_the_same_user_at_the_same_time_all_get_the_row);

async fn rows_known_only_from_tokens_survive_a_rebuild(app: &TestApp) {
    let made = store(app, &app.token("user_claimed")).await.json();
    store(app, &app.token(ADA)).await;
    app.client.deliver(CREATED).await;
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!((rebuilt.same, rebuilt.corrected), (1, 0));
    let kept = app.client.get_as(&app.token("user_claimed"), CURRENT).await.json();
    assert_eq!(kept, made);
}

on_both_databases!(rows_known_only_from_tokens_survive_a_rebuild);

async fn no_answer_about_a_user_may_be_cached(app: &TestApp) {
    app.client.deliver(CREATED).await;
    for (token, status) in [(app.token(ADA), 200), ("none".to_owned(), 401)] {
        let answer = app.client.get_as(&token, CURRENT).await;
        assert_eq!((answer.status, answer.header("cache-control")), (status, "no-store"));
    }
    for (path, status) in [("/v1/auth", 401), ("/v1/users?limit=x", 401), ("/v1/nothing", 404)] {
        let answer = app.client.get(path).await;
        assert_eq!((answer.status, answer.header("cache-control")), (status, "no-store"), "{path}");
    }
}

on_both_databases!(no_answer_about_a_user_may_be_cached);
