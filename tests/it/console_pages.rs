//! What the pages of the console show, and what their forms do.

use std::time::Duration;

use serde_json::{Value, json};
use usersync::internals::config::{Config, Endpoint};
use usersync::internals::domain::{EventKind, Outcome};

use super::console::with_console;
use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, DELETED, GRACE, UPDATED};
use crate::support::console::Visitor;

/// Every page, as it is reached from the first one.
const PAGES: [&str; 10] = [
    "/",
    "/deliveries",
    "/parked",
    "/users",
    "/sources",
    "/endpoints",
    "/token",
    "/webhook",
    "/keys",
    "/audit",
];

const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

pub(crate) fn changed(event: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut event: Value = serde_json::from_str(event).unwrap();
    change(&mut event);
    event.to_string()
}

/// Waits for work that goes on after the answer to its form.
async fn until(visitor: &Visitor, path: &str, text: &str) -> String {
    for _ in 0..600 {
        let page = visitor.page(path).await;
        if page.contains(text) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{text:?} does not come: {}", visitor.page(path).await);
}

async fn every_page_is_reached_from_the_first_and_says_what_to_do_when_it_is_empty(app: &TestApp) {
    let visitor = Visitor::logged_in(app).await;
    let first = visitor.page("/").await;
    for path in PAGES {
        assert!(first.contains(&format!("href=\"{path}\"")), "{path}");
        let page = visitor.page(path).await;
        assert!(page.contains("<h1>") && page.ends_with("</html>"), "{path}: {page}");
    }
    assert!(visitor.page("/deliveries").await.contains("No delivery here"));
    assert!(visitor.page("/users").await.contains("No user yet"));
    assert!(visitor.page("/parked").await.contains("Nothing is parked"));
    assert!(visitor.page("/source?name=clerk").await.contains("/webhooks/clerk"));
}

on_both_databases!(every_page_is_reached_from_the_first_and_says_what_to_do_when_it_is_empty, configured by with_console);

fn without_sources(config: &mut Config) {
    with_console(config);
    config.sources = Vec::new();
}

async fn the_overview_without_a_source_is_a_guide(app: &TestApp) {
    assert!(Visitor::logged_in(app).await.page("/").await.contains("Five steps"));
}

on_both_databases!(the_overview_without_a_source_is_a_guide, configured by without_sources);

async fn a_delivery_tells_what_it_said_and_what_is_newer(app: &TestApp) {
    let newer = app.client.signed_as("msg_newer", UPDATED);
    let older = app.client.signed_as("msg_older", CREATED);
    assert_eq!(app.client.send(newer).await.brief(), "200 applied");
    assert_eq!(app.client.send(older).await.brief(), "200 stale");
    let visitor = Visitor::logged_in(app).await;
    let list = visitor.page("/deliveries").await;
    assert!(list.find("msg_older").unwrap() < list.find("msg_newer").unwrap(), "newest first");
    let stale = visitor.page("/delivery?source=clerk&id=msg_older").await;
    assert!(stale.contains("contained nothing new") && stale.contains("givenName"), "{stale}");
    assert!(stale.contains("newer, of") && stale.contains("/delivery?source=clerk&id=msg_newer"), "{stale}");
    let applied = visitor.page("/delivery?source=clerk&id=msg_newer").await;
    assert!(applied.contains("this is the current value"), "{applied}");
    assert!(!applied.contains("@example.com") || applied.contains("***@example.com"), "addresses are masked");
    let user = visitor.page(&format!("/user?source=clerk&id={ADA}")).await;
    assert!(user.contains("user.updated") && user.contains("/delivery?source=clerk&id=msg_newer"), "{user}");
    assert_eq!(visitor.get("/delivery?source=clerk&id=nothing").await.status, 404);
}

on_both_databases!(a_delivery_tells_what_it_said_and_what_is_newer, configured by with_console);

async fn personal_data_is_shown_on_request_and_the_audit_says_to_whom(app: &TestApp) {
    let event =
        changed(CREATED, |event| event["data"]["private_metadata"] = json!({"plan": "kept to ourselves"}));
    app.client.send(app.client.signed_as("msg_1", event)).await;
    let address: Value = serde_json::from_str(CREATED).unwrap();
    let address = address["data"]["email_addresses"][0]["email_address"].as_str().unwrap().to_owned();
    let visitor = Visitor::logged_in(app).await;
    let user = format!("/user?source=clerk&id={ADA}");
    let list = visitor.page("/users").await;
    assert!(!list.contains(&address) && !visitor.page(&user).await.contains(&address));
    let shown = visitor.post("/user", &[("source", "clerk"), ("id", ADA)]).await;
    assert!(shown.text.contains(&address), "{}", shown.text);
    let delivery = "/delivery?source=clerk&id=msg_1";
    assert!(!visitor.page(delivery).await.contains(&address));
    let fields = [("source", "clerk"), ("id", "msg_1"), ("action", "reveal")];
    let payload = visitor.post("/delivery", &fields).await.text;
    assert!(payload.contains(&address) && !payload.contains("kept to ourselves"), "{payload}");
    let audit = visitor.page("/audit").await;
    for said in ["log in", "show personal data", "show a payload", ADA, "tests (usk_"] {
        assert!(audit.contains(said), "{said} is missing in {audit}");
    }
}

on_both_databases!(personal_data_is_shown_on_request_and_the_audit_says_to_whom, configured by with_console);

async fn a_user_is_found_by_any_id_or_address_and_after_a_deletion_by_the_providers_id(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(CREATED_GOOGLE).await;
    let row = app.client.list(&format!("?externalId={ADA}")).await.json()["users"][0].clone();
    let visitor = Visitor::logged_in(app).await;
    let address = row["email"].as_str().unwrap().replace('@', "%40");
    for q in [row["id"].as_str().unwrap(), ADA, &address] {
        let found = visitor.page(&format!("/users?q={q}")).await;
        assert!(found.contains(ADA) && !found.contains(GRACE), "{q}: {found}");
    }
    assert!(visitor.page("/users?q=nobody%00").await.contains("Nobody is found"));
    app.client.deliver(DELETED).await;
    let found = visitor.page(&format!("/users?q={ADA}")).await;
    assert!(found.contains("was deleted (<time datetime=\"2026-"), "{found}");
    let user = visitor.page(&format!("/user?source=clerk&id={ADA}")).await;
    assert!(user.contains("the deletion is final") && user.contains("user.deleted"), "{user}");
}

on_both_databases!(a_user_is_found_by_any_id_or_address_and_after_a_deletion_by_the_providers_id, configured by with_console);

async fn the_list_goes_on_from_page_to_page_and_is_filtered(app: &TestApp) {
    for number in 0..120 {
        let event = changed(CREATED, |event| event["data"]["id"] = json!(format!("user_{number}")));
        app.client.send(app.client.signed_as(&format!("msg_{number}"), event)).await;
        if number % 40 == 0 {
            app.client
                .send(app.client.signed_as(
                    &format!("again_{number}"),
                    changed(CREATED, |event| {
                        event["data"]["id"] = json!(format!("user_{number}"));
                    }),
                ))
                .await;
        }
        // Several are received at the same time.
        if number % 3 == 0 {
            app.clock.advance(Duration::from_secs(1));
        }
    }
    let visitor = Visitor::logged_in(app).await;
    let (mut path, mut seen, mut pages) = ("/deliveries".to_owned(), Vec::new(), 0);
    loop {
        let page = visitor.page(&path).await;
        seen.extend(
            page.split("href=\"/delivery?source=clerk&id=")
                .skip(1)
                .map(|rest| rest.split_once('"').unwrap().0.to_owned()),
        );
        pages += 1;
        let Some((before, _)) = page.split_once("\">Older</a>") else { break };
        path = before.rsplit_once("href=\"").unwrap().1.to_owned();
    }
    let mut distinct = seen.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((seen.len(), distinct.len(), pages), (123, 123, 3));
    let stale = visitor.page("/deliveries?outcome=stale").await;
    assert_eq!(stale.matches("href=\"/delivery?").count(), 3, "{stale}");
    for (query, count) in [
        ("user=user_80", 2),
        ("user=user_80&type=user.deleted", 0),
        ("user=user_80&outcome=parked", 0),
        ("id=msg_7", 1),
        ("id=msg_7&source=none", 0),
        ("type=user.deleted", 0),
        ("source=none", 0),
        ("until=2020-01-01T00:00", 0),
    ] {
        let page = visitor.page(&format!("/deliveries?{query}")).await;
        assert_eq!(page.matches("href=\"/delivery?").count(), count, "{query}");
    }
    for wrong in ["before=nonsense", "until=yesterday"] {
        assert_eq!(visitor.get(&format!("/deliveries?{wrong}")).await.status, 400, "{wrong}");
    }
}

on_both_databases!(the_list_goes_on_from_page_to_page_and_is_filtered, configured by with_console);

async fn parked_deliveries_are_previewed_and_replayed(app: &TestApp) {
    let unreadable = changed(CREATED, |event| event["data"]["created_at"] = json!({}));
    app.client.send(app.client.signed_as("msg_parked", unreadable)).await;
    app.expect_parked(1);
    let visitor = Visitor::logged_in(app).await;
    let parked = visitor.page("/parked").await;
    assert!(parked.contains("1 parked") && parked.contains("id=msg_parked"), "{parked}");
    let (_, link) = parked.split_once("<a href=\"/parked/replay?source").unwrap();
    let link = format!("/parked/replay?source{}", link.split_once('"').unwrap().0);
    let preview = visitor.page(&link).await;
    assert!(preview.contains("<dt>Stay parked</dt><dd>1"), "{preview}");
    assert_eq!(visitor.post("/parked/replay", &[("source", "clerk")]).await.header("location"), "/parked");
    until(&visitor, "/parked", "The last replay: 1 parked").await;
    assert!(visitor.page("/").await.contains("<dt>Parked</dt><dd><a href=\"/parked\">1</a>"));
    let fields = [("source", "clerk"), ("id", "msg_parked"), ("action", "replay")];
    let replayed = visitor.post("/delivery", &fields).await;
    assert!(replayed.header("location").ends_with(&format!("replayed={}", Outcome::Parked.as_str())));
    assert!(visitor.page("/audit").await.contains("replay parked deliveries"));
}

on_both_databases!(parked_deliveries_are_previewed_and_replayed, configured by with_console);

async fn markup_in_any_stored_text_stays_text(app: &TestApp) {
    let event = changed(CREATED, |event| {
        event["data"]["id"] = json!(MARKUP);
        for field in ["first_name", "last_name", "username", "image_url"] {
            event["data"][field] = json!(MARKUP);
        }
        event["data"]["public_metadata"] = json!({MARKUP: MARKUP});
        event["data"]["email_addresses"][0]["email_address"] = json!(MARKUP);
    });
    app.client.send(app.client.signed_as(MARKUP, event)).await;
    let unreadable = changed(CREATED, |event| {
        event["type"] = json!(format!("user.{MARKUP}"));
        event["data"]["id"] = json!(17);
    });
    app.client.send(app.client.signed_as("msg_2", unreadable)).await;
    let visitor = Visitor::logged_in(app).await;
    let made = visitor.post("/keys", &[("name", MARKUP), ("users_read", "1")]).await;
    let encoded: String = url::form_urlencoded::byte_serialize(MARKUP.as_bytes()).collect();
    let user = [("source", "clerk"), ("id", MARKUP)];
    let mut pages = vec![
        made.text,
        visitor.post("/user", &user).await.text,
        visitor.post("/delivery", &[&user[..], &[("action", "reveal")]].concat()).await.text,
        visitor.post("/token", &[("jwt", MARKUP)]).await.text,
        visitor.post("/webhook", &[("source", MARKUP), ("headers", MARKUP), ("body", MARKUP)]).await.text,
        visitor.get(&format!("/login?next={encoded}")).await.text,
    ];
    for path in [
        "/deliveries".to_owned(),
        format!("/deliveries?type={encoded}&user={encoded}&id={encoded}&source={encoded}"),
        format!("/delivery?source=clerk&id={encoded}"),
        format!("/user?source=clerk&id={encoded}"),
        format!("/users?q={encoded}"),
        "/parked".to_owned(),
        format!("/parked/replay?source={encoded}&reason={encoded}"),
        "/audit".to_owned(),
        "/keys".to_owned(),
    ] {
        pages.push(visitor.page(&path).await);
    }
    assert!(pages.iter().filter(|page| page.contains("&#60;script&#62;alert(1)")).count() > 8);
    for page in pages {
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{page}");
        assert!(!page.contains("\"'>"), "an attribute was left: {page}");
    }
}

on_both_databases!(markup_in_any_stored_text_stays_text, configured by with_console);

async fn a_payload_of_a_megabyte_is_shown(app: &TestApp) {
    let event =
        changed(CREATED, |event| event["data"]["public_metadata"] = json!({"long": "<b>".repeat(340_000)}));
    assert_eq!(app.client.send(app.client.signed_as("msg_large", event)).await.brief(), "200 applied");
    let visitor = Visitor::logged_in(app).await;
    let page = visitor.page("/delivery?source=clerk&id=msg_large").await;
    assert!(page.len() < 50_000, "{} bytes without being asked", page.len());
    let fields = [("source", "clerk"), ("id", "msg_large"), ("action", "reveal")];
    let shown = visitor.post("/delivery", &fields).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.len() > 1_000_000 && !shown.text.contains("<b>"));
    visitor.page("/deliveries").await;
}

