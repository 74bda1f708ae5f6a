//! Whatever a client sends, the answer is never a 500: requests that are not valid HTTP, parameters that do not exist,
//! strings that are not Unicode.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::Method;

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::client::{answer, raw};

/// Requests of one property: each goes over HTTP.
const CASES: usize = 300;

async fn a_message_that_is_not_valid_http_is_refused_before_it_is_a_request(app: &TestApp) {
    let many = "x-header: value\r\n".repeat(200);
    for (message, status) in [
        ("nonsense\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9.9\r\nHost: usersync\r\n\r\n".to_owned(), "400"),
        ("GET /healthz HTTP/1.1\r\nHost: usersync\r\nno colon\r\n\r\n".to_owned(), "400"),
        ("GET /healthz HTTP/1.1\r\nHost: usersync\r\nContent-Length: x\r\n\r\n".to_owned(), "400"),
        (format!("GET /healthz HTTP/1.1\r\nHost: usersync\r\n{many}\r\n"), "431"),
    ] {
        let refused = raw(app, message.as_bytes()).await;
        assert!(refused.starts_with(&format!("HTTP/1.1 {status} ")), "{message:.60}: {refused}");
        assert!(refused.ends_with("\r\n\r\n"), "there is no body: {refused}");
    }
}

on_both_databases!(a_message_that_is_not_valid_http_is_refused_before_it_is_a_request);

async fn an_unknown_parameter_is_refused_by_every_route_for_users(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let (token, key) = (app.token(ADA), app.client.service_key());
    for (method, path, credentials) in [
        (Method::GET, "/v1/identity?wait=1", &*token),
        (Method::GET, "/v1/users/current?waits=1", &token),
        (Method::POST, "/v1/users/current?wait=1", &token),
        (Method::GET, "/v1/users/current/stream?wait=1", &token),
        (Method::GET, "/v1/users/nobody?full=yes", &token),
        (Method::GET, "/v1/users?ids=a&full=yes", &token),
        (Method::GET, "/v1/users?pages=1", key),
    ] {
        let refused = answer(app.client.request(method, path).bearer_auth(credentials)).await;
        assert_eq!(refused.brief(), "400 invalid_query", "{path}");
    }
    // A reverse proxy passes the query of the original request on.
    let passed = app.client.get_as(&token, "/v1/auth/messages?page=2").await;
    assert_eq!(passed.status, 200);
}

on_both_databases!(an_unknown_parameter_is_refused_by_every_route_for_users);

