//! Deliveries that are refused: each gets its documented answer, and nothing is stored.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use usersync::internals::config::Config;

use crate::support::app::{SECRET, TestApp};
use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::{CREATED, UPDATED};
use crate::support::client::{SignedRequest, answer, signed_at};

async fn refused(app: &TestApp, change: impl FnOnce(&mut SignedRequest)) -> String {
    let mut wire = app.client.signed(CREATED);
    change(&mut wire);
    app.client.send(wire).await.brief()
}

fn set(wire: &mut SignedRequest, name: &str, value: &str) {
    let header = wire.headers.iter_mut().find(|(known, _)| *known == name).unwrap();
    header.1 = value.to_owned();
}

async fn a_delivery_with_a_wrong_signature_is_refused(app: &TestApp) {
    assert_eq!(refused(app, |wire| wire.headers.clear()).await, "400 missing_signature");
    for name in ["svix-id", "svix-timestamp", "svix-signature"] {
        let without = refused(app, |wire| wire.headers.retain(|(known, _)| *known != name)).await;
        assert_eq!(without, "400 missing_signature", "{name}");
    }
    for signature in ["", "v1", "v1,", "v1,AAAA", "v2,AAAA", "AAAA", "v1,!!!!", "é"] {
        let bad = refused(app, |wire| set(wire, "svix-signature", signature)).await;
        assert_eq!(bad, "400 invalid_signature", "{signature:?}");
    }
    assert_eq!(refused(app, |wire| set(wire, "svix-id", "msg_other")).await, "400 invalid_signature");
    assert_eq!(refused(app, |wire| wire.body[20] ^= 1).await, "400 invalid_signature");
    assert_eq!(refused(app, |wire| wire.body.push(b' ')).await, "400 invalid_signature");
    let foreign = "whsec_plJ3nmyCDGBKInavdOK15jsl";
    let now = app.clock.now().as_seconds();
    let wire = signed_at("msg_foreign", now, foreign, CREATED);
    assert_eq!(app.client.send(wire).await.brief(), "400 invalid_signature");
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_delivery_with_a_wrong_signature_is_refused);

async fn a_timestamp_may_be_five_minutes_off_by_our_own_clock(app: &TestApp) {
    let now = app.clock.now().as_seconds();
    for (offset, expected) in [
        (-301, "400 stale_timestamp"),
        (301, "400 stale_timestamp"),
        (-300, "200 applied"),
        (300, "200 stale"),
    ] {
        let wire = signed_at(&app.client.message_id(), now + offset, SECRET, CREATED);
        assert_eq!(app.client.send(wire).await.brief(), expected, "{offset}");
    }
    for spelling in ["soon", "", "+1767528000", "01767528000", "1767528000.0"] {
        let bad = refused(app, |wire| set(wire, "svix-timestamp", spelling)).await;
        assert_eq!(bad, "400 invalid_signature", "{spelling:?}");
    }
}

on_both_databases!(a_timestamp_may_be_five_minutes_off_by_our_own_clock);