on_both_databases!(a_payload_of_a_megabyte_is_shown, configured by with_console);

async fn keys_are_made_and_revoked(app: &TestApp) {
    let visitor = Visitor::logged_in(app).await;
    let made = visitor.post("/keys", &[("name", "the app"), ("users_read", "1")]).await;
    let (_, rest) = made.text.split_once("<code data-copy>usk_").unwrap();
    let key = format!("usk_{}", rest.split_once('<').unwrap().0);
    assert_eq!(app.client.get_as(&key, "/v1/users").await.status, 200);
    assert!(!visitor.page("/keys").await.contains(&key), "it is shown once");
    for (name, said) in [("the app", "already exists"), (" ", "needs a name")] {
        let refused = visitor.post("/keys", &[("name", name), ("users_read", "1")]).await;
        assert!(refused.text.contains(said), "{}", refused.text);
    }
    let nothing = visitor.post("/keys", &[("name", "another")]).await;
    assert!(nothing.text.contains("Choose what the key may do"));
    visitor.post("/keys/revoke", &[("prefix", &key[..12])]).await;
    assert_eq!(app.client.get_as(&key, "/v1/users").await.status, 401);
    let audit = visitor.page("/audit").await;
    assert!(audit.contains("create a service key") && audit.contains("revoke a service key"));
    assert!(!audit.contains(&key));
}