async fn every_route_that_is_read_answers_head_with_the_headers_of_get(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let (token, key) = (app.token(ADA), app.client.service_key());
    for (path, credentials) in [
        ("/healthz", ""),
        ("/readyz", ""),
        ("/openapi.json", ""),
        ("/metrics", ""),
        ("/v1/users/current", &*token),
        ("/v1/identity", &token),
        ("/v1/users?limit=1", key),
        ("/v1/users/nobody", key),
        ("/v1/auth", &token),
    ] {
        let request = |method| answer(app.client.request(method, path).bearer_auth(credentials));
        let (get, head) = (request(Method::GET).await, request(Method::HEAD).await);
        assert_eq!((head.status, &*head.text), (get.status, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    let stream = answer(app.client.request(Method::HEAD, "/v1/users/current/stream")).await;
    assert_eq!((stream.status, stream.header("allow")), (405, "GET"));
}

on_both_databases!(every_route_that_is_read_answers_head_with_the_headers_of_get);

/// A character of a query or a path as it is sent: escapes of U+0000, of half a surrogate pair, of overlong
/// and cut-off UTF-8, broken escapes, and plain ones.
fn odd_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("%00".to_owned()),
        Just("%ED%A0%BD".to_owned()),
        Just("%C0%80".to_owned()),
        Just("%F0%9F".to_owned()),
        Just("%F4%90%80%80".to_owned()),
        Just("%".to_owned()),
        Just("%zz".to_owned()),
        Just("+".to_owned()),
        Just("&".to_owned()),
        Just("=".to_owned()),
        Just(",".to_owned()),
        Just("{".to_owned()),
        any::<u8>().prop_map(|byte| format!("%{byte:02X}")),
        "[a-zA-Z0-9._~!$'()*;:@/?-]{1,8}",
        "-?[0-9]{1,40}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn odd_query() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("source".to_owned()),
        Just("externalId".to_owned()),
        Just("email".to_owned()),
        Just("limit".to_owned()),
        Just("cursor".to_owned()),
        Just("ids".to_owned()),
        odd_string(),
    ];
    let parameter = (name, odd_string()).prop_map(|(name, value)| format!("{name}={value}"));
    proptest::collection::vec(parameter, 0..3).prop_map(|parameters| parameters.join("&"))
}

async fn no_query_and_no_path_makes_a_500(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let mut runner = TestRunner::deterministic();
    let (token, key) = (app.token(ADA), app.client.service_key());
    for _ in 0..CASES {
        let query = odd_query().new_tree(&mut runner).unwrap().current();
        let segment = odd_string().new_tree(&mut runner).unwrap().current().replace(['/', '?'], "");
        for (method, target, credentials) in [
            ("GET", format!("/v1/users?{query}"), key),
            ("GET", format!("/v1/users?{query}"), &*token),
            ("GET", format!("/v1/users/{segment}"), key),
            ("GET", format!("/v1/users/current?wait={segment}"), &token),
            ("POST", format!("/webhooks/{segment}"), "none"),
        ] {
            let header = format!("Authorization: Bearer {credentials}");
            let status = status_of(app, method, &target, header.as_bytes()).await;
            assert!(matches!(status, 200 | 400 | 401 | 404), "{method} {target}: {status}");
        }
    }
}

/// The status of a request that is sent as it is: an HTTP library would escape the target and refuse the header.
async fn status_of(app: &TestApp, method: &str, target: &str, header: &[u8]) -> u16 {
    let begin =
        format!("{method} {target} HTTP/1.1\r\nHost: usersync\r\nConnection: close\r\nContent-Length: 0\r\n");
    let request = [begin.as_bytes(), header, b"\r\n\r\n"].concat();
    let answer = raw(app, &request).await;
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn no_header_makes_a_500(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let names = [
        "Authorization",
        "X-Request-Id",
        "X-Forwarded-For",
        "Origin",
        "svix-id",
        "svix-timestamp",
        "traceparent",
        "tracestate",
        "Last-Event-ID",
        "Accept",
        "Content-Type",
    ];
    // Visible characters, spaces, and bytes that are not ASCII: what a header may have.
    let byte = prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff];
    let value = prop_oneof![
        proptest::collection::vec(byte, 0..80),
        "Bearer [!-~]{0,40}".prop_map(String::into_bytes),
        "Bearer usk_[!-~]{0,40}".prop_map(String::into_bytes),
        "-?[0-9]{1,30}".prop_map(String::into_bytes),
    ];
    let mut runner = TestRunner::deterministic();
    for number in 0..CASES {
        let value = value.new_tree(&mut runner).unwrap().current();
        let name = names[number % names.len()];
        let header = [name.as_bytes(), b": ", &value].concat();
        for (method, target) in [("GET", "/v1/identity"), ("GET", "/v1/users"), ("POST", "/webhooks/clerk")] {
            let status = status_of(app, method, target, &header).await;
            assert!(matches!(status, 400 | 401), "{method} {target} {name}: {value:?}: {status}");
        }
    }
}

on_both_databases!(no_header_makes_a_500, configured by without_limits);

fn without_limits(config: &mut usersync::internals::config::Config) {
    config.limits.requests_per_second = std::num::NonZeroU32::MAX;
    config.limits.burst = std::num::NonZeroU32::MAX;
}

on_both_databases!(no_query_and_no_path_makes_a_500, configured by without_limits);