async fn a_signed_body_that_is_not_json_is_refused(app: &TestApp) {
    for body in [&b""[..], b"{", b"{}x", b"hello", b"\xff\xfe", b"{'a':1}", b"\"\x01\"", b"NaN"] {
        let refused = app.client.send(app.client.signed(body)).await.brief();
        // The signature scheme is defined over text, so other bytes cannot even be signed.
        let expected =
            if std::str::from_utf8(body).is_ok() { "400 invalid_json" } else { "400 invalid_signature" };
        assert_eq!(refused, expected, "{body:?}");
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_signed_body_that_is_not_json_is_refused);

async fn a_body_over_the_limit_is_refused_and_the_service_continues(app: &TestApp) {
    let large = json!({"type": "session.created", "padding": "x".repeat((1 << 20) - 50)}).to_string();
    assert_eq!(app.client.deliver(large.clone()).await, "200 ignored");
    assert_eq!(app.client.deliver(format!("{large}{}", " ".repeat(100))).await, "413 body_too_large");
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
}

on_both_databases!(a_body_over_the_limit_is_refused_and_the_service_continues);

async fn a_webhook_url_with_extra_slashes_is_accepted(app: &TestApp) {
    for (path, body, expected) in [
        ("/webhooks/clerk/", CREATED, "200 applied"),
        ("//webhooks/clerk", UPDATED, "200 applied"),
        ("//webhooks//clerk//", CREATED, "200 stale"),
    ] {
        let mut wire = app.client.signed(body);
        wire.path = path.to_owned();
        assert_eq!(app.client.send(wire).await.brief(), expected, "{path}");
    }
    for path in ["/webhooks/", "/webhooks//", "/webhooks/clerk/more", "/Webhooks/clerk", "/webhook/clerk"] {
        assert_eq!(refused(app, |wire| wire.path = path.to_owned()).await, "404 not_found", "{path}");
    }
    let metrics = app.client.get("/metrics").await.text;
    let counted = r#"usersync_http_requests_total{method="POST",route="/webhooks/{source}",status="200"} 3"#;
    assert!(metrics.contains(counted), "{metrics}");
}

on_both_databases!(a_webhook_url_with_extra_slashes_is_accepted);

async fn a_wrong_path_or_method_has_its_own_answer(app: &TestApp) {
    assert_eq!(refused(app, |wire| wire.path = "/webhooks/nobody".to_owned()).await, "404 unknown_source");
    assert_eq!(refused(app, |wire| wire.path = "/webhooks".to_owned()).await, "404 not_found");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let wrong = answer(app.client.request(method, "/webhooks/clerk")).await;
        assert_eq!(wrong.brief(), "405 method_not_allowed");
        assert_eq!(wrong.header("allow"), "POST");
    }
    let wrong = answer(app.client.request(Method::PUT, "/v1/users/current")).await;
    assert_eq!(
        (wrong.brief().as_str(), wrong.header("allow")),
        ("405 method_not_allowed", "GET, HEAD, POST")
    );
}

on_both_databases!(a_wrong_path_or_method_has_its_own_answer);

async fn the_log_shows_what_is_wrong_with_the_url_of_a_webhook_but_not_the_url(home: &mut ProgramFixture) {
    let service = home.serve().await;
    let client = home.client(&service).await;
    for (path, expected) in [
        ("/webhooks/sentinel", "404 unknown_source"),
        ("/webhook/sentinel", "404 not_found"),
        ("/Webhooks/clerk/sentinel", "404 not_found"),
    ] {
        let mut wire = client.signed(CREATED);
        wire.path = path.to_owned();
        assert_eq!(client.send(wire).await.brief(), expected, "{path}");
    }
    let log = service.stop().await.stderr;
    assert!(log.contains("no source has the name in the URL; the sources are clerk"), "{log}");
    assert_eq!(log.matches("the URL of a webhook is /webhooks/{source}").count(), 2, "{log}");
    assert!(!log.contains("sentinel"), "{log}");
}

on_both_databases!(the_log_shows_what_is_wrong_with_the_url_of_a_webhook_but_not_the_url, with ProgramFixture);

fn without_a_secret(config: &mut Config) {
    config.sources[0].webhook_secrets.clear();
}

async fn a_source_without_a_secret_accepts_no_delivery(app: &TestApp) {
    assert_eq!(app.client.deliver(CREATED).await, "400 invalid_signature");
}

on_both_databases!(a_source_without_a_secret_accepts_no_delivery, configured by without_a_secret);

async fn a_connection_that_ends_within_a_body_leaves_nothing(app: &TestApp) {
    let address = app.client.url("").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /webhooks/clerk HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{\"type\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    assert_eq!(app.client.rows().await.len(), 1);
}

on_both_databases!(a_connection_that_ends_within_a_body_leaves_nothing);

async fn a_request_that_is_not_http_is_answered_in_time(app: &TestApp) {
    let address = app.client.url("").trim_start_matches("http://").to_owned();
    for nonsense in
        ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "POST /webhooks/clerk HTTP/1.1\r\ncontent-length: -1\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
        read.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&said).starts_with("HTTP/1.1 400"), "{nonsense:?}");
    }
    assert_eq!(app.client.get("/healthz").await.status, 200);
}

on_both_databases!(a_request_that_is_not_http_is_answered_in_time);