on_both_databases!(keys_are_made_and_revoked, configured by with_console);

async fn the_debuggers_say_what_the_service_decides_and_keep_nothing(app: &TestApp) {
    let visitor = Visitor::logged_in(app).await;
    let token = app.token(ADA);
    let valid = visitor.post("/token", &[("jwt", &format!("Bearer {token}"))]).await.text;
    assert!(valid.contains("The token is valid") && !valid.contains(&token), "{valid}");
    let changed = visitor.post("/token", &[("jwt", &token[..token.len() - 4])]).await.text;
    assert!(changed.contains("failed") && changed.contains("Fix:"), "{changed}");
    let wire = app.client.signed(CREATED);
    let headers: Vec<String> = wire.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let headers = headers.join("\r\n");
    // As a browser sends the lines of a field.
    let body = CREATED.replace('\n', "\r\n");
    let fields = [("source", "clerk"), ("headers", headers.as_str()), ("body", &body)];
    let valid = visitor.post("/webhook", &fields).await.text;
    assert!(valid.contains("The delivery is valid"), "{valid}");
    let forged = [("source", "clerk"), ("headers", headers.as_str()), ("body", "{}")];
    let refused = visitor.post("/webhook", &forged).await.text;
    assert!(refused.contains("signature") && refused.contains("Fix:"), "{refused}");
    assert!(app.client.rows().await.is_empty() && app.journal().await.is_empty());
    assert_eq!(visitor.page("/audit").await.matches("<tr>").count(), 2, "the head, and the login");
    let large = "x".repeat(1 << 20);
    let large = visitor.post("/webhook", &[("source", "clerk"), ("headers", "a: b"), ("body", &large)]).await;
    assert_eq!(large.status, 200);
}

