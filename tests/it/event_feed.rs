//! `GET /v1/events`: the changes in order, and the transaction that logs them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use usersync::internals::config::{Config, Events};
use usersync::internals::domain::Scope;
use usersync::internals::events::sweep_events;

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, DELETED, GRACE, UPDATED};
use crate::support::client::{Answer, Client};

const DAY: Duration = Duration::from_hours(24);

pub(crate) fn logged(config: &mut Config) {
    config.events = Some(Events::default());
}

async fn key(app: &TestApp) -> String {
    app.service_key_with([Scope::EventsRead].into_iter().collect()).await
}

async fn read(app: &TestApp, key: &str, query: &str) -> Answer {
    app.client.get_as(key, &format!("/v1/events{query}")).await
}

/// Type, external id, changed fields and sequence of each event, and the cursor.
async fn brief(app: &TestApp, key: &str, query: &str) -> (Vec<String>, String) {
    let answer = read(app, key, query).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let brief = |event: &Value| {
        let changed: Vec<&str> =
            event["changed"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        format!(
            "{} {} [{}] {}",
            event["type"].as_str().unwrap(),
            event["data"]["externalId"].as_str().unwrap(),
            changed.join(","),
            event["sequence"].as_str().unwrap()
        )
    };
    let events = body["events"].as_array().unwrap().iter().map(brief).collect();
    (events, body["next"].as_str().unwrap().to_owned())
}

async fn an_event_has_the_current_row(app: &TestApp) {
    let key = key(app).await;
    assert_eq!(brief(app, &key, "").await, (vec![], "0".to_owned()));
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let (_, first) = brief(app, &key, "").await;
    assert_eq!(app.client.deliver(CREATED).await, "200 stale");
    assert_eq!(app.client.deliver(UPDATED).await, "200 applied");
    let row = app.client.rows().await[0].clone();
    let answer = read(app, &key, "").await.json();
    assert_eq!(answer["events"].as_array().unwrap().len(), 1, "one event a user: {answer}");
    let event = &answer["events"][0];
    assert_eq!((&event["type"], &event["data"]), (&json!("user.created"), &row));
    assert_eq!((&event["timestamp"], &event["changed"]), (&row["updatedAt"], &json!([])));
    assert_eq!(event["sequence"], answer["next"]);
    // A reader that has read the first event gets the second one.
    let event = read(app, &key, &format!("?after={first}")).await.json()["events"][0].clone();
    assert_eq!((&event["type"], &event["data"]), (&json!("user.updated"), &row));
    let changed: Vec<&str> =
        event["changed"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(changed.contains(&"familyName") && changed.contains(&"name"), "{changed:?}");
    assert!(!changed.contains(&"updatedAt") && !changed.contains(&"syncedAt"), "{changed:?}");
    let id = row["id"].clone();
    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    let event = read(app, &key, &format!("?after={first}")).await.json()["events"][0].clone();
    assert_eq!(event["type"], "user.deleted");
    assert_eq!(event["data"], json!({"id": id, "source": "clerk", "externalId": ADA}));
    assert_eq!(brief(app, &key, "").await.0, [""; 0], "created and deleted: no event");
    let whole = read(app, &key, &format!("?after={first}")).await.text;
    assert!(!whole.contains("Lovelace") && !whole.contains("example.com"), "{whole}");
}

on_both_databases!(an_event_has_the_current_row, configured by logged);

async fn pages_filters_and_limits(app: &TestApp) {
    let key = key(app).await;
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    assert_eq!(app.client.deliver(CREATED_GOOGLE).await, "200 applied");
    assert_eq!(app.client.deliver(UPDATED).await, "200 applied");
    let (page, next) = brief(app, &key, "?limit=1").await;
    assert_eq!(page, [format!("user.created {ADA} [] {next}")]);
    let (page, next) = brief(app, &key, &format!("?limit=1&after={next}")).await;
    assert_eq!(page, [format!("user.created {GRACE} [] {next}")]);
    let (page, last) = brief(app, &key, &format!("?limit=1&after={next}")).await;
    assert_eq!(page.len(), 1);
    assert_eq!(brief(app, &key, &format!("?after={last}")).await, (vec![], last.clone()));
    let (page, next) = brief(app, &key, "?type=user.updated").await;
    assert!(page.len() == 1 && page[0].starts_with("user.updated"), "{page:?}");
    assert_eq!(next, last);
    assert_eq!(brief(app, &key, "?source=workos").await, (vec![], last.clone()));
    assert_eq!(brief(app, &key, "?source=clerk").await.0.len(), 2);
    for wrong in [
        "?limit=0",
        "?limit=1001",
        "?after=-1",
        "?after=x",
        "?after=",
        "?after=9223372036854775808",
        "?type=user.changed",
        "?type=users.resync",
        "?source=%00",
        "?wait=x",
        "?unknown=1",
    ] {
        assert_eq!(read(app, &key, wrong).await.brief(), "400 invalid_query", "{wrong}");
    }
}

on_both_databases!(pages_filters_and_limits, configured by logged);

async fn only_a_service_key_with_the_scope_may_read(app: &TestApp) {
    assert_eq!(app.client.get("/v1/events").await.brief(), "401 invalid_auth_header");
    let users_only = app.client.service_key();
    assert_eq!(read(app, users_only, "").await.brief(), "403 insufficient_scope");
    let admin = app.service_key_with([Scope::Admin].into_iter().collect()).await;
    assert_eq!(read(app, &admin, "").await.status, 200);
    assert_eq!(read(app, &app.token(ADA), "").await.brief(), "401 unauthenticated");
}

on_both_databases!(only_a_service_key_with_the_scope_may_read, configured by logged);

async fn a_reader_waits_for_the_next_change_of_any_replica(app: &TestApp) {
    let key = key(app).await;
    let (service, replica) = app.replica().await;
    let waiting = replica.get_as(&key, "/v1/events?wait=30");
    let (answer, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    });
    assert_eq!(answer.json()["events"][0]["data"]["externalId"], ADA);
    let next = answer.json()["next"].as_str().unwrap().to_owned();
    let nothing = replica.get_as(&key, &format!("/v1/events?wait=1&after={next}")).await;
    assert_eq!(nothing.json(), json!({"events": [], "next": next}));
    service.stop().await.unwrap();
}

on_both_databases!(a_reader_waits_for_the_next_change_of_any_replica, configured by logged);

async fn nothing_is_logged_without_events_or_endpoints(app: &TestApp) {
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    let key = key(app).await;
    assert_eq!(read(app, &key, "").await.json(), json!({"events": [], "next": "0"}));
}

on_both_databases!(nothing_is_logged_without_events_or_endpoints);

async fn an_expired_cursor_is_refused_with_the_next_cursor(app: &TestApp) {
    let key = key(app).await;
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let (_, first) = brief(app, &key, "").await;
    app.clock.advance(20 * DAY);
    assert_eq!(app.client.deliver(CREATED_GOOGLE).await, "200 applied");
    let (_, second) = brief(app, &key, "").await;
    assert_eq!(brief(app, &key, "?after=0").await.0.len(), 2);
    app.clock.advance(11 * DAY);
    // Before and after the sweep.
    for _ in 0..2 {
        let refused = read(app, &key, "?after=0").await;
        assert_eq!(refused.brief(), "410 cursor_expired");
        assert_eq!(refused.json()["next"], json!(second));
        assert_eq!(brief(app, &key, &format!("?after={first}")).await.0.len(), 1);
        assert_eq!(brief(app, &key, "").await.0.len(), 1, "the first event that is kept");
        assert_eq!(brief(app, &key, &format!("?after={second}")).await.0.len(), 0);
        let stop = CancellationToken::new();
        sweep_events(&app.store, &app.clock, 30 * DAY, &stop).await.unwrap();
    }
    app.clock.advance(30 * DAY);
    let stop = CancellationToken::new();
    assert_eq!(sweep_events(&app.store, &app.clock, 30 * DAY, &stop).await.unwrap(), 1);
    assert_eq!(read(app, &key, &format!("?after={first}")).await.brief(), "410 cursor_expired");
    assert_eq!(brief(app, &key, "").await, (vec![], second.clone()));
    assert_eq!(brief(app, &key, &format!("?after={second}")).await, (vec![], second));
    // A cursor from another database.
    assert_eq!(read(app, &key, "?after=1000000").await.brief(), "410 cursor_expired");
}

on_both_databases!(an_expired_cursor_is_refused_with_the_next_cursor, configured by logged);

async fn a_cursor_expires_if_changes_were_not_logged(app: &TestApp) {
    let key = key(app).await;
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let (_, last) = brief(app, &key, "").await;
    // A service that was started without `[events]` does not log its changes.
    let (silent, client) = app.replica_of(&Config { events: None, ..app.config.clone() }).await;
    let wire = client.signed_as("msg_silent", UPDATED);
    assert_eq!(client.send(wire).await.brief(), "200 applied");
    silent.stop().await.unwrap();
    let refused = read(app, &key, &format!("?after={last}")).await;
    assert_eq!(refused.brief(), "410 cursor_expired");
    let next = refused.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(app.client.deliver(CREATED_GOOGLE).await, "200 applied");
    let (events, _) = brief(app, &key, &format!("?after={next}")).await;
    assert!(events.len() == 1 && events[0].starts_with(&format!("user.created {GRACE}")), "{events:?}");
    assert_eq!(brief(app, &key, "").await.0, events);
}

on_both_databases!(a_cursor_expires_if_changes_were_not_logged, configured by logged);

async fn claims_make_events_and_a_replay_that_changes_nothing_makes_none(app: &TestApp) {
    let key = key(app).await;
    let token = app.token(ADA);
    let post = app.client.request(reqwest::Method::POST, "/v1/users/current").bearer_auth(&token);
    assert_eq!(post.send().await.unwrap().status(), 201);
    let (events, claimed) = brief(app, &key, "").await;
    assert_eq!(events, [format!("user.created {ADA} [] {claimed}")]);
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let (events, next) = brief(app, &key, &format!("?after={claimed}")).await;
    assert!(events.len() == 1 && events[0].starts_with("user.updated"), "{events:?}");
    app.replay().rebuild(|_| ()).await.unwrap();
    app.replay().journal(&usersync::internals::store::Which::default(), |_| ()).await.unwrap();
    assert_eq!(brief(app, &key, &format!("?after={next}")).await, (vec![], next));
}

on_both_databases!(claims_make_events_and_a_replay_that_changes_nothing_makes_none, configured by logged);

fn delivery(user: usize, stamp: usize) -> String {
    let mut event: Value = serde_json::from_str(UPDATED).unwrap();
    event["data"]["id"] = json!(format!("user_{user}"));
    event["data"]["updated_at"] = json!(1_767_400_000_000_u64 + stamp as u64 * 1000);
    event["data"]["first_name"] = json!(format!("Ada {stamp}"));
    event.to_string()
}

fn deletion(user: usize, stamp: usize) -> String {
    let mut event: Value = serde_json::from_str(DELETED).unwrap();
    event["data"]["id"] = json!(format!("user_{user}"));
    event["timestamp"] = json!(1_767_400_000_000_u64 + stamp as u64 * 1000);
    event.to_string()
}

/// Reads events after a cursor and applies them to `rows`; returns the next cursor.
async fn follow(client: &Client, key: &str, rows: &mut BTreeMap<String, Value>, after: String) -> String {
    let answer = client.get_as(key, &format!("/v1/events?limit=7&wait=1&after={after}")).await;
    let body = answer.json();
    for event in body["events"].as_array().unwrap_or_else(|| panic!("{answer:?}")) {
        let id = event["data"]["id"].as_str().unwrap().to_owned();
        if event["type"] == "user.deleted" {
            rows.remove(&id);
        } else {
            rows.insert(id, event["data"].clone());
        }
    }
    body["next"].as_str().unwrap().to_owned()
}

async fn a_reader_ends_up_with_the_table_while_many_write(app: &TestApp) {
    const WRITERS: usize = 16;
    const ROUNDS: usize = 12;
    let key = key(app).await;
    let (service, replica) = app.replica().await;
    let writing = async {
        let writers = (0..WRITERS).map(|writer| {
            let client = if writer % 2 == 0 { &app.client } else { &replica };
            async move {
                for round in 0..ROUNDS {
                    // The writers change the same users, and some users are deleted at the end.
                    let user = (writer * 5 + round) % 24;
                    let body = if round == ROUNDS - 1 && writer % 4 == 0 {
                        deletion(user, 1000 + round)
                    } else {
                        delivery(user, writer * ROUNDS + round)
                    };
                    // Both clients count their messages from 0.
                    let id = format!("msg_{writer}_{round}");
                    let answer = client.send(client.signed_as(&id, body)).await.brief();
                    assert!(["200 applied", "200 stale"].contains(&&*answer), "{answer}");
                }
            }
        });
        futures_util::future::join_all(writers).await;
    };
    let mut rows = BTreeMap::new();
    let mut after = "0".to_owned();
    let mut writing = std::pin::pin!(writing);
    let mut is_writing = true;
    while is_writing {
        let reading = follow(&replica, &key, &mut rows, after.clone());
        tokio::select! {
            () = &mut writing => is_writing = false,
            next = reading => after = next,
        }
    }
    loop {
        let next = follow(&app.client, &key, &mut rows, after.clone()).await;
        if next == after {
            break;
        }
        after = next;
    }
    let table: BTreeMap<String, Value> = app
        .client
        .rows()
        .await
        .into_iter()
        .map(|row| (row["id"].as_str().unwrap().to_owned(), row))
        .collect();
    let without_sync = |rows: &BTreeMap<String, Value>| {
        let mut rows = rows.clone();
        // A change without an event may have written the row again.
        for row in rows.values_mut() {
            row["syncedAt"] = Value::Null;
            row["updatedAt"] = Value::Null;
        }
        rows
    };
    assert_eq!(without_sync(&rows), without_sync(&table));
    service.stop().await.unwrap();
}

on_both_databases!(a_reader_ends_up_with_the_table_while_many_write, configured by logged);
