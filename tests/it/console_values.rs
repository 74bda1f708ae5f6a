//! What the console shows for values that are missing, or that must not be seen.

use serde_json::{Value, json};

use crate::console::with_console;
use crate::console_pages::changed;
use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED, DELETED};
use crate::support::console::Visitor;

async fn a_deletion_without_a_date_says_so(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let undated = changed(DELETED, |event| event["timestamp"] = Value::Null);
    app.client.send(app.client.signed_as("msg_undated", undated.clone())).await;
    let visitor = Visitor::logged_in(app).await;
    for path in [
        "/delivery?source=clerk&id=msg_undated".to_owned(),
        format!("/users?q={ADA}"),
        format!("/user?source=clerk&id={ADA}"),
    ] {
        let page = visitor.page(&path).await;
        assert!(page.contains("no date") && !page.contains("1970"), "{path}: {page}");
    }
    let wire = app.client.signed(undated.clone());
    let headers: Vec<String> = wire.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let fields = [("source", "clerk"), ("headers", &headers.join("\n")), ("body", &undated)];
    let explained = visitor.post("/webhook", &fields).await.text;
    assert!(explained.contains("without a date") && !explained.contains("1970"), "{explained}");
}

on_both_databases!(a_deletion_without_a_date_says_so, configured by with_console);

async fn a_name_that_is_an_address_is_hidden_on_every_page(app: &TestApp) {
    let named = changed(CREATED, |event| {
        event["data"]["first_name"] = json!("ada.byron@example.com");
        event["data"]["last_name"] = Value::Null;
    });
    app.client.send(app.client.signed_as("msg_1", named)).await;
    let visitor = Visitor::logged_in(app).await;
    for path in ["/users", &format!("/user?source=clerk&id={ADA}"), "/delivery?source=clerk&id=msg_1"] {
        let page = visitor.page(path).await;
        assert!(page.contains("a***@example.com") && !page.contains("ada.byron"), "{path}: {page}");
    }
}

on_both_databases!(a_name_that_is_an_address_is_hidden_on_every_page, configured by with_console);
