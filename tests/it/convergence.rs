//! Random histories, shuffled, repeated and sent at once, end in the rows of the pure rule.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use usersync::internals::domain::{IdPolicy, Record, UserKey};
use usersync::internals::providers::ReadMessage;
use usersync::internals::signature::{Message, Verified};

use crate::support::app::{NOW, TestApp};
use crate::support::client::Client;

const USERS: u8 = 24;
const EVENTS: usize = 160;
const CONNECTIONS: usize = 16;

/// One event of a history: the message's id and the payload.
type Event = (String, String);

/// An event about one of a few users at one of a few times, so that equal stamps, reordering and deletions are common.
fn some_event() -> impl Strategy<Value = Value> {
    let name = prop_oneof![Just(json!(null)), Just(json!("Ada")), Just(json!("Grace")), Just(json!("Zoë"))];
    let address = prop_oneof![Just("a@example.com"), Just("b@example.com")];
    (0..USERS, 0..40_i64, name, address, 0..12_u8).prop_map(|(user, offset, name, address, kind)| {
        let (id, stamp) = (format!("user_{user}"), (NOW + offset) * 1000);
        match kind {
            0 => json!({"type": "user.deleted", "timestamp": stamp / 1000, "data": {"id": id, "deleted": true}}),
            1 => json!({"type": "user.updated", "data": {"id": id, "updated_at": stamp, "username": address}}),
            _ => json!({
                "type": if kind < 6 { "user.created" } else { "user.updated" },
                "data": {
                    "id": id, "created_at": NOW * 1000, "updated_at": stamp,
                    "first_name": name, "last_name": null,
                    "primary_email_address_id": "e",
                    "email_addresses": [{"id": "e", "email_address": address, "verification": null}],
                },
            }),
        }
    })
}

/// A history, and the same events shuffled, with every other event sent twice.
fn history(runner: &mut TestRunner) -> (Vec<Event>, Vec<Event>) {
    let events = prop::collection::vec(some_event(), EVENTS).new_tree(runner).unwrap().current();
    let events: Vec<Event> = events
        .iter()
        .enumerate()
        .map(|(number, event)| (format!("msg_{number}"), event.to_string()))
        .collect();
    let repeated = events.iter().cloned().chain(events.iter().step_by(2).cloned()).collect::<Vec<_>>();
    let sent = Just(repeated).prop_shuffle().new_tree(runner).unwrap().current();
    (events, sent)
}

/// What the pure rule makes of a history.
fn expected(app: &TestApp, events: &[Event]) -> BTreeMap<UserKey, Record> {
    let sources = app.sources();
    let mut records: BTreeMap<UserKey, Record> = BTreeMap::new();
    for (id, body) in events {
        let message = Message { id: Some(id.clone()), body: body.clone().into_bytes() };
        let read = sources.get("clerk").unwrap().read(Verified::trusted(message), app.clock.now()).unwrap();
        let ReadMessage::Delivery(delivery) = read else { panic!("not about a user: {body}") };
        let change = delivery.change().unwrap_or_else(|| panic!("unreadable: {body}"));
        let record = records.entry(change.user.clone()).or_default();
        *record = std::mem::take(record).join(Record::of(change), IdPolicy::Final);
    }
    records
}

/// What the API shows of a record, without the id and the time of writing.
fn shown(records: &BTreeMap<UserKey, Record>) -> BTreeMap<String, Value> {
    let living = records.iter().filter_map(|(key, record)| Some((key, record.life.as_ref()?)));
    let row = |(key, life): (&UserKey, &usersync::internals::domain::Life)| {
        let profile = life.profile();
        let row = json!({
            "name": profile.name, "givenName": profile.given_name, "nickname": profile.nickname,
            "email": profile.email, "emailVerified": profile.email_verified,
            "createdAt": life.created_at(), "updatedAt": life.updated_at(),
        });
        (key.external_id.clone(), row)
    };
    living.map(row).collect()
}

async fn rows(client: &Client, like: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let fields: Vec<&String> = like.values().next().and_then(Value::as_object).unwrap().keys().collect();
    let row = |row: &Value| {
        let shown: Value = fields.iter().map(|field| ((*field).clone(), row[*field].clone())).collect();
        (row["externalId"].as_str().unwrap().to_owned(), shown)
    };
    client.rows().await.iter().map(row).collect()
}

/// Sends every event over many connections, to each of the services in turn. All are accepted.
async fn send(clients: &[&Client], events: Vec<Event>) {
    let sending = events.into_iter().enumerate().map(|(number, (id, body))| {
        let client = clients[number % clients.len()];
        async move { client.send(client.signed_as(&id, body)).await.brief() }
    });
    let outcomes: Vec<String> = stream::iter(sending).buffer_unordered(CONNECTIONS).collect().await;
    for outcome in outcomes {
        assert!(["200 applied", "200 stale", "200 duplicate"].contains(&&*outcome), "{outcome}");
    }
}

fn a_history(seed: u8) -> (Vec<Event>, Vec<Event>) {
    let seed = prop::test_runner::TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &[seed; 32]);
    history(&mut TestRunner::new_with_rng(ProptestConfig::default(), seed))
}

/// Compares what these services show with the rule.
async fn assert_rule(app: &TestApp, clients: &[&Client], events: &[Event]) {
    let records = expected(app, events);
    let expected = shown(&records);
    let deleted = records.values().any(|record| record.deleted_at.is_some());
    assert!(!expected.is_empty() && deleted, "a history with users and deletions");
    for client in clients {
        assert_eq!(rows(client, &expected).await, expected);
    }
}

async fn a_random_history_ends_in_the_rows_of_the_rule(app: &TestApp) {
    let (events, sent) = a_history(1);
    send(&[&app.client], sent).await;
    assert_rule(app, &[&app.client], &events).await;
}

on_both_databases!(a_random_history_ends_in_the_rows_of_the_rule);

async fn a_history_split_over_two_replicas_ends_in_the_same_rows(app: &TestApp) {
    let (service, other) = app.replica().await;
    let (events, sent) = a_history(2);
    send(&[&app.client, &other], sent).await;
    assert_rule(app, &[&app.client, &other], &events).await;
    service.stop().await.unwrap();
}

on_both_databases!(a_history_split_over_two_replicas_ends_in_the_same_rows);

async fn a_history_ends_in_the_same_rows_after_a_restart(app: &TestApp) {
    let (events, mut sent) = a_history(3);
    let rest = sent.split_off(sent.len() / 2);
    let (service, first) = app.replica().await;
    send(&[&first], sent).await;
    service.stop().await.unwrap();
    let (service, second) = app.replica().await;
    send(&[&second], rest).await;
    assert_rule(app, &[&second], &events).await;
    service.stop().await.unwrap();
}

on_both_databases!(a_history_ends_in_the_same_rows_after_a_restart);
