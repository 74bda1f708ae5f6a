//! Requests that the console cannot do anything with: the answer is a page that says what is wrong.

use reqwest::Method;

use crate::console_pages::with_endpoint;
use crate::support::app::TestApp;
use crate::support::client::answer;
use crate::support::client::fixture::{ADA, CREATED, DELETED};
use crate::support::console::Visitor;

/// No database can find it, and PostgreSQL refuses it. SQLite's JSON would end the text there.
const NUL: &str = "\0";

async fn a_nul_character_finds_nothing(app: &TestApp) {
    app.client.send(app.client.signed_as("msg_1", CREATED)).await;
    app.client.deliver(DELETED).await;
    let visitor = Visitor::logged_in(app).await;
    for (path, status, said) in [
        ("/deliveries?source=%00&type=%00&outcome=%00&live=%00", 200, "No delivery here"),
        ("/deliveries?user=%00", 200, "No delivery here"),
        ("/deliveries?id=msg_1%00", 200, "No delivery here"),
        ("/deliveries?before=1.clerk.%00", 400, "The position cannot be read"),
        ("/deliveries?until=%00", 400, "The time cannot be read"),
        ("/delivery?source=clerk&id=msg_1%00", 404, "no such delivery"),
        ("/delivery?source=%00&id=msg_1", 404, "no such delivery"),
        ("/delivery?source=clerk&id=msg_1&replayed=%00", 200, "msg_1"),
        ("/parked/replay?source=%00&reason=%00", 200, "<dt>Stay parked</dt><dd>0"),
        (&format!("/users?q={ADA}%00"), 200, "Nobody is found"),
        ("/users?before=%00", 200, "No user yet"),
        (&format!("/user?source=clerk&id={ADA}%00"), 404, "Nothing is known"),
        (&format!("/user?source=clerk%00&id={ADA}"), 404, "Nothing is known"),
        (&format!("/user?source=clerk&id={ADA}&before=1.clerk.%00"), 200, ADA),
        ("/source?name=clerk%00", 404, "No source has this name"),
        ("/source?name=clerk&before=%00", 200, "/webhooks/clerk"),
        ("/audit?before=%00", 200, "log in"),
        ("/login?next=%00", 303, ""),
        ("/assets/%00", 404, "no such file"),
        ("/%00", 404, "no such page"),
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, status, "{path}: {}", page.text);
        assert!(page.text.contains(said), "{path}: {}", page.text);
    }
    let found = visitor.page(&format!("/users?q={ADA}%00")).await;
    assert!(!found.contains("was deleted"), "another user is found: {found}");

    for (path, fields, status) in [
        ("/delivery", &[("source", "clerk"), ("id", "msg_1\0"), ("action", "replay")][..], 404),
        ("/delivery", &[("source", "clerk"), ("id", "msg_1"), ("action", NUL)], 400),
        ("/parked/replay", &[("source", NUL), ("reason", NUL)], 303),
        ("/user", &[("source", "clerk"), ("id", NUL)], 404),
        ("/source/check", &[("name", NUL)], 404),
        ("/source/run", &[("name", "clerk"), ("kind", NUL)], 400),
        ("/token", &[("jwt", NUL)], 200),
        ("/webhook", &[("source", NUL), ("headers", NUL), ("body", NUL)], 200),
        ("/webhook", &[("source", "clerk"), ("headers", "a: b"), ("body", NUL)], 200),
        ("/endpoints/test", &[("name", NUL)], 404),
        ("/endpoints/replay", &[("name", "app"), ("hours", NUL)], 400),
        ("/keys", &[("name", "a\0b"), ("admin", NUL)], 200),
        ("/keys/revoke", &[("prefix", NUL)], 404),
        ("/login", &[("key", NUL), ("next", NUL)], 401),
    ] {
        let answer = visitor.post(path, fields).await;
        assert_eq!(answer.status, status, "{path} {fields:?}: {}", answer.text);
    }
    assert!(visitor.page("/audit").await.contains("?: ?"), "it is recorded without the character");
}

on_both_databases!(a_nul_character_finds_nothing, configured by with_endpoint);

async fn a_form_that_cannot_be_read_says_why(app: &TestApp) {
    let visitor = Visitor::logged_in(app).await;
    let large = "x".repeat(5 << 20);
    for (path, fields, status, said) in [
        ("/token", &[("jwt", large.as_str())][..], 413, "A form may have 4 MiB"),
        ("/webhook", &[("source", "clerk"), ("headers", "a: b"), ("body", &large)], 413, "explain webhook"),
        ("/login", &[("key", large.as_str())], 413, "A form may have 4 MiB"),
        ("/token", &[], 400, "missing field `jwt`"),
        ("/login", &[], 400, "missing field `key`"),
        ("/keys", &[("name", "a"), ("name", "b")], 400, "duplicate field `name`"),
    ] {
        let refused = visitor.post(path, fields).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.text);
        assert!(refused.text.contains(said), "{path}: {}", refused.text);
        assert!(
            refused.text.ends_with("</html>") && !refused.text.contains(".."),
            "{path}: {}",
            refused.text
        );
    }
    for (path, said) in
        [("/delivery?source=clerk", "missing field `id`"), ("/source", "missing field `name`")]
    {
        let refused = visitor.get(path).await;
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.text.contains(said) && !refused.text.contains(".."), "{path}: {}", refused.text);
    }
    let json = visitor.request(Method::POST, "/login").header("sec-fetch-site", "same-origin");
    let refused = answer(json.header("content-type", "application/json").body("{}")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("application/x-www-form-urlencoded"), "{}", refused.text);
}

on_both_databases!(a_form_that_cannot_be_read_says_why, configured by with_endpoint);

async fn head_is_answered_as_get_and_any_other_method_with_allow(app: &TestApp) {
    let visitor = Visitor::logged_in(app).await;
    let send = async |method: Method, path: &str| answer(visitor.request(method, path)).await;
    for path in [
        "/",
        "/deliveries?id=none",
        "/delivery?source=clerk&id=none",
        "/parked",
        "/parked/replay",
        "/users",
        "/user?source=clerk&id=none",
        "/sources",
        "/source?name=clerk",
        "/token",
        "/webhook",
        "/endpoints",
        "/keys",
        "/audit",
        "/login",
        "/assets/console.css",
        "/nowhere",
    ] {
        let (get, head) = (send(Method::GET, path).await, send(Method::HEAD, path).await);
        assert_eq!((head.status, &*head.text), (get.status, ""), "{path}");
        for name in ["content-type", "location", "content-security-policy"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
        if path != "/nowhere" {
            for method in [Method::OPTIONS, Method::PUT, Method::DELETE] {
                let refused = send(method, path).await;
                assert_eq!(refused.status, 405, "{path}");
                assert!(refused.header("allow").starts_with("GET, HEAD"), "{path}");
                assert!(refused.text.contains("This method is not allowed here"), "{path}");
            }
        }
    }
    for path in ["/logout", "/source/run", "/source/check", "/endpoints/test", "/keys/revoke"] {
        let refused = send(Method::GET, path).await;
        assert_eq!((refused.status, refused.header("allow")), (405, "POST"), "{path}");
    }
    let nobody = Visitor::new(app.console_url());
    let asked = answer(nobody.request(Method::HEAD, "/users?q=a")).await;
    assert_eq!((asked.status, asked.header("location")), (303, "/login?next=%2Fusers%3Fq%3Da"));
}

on_both_databases!(head_is_answered_as_get_and_any_other_method_with_allow, configured by with_endpoint);
