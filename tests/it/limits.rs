//! Limits: one client cannot use up what the others need.

use std::io::Write;
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::{Value, json};
use usersync::internals::config::Config;

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::client::{Answer, answer};

const STREAM: &str = "/v1/users/current/stream";
const ADA_ADDRESS: &str = "198.51.100.1";
const GRACE_ADDRESS: &str = "198.51.100.2";

fn behind_a_proxy(config: &mut Config) {
    config.server.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
}

fn three_requests(config: &mut Config) {
    config.limits.requests_per_second = NonZeroU32::MIN;
    config.limits.burst = NonZeroU32::new(3).unwrap();
}

fn three_requests_behind_a_proxy(config: &mut Config) {
    behind_a_proxy(config);
    three_requests(config);
    config.server.cors_origins = vec!["*".to_owned()];
}

fn one_stream_behind_a_proxy(config: &mut Config) {
    behind_a_proxy(config);
    config.limits.streams_per_client = NonZeroU32::MIN;
    config.limits.streams = NonZeroU32::new(2).unwrap();
    config.limits.send_timeout = Duration::from_secs(1);
}

async fn get_through_the_proxy(app: &TestApp, client: &str, path: &str) -> Answer {
    answer(
        app.client
            .request(Method::GET, path)
            .header("x-forwarded-for", client)
            .header("origin", "https://a.example"),
    )
    .await
}

async fn open(app: &TestApp, client: &str) -> Response {
    let request = app.client.request(Method::GET, STREAM).header("x-forwarded-for", client);
    request.bearer_auth(app.token(ADA)).send().await.unwrap()
}

fn two_streams_of_a_user(config: &mut Config) {
    behind_a_proxy(config);
    config.limits.streams_per_user = NonZeroU32::new(2).unwrap();
}

async fn an_office_behind_one_address_is_limited_by_user(app: &TestApp) {
    let follow = async |token: String, address: &'static str| {
        let request = app.client.request(Method::GET, STREAM).header("x-forwarded-for", address);
        request.bearer_auth(token).send().await.unwrap()
    };
    let mut office = Vec::new();
    for number in 0..150 {
        let stream = follow(app.token(&format!("user_{number}")), ADA_ADDRESS).await;
        assert_eq!(stream.status(), 200, "the stream of user {number}");
        office.push(stream);
    }
    let second = follow(app.token("user_7"), GRACE_ADDRESS).await;
    assert_eq!(second.status(), 200);
    let third = follow(app.token("user_7"), "198.51.100.3").await;
    assert_eq!((third.status().as_u16(), &third.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    drop((office, second));
}

on_both_databases!(an_office_behind_one_address_is_limited_by_user, configured by two_streams_of_a_user);

/// Waits until the client may open a stream again.
async fn until_open(app: &TestApp, client: &str) -> Response {
    let started = Instant::now();
    loop {
        let stream = open(app, client).await;
        if stream.status() == 200 {
            return stream;
        }
        assert_eq!(stream.status(), 429);
        assert!(started.elapsed() < Duration::from_secs(20), "the limit still counts the closed stream");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_client_over_its_limit_has_to_wait_and_others_do_not(app: &TestApp) {
    for _ in 0..3 {
        let answer = get_through_the_proxy(app, ADA_ADDRESS, "/v1/users").await;
        assert_eq!(answer.brief(), "401 invalid_auth_header");
    }
    let refused = get_through_the_proxy(app, ADA_ADDRESS, "/v1/nowhere").await;
    assert_eq!((refused.brief().as_str(), refused.header("retry-after")), ("429 too_many_requests", "1"));
    assert_eq!(refused.header("access-control-allow-origin"), "*", "a page can read it");
    assert_eq!(refused.header("x-request-id").len(), 36);

    assert_eq!(get_through_the_proxy(app, GRACE_ADDRESS, "/v1/users").await.status, 401);
    assert_eq!(get_through_the_proxy(app, ADA_ADDRESS, "/healthz").await.status, 200);
    for _ in 0..9 {
        assert_eq!(app.client.get("/v1/users").await.status, 401, "the proxy itself is not limited");
    }
}

on_both_databases!(a_client_over_its_limit_has_to_wait_and_others_do_not, configured by three_requests_behind_a_proxy);

async fn a_client_that_is_not_a_trusted_proxy_cannot_forge_addresses(app: &TestApp) {
    for _ in 0..3 {
        assert_eq!(get_through_the_proxy(app, ADA_ADDRESS, "/v1/users").await.status, 401);
    }
    assert_eq!(get_through_the_proxy(app, GRACE_ADDRESS, "/v1/users").await.status, 429);
    for number in 0..9 {
        let body = CREATED.replace(ADA, &format!("user_{number}"));
        assert_eq!(app.client.deliver(body).await, "200 applied", "webhooks are not limited by address");
    }
}

on_both_databases!(a_client_that_is_not_a_trusted_proxy_cannot_forge_addresses, configured by three_requests);

async fn streams_and_waiting_requests_are_limited_per_client_and_in_total(app: &TestApp) {
    let stream = open(app, ADA_ADDRESS).await;
    assert_eq!(stream.status(), 200);
    let wait = "/v1/users/current?wait=1";
    let request = |client| {
        answer(
            app.client
                .request(Method::GET, wait)
                .bearer_auth(app.token(ADA))
                .header("x-forwarded-for", client),
        )
    };
    assert_eq!(request(ADA_ADDRESS).await.brief(), "429 too_many_requests");
    assert_eq!(request(GRACE_ADDRESS).await.brief(), "404 user_not_synced");

    let last = open(app, GRACE_ADDRESS).await;
    assert_eq!((last.status().as_u16(), open(app, "198.51.100.3").await.status().as_u16()), (200, 429));
    drop(stream);
    let again = until_open(app, ADA_ADDRESS).await;
    drop((last, again));
}

on_both_databases!(streams_and_waiting_requests_are_limited_per_client_and_in_total, configured by one_stream_behind_a_proxy);

/// A user that is larger than the send buffer of a connection.
fn large() -> String {
    let mut event: Value = serde_json::from_str(CREATED).unwrap();
    event["data"]["public_metadata"] = json!({"note": "x".repeat(900_000)});
    event.to_string()
}

async fn a_client_that_does_not_read_is_disconnected(app: &TestApp) {
    assert_eq!(app.client.deliver(large()).await, "200 applied");
    let address = app.client.url("").replace("http://", "");
    let mut client = TcpStream::connect(&address).unwrap();
    let token = app.token(ADA);
    write!(
        client,
        "GET {STREAM} HTTP/1.1\r\nhost: {address}\r\nx-forwarded-for: {ADA_ADDRESS}\r\n\
         authorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(open(app, ADA_ADDRESS).await.status(), 429, "its one stream is open");
    until_open(app, ADA_ADDRESS).await;
    drop(client);
}

on_both_databases!(a_client_that_does_not_read_is_disconnected, configured by one_stream_behind_a_proxy);
