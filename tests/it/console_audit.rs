//! The audit of the console has what was done, and nothing else.

use usersync::internals::domain::Scopes;

use crate::console_pages::with_endpoint;
use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED, DELETED};
use crate::support::console::Visitor;

/// The actions in the audit, newest first.
async fn actions(visitor: &Visitor) -> Vec<String> {
    let audit = visitor.page("/audit").await;
    let rows = audit.split("<tr><td>").skip(1);
    rows.map(|row| row.split("</td><td>").nth(2).unwrap().to_owned()).collect()
}

async fn what_was_not_done_is_not_in_the_audit(app: &TestApp) {
    app.client.send(app.client.signed_as("msg_erased", CREATED)).await;
    app.client.deliver(DELETED).await;
    let visitor = Visitor::logged_in(app).await;
    let nobody = [("source", "clerk"), ("id", "nobody")];
    let erased = [("source", "clerk"), ("id", "msg_erased")];
    for (path, fields, status, said) in [
        ("/keys/revoke", &[("prefix", "usk_00000000")][..], 404, "No active key begins with this"),
        ("/keys", &[("name", "tests"), ("admin", "1")], 200, "already exists"),
        ("/keys", &[("name", "new")], 200, "Choose what the key may do"),
        ("/keys", &[("name", &"n".repeat(201)), ("admin", "1")], 200, "at most 200 characters"),
        ("/delivery", &[nobody[0], nobody[1], ("action", "replay")], 404, "no such delivery"),
        ("/delivery", &[nobody[0], nobody[1], ("action", "reveal")], 404, "no such delivery"),
        ("/delivery", &[erased[0], erased[1], ("action", "replay")], 409, "It cannot be replayed"),
        ("/delivery", &[erased[0], erased[1], ("action", "reveal")], 200, "no longer kept"),
        ("/delivery", &[erased[0], erased[1], ("action", "delete")], 400, "`action` is"),
        ("/user", &nobody, 404, "Nothing is known"),
        ("/user", &[("source", "clerk"), ("id", ADA)], 200, "was deleted"),
        ("/endpoints/test", &[("name", "none")], 404, "No endpoint has this name"),
        ("/endpoints/enable", &[("name", "none")], 404, "No endpoint has this name"),
        ("/endpoints/replay", &[("name", "none"), ("hours", "1")], 404, "No endpoint has this name"),
        ("/endpoints/replay", &[("name", "app"), ("hours", "all")], 400, "The time cannot be read"),
        ("/source/check", &[("name", "none")], 404, "No source has this name"),
        ("/source/check", &[("name", "clerk")], 409, "Nothing can be checked"),
        ("/source/run", &[("name", "none"), ("kind", "backfill")], 404, "No source has this name"),
        ("/source/run", &[("name", "clerk"), ("kind", "delete")], 400, "`kind` is"),
        ("/source/run", &[("name", "clerk"), ("kind", "backfill")], 409, "without an API key"),
        ("/source/run", &[("name", "clerk"), ("kind", "reconcile")], 409, "without an API key"),
    ] {
        let answer = visitor.post(path, fields).await;
        assert_eq!(answer.status, status, "{path} {fields:?}: {}", answer.text);
        assert!(answer.text.contains(said), "{path} {fields:?}: {}", answer.text);
    }
    assert_eq!(actions(&visitor).await, ["log in"]);
    assert!(!visitor.page("/source?name=clerk").await.contains("unfinished"), "no run was begun");

    let key = app.service_key_with(Scopes::default()).await;
    assert_eq!(visitor.post("/keys/revoke", &[("prefix", &key[..12])]).await.status, 303);
    assert_eq!(visitor.post("/keys/revoke", &[("prefix", &key[..12])]).await.status, 404, "once");
    assert_eq!(actions(&visitor).await, ["revoke a service key", "log in"]);
}

on_both_databases!(what_was_not_done_is_not_in_the_audit, configured by with_endpoint);