on_both_databases!(the_debuggers_say_what_the_service_decides_and_keep_nothing, configured by with_console);

pub(crate) fn with_endpoint(config: &mut Config) {
    with_console(config);
    config.endpoints = vec![Endpoint {
        name: "app".to_owned(),
        url: "http://127.0.0.1:1/hooks/secret?key=secret".parse().unwrap(),
        secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into()],
        events: vec![EventKind::Created],
        sources: Vec::new(),
    }];
}

async fn endpoints_are_tested_enabled_and_sent_everything_again(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let visitor = Visitor::logged_in(app).await;
    let page = visitor.page("/endpoints").await;
    assert!(page.contains("<code>http://127.0.0.1:1</code>") && !page.contains("secret"), "{page}");
    let tested = visitor.post("/endpoints/test", &[("name", "app")]).await.text;
    assert!(tested.contains("app gave no answer: it cannot be reached"), "{tested}");
    assert_eq!(visitor.post("/endpoints/enable", &[("name", "app")]).await.status, 303);
    assert_eq!(visitor.post("/endpoints/enable", &[("name", "other")]).await.status, 404);
    visitor.post("/endpoints/replay", &[("name", "app"), ("hours", "24")]).await;
    until(&visitor, "/endpoints", "events wait").await;
    assert!(visitor.page("/").await.contains("Events out"));
    let audit = visitor.page("/audit").await;
    for said in ["test an endpoint", "enable an endpoint", "replay to an endpoint"] {
        assert!(audit.contains(said), "{audit}");
    }
}

on_both_databases!(endpoints_are_tested_enabled_and_sent_everything_again, configured by with_endpoint);
