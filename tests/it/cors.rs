//! Which web pages may send requests from a browser.

use reqwest::Method;
use usersync::internals::config::Config;

use crate::support::app::TestApp;
use crate::support::client::fixture::CREATED;
use crate::support::client::{Answer, answer};

const APP: &str = "https://app.example.com";
const EXPOSED: [&str; 4] = ["date", "retry-after", "www-authenticate", "x-request-id"];
const CURRENT: &str = "/v1/users/current";

fn the_app(config: &mut Config) {
    config.server.cors_origins = vec![APP.to_owned()];
}

fn every_page(config: &mut Config) {
    config.server.cors_origins = vec!["*".to_owned()];
}

async fn get_from(app: &TestApp, origin: &str, path: &str) -> Answer {
    answer(app.client.request(Method::GET, path).header("origin", origin)).await
}

async fn preflight(app: &TestApp, origin: &str, method: &str, path: &str) -> Answer {
    preflight_with(app, origin, method, path, "authorization, content-type, last-event-id, x-request-id")
        .await
}

async fn preflight_with(app: &TestApp, origin: &str, method: &str, path: &str, headers: &str) -> Answer {
    let request = app.client.request(Method::OPTIONS, path).header("origin", origin);
    answer(
        request
            .header("access-control-request-method", method)
            .header("access-control-request-headers", headers),
    )
    .await
}

/// The header's words, in alphabetical order.
fn words(answer: &Answer, header: &str) -> Vec<String> {
    let mut words: Vec<String> =
        answer.header(header).split(',').map(|word| word.trim().to_lowercase()).collect();
    words.sort();
    words
}

async fn a_page_of_an_allowed_origin_may_send_requests_and_read_refusals(app: &TestApp) {
    let allowed = preflight(app, APP, "POST", CURRENT).await;
    assert!(allowed.status == 200 || allowed.status == 204, "{allowed:?}");
    assert_eq!(allowed.header("access-control-allow-origin"), APP);
    assert_eq!(words(&allowed, "access-control-allow-methods"), ["get", "head", "post"]);
    let headers = ["authorization", "content-type", "last-event-id", "x-request-id"];
    assert_eq!(words(&allowed, "access-control-allow-headers"), headers);
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    assert_eq!(allowed.header("cache-control"), "no-store");

    for path in [CURRENT, "/v1/users/current/stream", "/v1/users", "/v1/nowhere"] {
        let refused = get_from(app, APP, path).await;
        assert!(refused.brief().starts_with('4'), "{refused:?}");
        assert_eq!(refused.header("access-control-allow-origin"), APP, "{path}");
        assert_eq!(words(&refused, "access-control-expose-headers"), EXPOSED);
        assert!(words(&refused, "vary").contains(&"origin".to_owned()), "{refused:?}");
    }
}

on_both_databases!(a_page_of_an_allowed_origin_may_send_requests_and_read_refusals, configured by the_app);

async fn other_origins_and_other_methods_are_not_allowed(app: &TestApp) {
    for (origin, method) in [("https://evil.example.com", "GET"), ("null", "GET"), (APP, "DELETE")] {
        let refused = preflight(app, origin, method, CURRENT).await;
        assert_eq!(refused.brief(), "400 preflight_refused", "{origin} {method}");
        assert_eq!(refused.header("access-control-allow-methods"), "", "{origin} {method}");
    }
    let unreadable = get_from(app, "https://evil.example.com", "/v1/users").await;
    assert_eq!(unreadable.brief(), "401 invalid_auth_header");
    assert_eq!(unreadable.header("access-control-allow-origin"), "");
}

on_both_databases!(other_origins_and_other_methods_are_not_allowed, configured by the_app);

async fn headers_that_tracing_libraries_add_do_not_stop_a_page(app: &TestApp) {
    let added = "authorization, baggage, sentry-trace, traceparent, x-datadog-trace-id, x-made-up";
    for (method, path) in [("GET", CURRENT), ("POST", CURRENT), ("HEAD", "/v1/identity")] {
        let allowed = preflight_with(app, APP, method, path, added).await;
        assert!(allowed.status == 200 || allowed.status == 204, "{allowed:?}");
        assert_eq!(words(&allowed, "access-control-allow-headers").join(", "), added);
    }
    let foreign = preflight_with(app, "https://evil.example.com", "GET", CURRENT, added).await;
    assert_eq!(foreign.brief(), "400 preflight_refused");
}

on_both_databases!(headers_that_tracing_libraries_add_do_not_stop_a_page, configured by the_app);

async fn only_the_api_for_users_is_open_to_pages(app: &TestApp) {
    for path in ["/webhooks/clerk", "/healthz", "/metrics"] {
        assert_eq!(preflight(app, APP, "POST", path).await.brief(), "405 method_not_allowed", "{path}");
    }
    let mut delivery = app.client.signed(CREATED);
    delivery.headers.push(("origin", APP.to_owned()));
    let delivered = app.client.send(delivery).await;
    assert_eq!(delivered.brief(), "200 applied");
    assert_eq!(delivered.header("access-control-allow-origin"), "");
}

on_both_databases!(only_the_api_for_users_is_open_to_pages, configured by the_app);

async fn without_configured_origins_there_is_no_cors_header(app: &TestApp) {
    assert_eq!(preflight(app, APP, "GET", CURRENT).await.brief(), "405 method_not_allowed");
    assert_eq!(get_from(app, APP, CURRENT).await.header("access-control-allow-origin"), "");
}

on_both_databases!(without_configured_origins_there_is_no_cors_header);

async fn with_a_wildcard_every_origin_is_allowed_without_credentials(app: &TestApp) {
    for origin in [APP, "https://other.example.com"] {
        for answer in [preflight(app, origin, "GET", CURRENT).await, get_from(app, origin, CURRENT).await] {
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            assert_eq!(answer.header("access-control-allow-credentials"), "");
        }
    }
}

on_both_databases!(with_a_wildcard_every_origin_is_allowed_without_credentials, configured by every_page);

fn the_previews(config: &mut Config) {
    config.server.cors_origins = vec!["https://*.vercel.app".to_owned(), APP.to_owned()];
}

async fn a_pattern_allows_the_pages_of_one_label(app: &TestApp) {
    for origin in ["https://my-app-git-main.vercel.app", APP] {
        let allowed = preflight(app, origin, "GET", CURRENT).await;
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, origin));
        let refused = get_from(app, origin, CURRENT).await;
        assert_eq!(refused.header("access-control-allow-origin"), origin);
        assert!(words(&refused, "vary").contains(&"origin".to_owned()), "{refused:?}");
    }
    for origin in [
        "https://a.b.vercel.app",
        "https://vercel.app",
        "http://a.vercel.app",
        "https://a.vercel.app.evil.com",
    ] {
        assert_eq!(preflight(app, origin, "GET", CURRENT).await.status, 400, "{origin}");
        assert_eq!(
            get_from(app, origin, CURRENT).await.header("access-control-allow-origin"),
            "",
            "{origin}"
        );
    }
}

on_both_databases!(a_pattern_allows_the_pages_of_one_label, configured by the_previews);
