//! One suite for every provider, over HTTP, with every sender in the providers' `senders.toml`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use proptest::prelude::ProptestConfig;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use usersync::internals::config::Config;

use crate::support::app::{SECRET, TestApp};
use crate::support::client::{Answer, SignedRequest};
use crate::support::mutations::mutated;
use crate::support::senders::{Sender, sender_to, senders, sources, with, with_every_provider};

/// A message with a new id, signed now with the sender's current secret.
fn wire(app: &TestApp, sender: &Sender, body: impl Into<Vec<u8>>) -> SignedRequest {
    let now = app.clock.now().as_seconds();
    sender.wire(sender.proof.secrets()[0], &app.client.message_id(), now, body)
}

async fn deliver(app: &TestApp, sender: &Sender, body: impl Into<Vec<u8>>) -> String {
    app.client.send(wire(app, sender, body)).await.brief()
}

/// The names in the rows of a sender's source.
async fn names(app: &TestApp, sender: &Sender) -> Vec<Value> {
    let rows = app.client.list(&format!("?source={}", sender.source)).await.json();
    rows["users"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect()
}

async fn a_verified_delivery_makes_a_row(app: &TestApp) {
    for sender in senders() {
        let source = &sender.source;
        let answer = app.client.send(wire(app, &sender, &*sender.created)).await;
        assert_eq!(answer.brief(), "200 applied", "{source}");
        let rows = app.client.list(&format!("?source={source}")).await.json();
        let row = &rows["users"][0];
        let event: Value = serde_json::from_str(&sender.created).unwrap();
        let id = event.pointer(&sender.user_id).unwrap();
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        assert_eq!(row["externalId"], id, "{source}");
        assert_eq!(row["name"], "Ada Lovelace", "{source}");
        assert_eq!(row["email"], "ada@example.com", "{source}");
        assert_eq!(row["createdAt"], "2026-01-01T12:00:00Z", "{source}");
    }
}

on_both_databases!(a_verified_delivery_makes_a_row, configured by with_every_provider);

async fn a_delivery_that_the_source_did_not_send_is_refused(app: &TestApp) {
    for sender in senders() {
        let source = &sender.source;
        let [does_not_fit, missing] = sender.proof.refusals();
        let now = app.clock.now().as_seconds();
        let foreign = sender.wire(sender.proof.secrets()[2], "msg_foreign", now, &*sender.created);
        let refused = app.client.send(foreign).await;
        assert_eq!(refused.brief(), does_not_fit, "{source}");
        assert_challenge(&refused, "Bearer error=\"invalid_token\"");
        let mut bare = wire(app, &sender, &*sender.created);
        bare.headers.clear();
        let refused = app.client.send(bare).await;
        assert_eq!(refused.brief(), missing, "{source}");
        assert_challenge(&refused, "Bearer");
        if sender.proof.tolerance().is_some() {
            let mut changed = wire(app, &sender, &*sender.created);
            changed.body.push(b' ');
            assert_eq!(app.client.send(changed).await.brief(), does_not_fit, "{source}");
        }
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_delivery_that_the_source_did_not_send_is_refused, configured by with_every_provider);

/// A 401 names the scheme to authenticate with (RFC 6750); no other answer does.
fn assert_challenge(refused: &Answer, expected: &str) {
    let expected = if refused.status == 401 { expected } else { "" };
    assert_eq!(refused.header("www-authenticate"), expected);
}

async fn the_old_and_the_new_secret_are_accepted_during_rotation(app: &TestApp) {
    for sender in senders() {
        let now = app.clock.now().as_seconds();
        let [new, old, _] = sender.proof.secrets();
        let by_old = sender.wire(old, &app.client.message_id(), now, &*sender.created);
        assert_eq!(app.client.send(by_old).await.brief(), "200 applied", "{}", sender.source);
        let by_new = sender.wire(new, &app.client.message_id(), now, &*sender.updated);
        assert_eq!(app.client.send(by_new).await.brief(), "200 applied", "{}", sender.source);
    }
}

on_both_databases!(the_old_and_the_new_secret_are_accepted_during_rotation, configured by with_every_provider);

async fn an_attempt_outside_the_tolerance_is_refused(app: &TestApp) {
    let now = app.clock.now().as_seconds();
    for sender in senders() {
        let Some(tolerance) = sender.proof.tolerance() else { continue };
        for (off, body, expected) in [
            (-tolerance - 1, &*sender.created, "400 stale_timestamp"),
            (tolerance + 1, &*sender.created, "400 stale_timestamp"),
            (-tolerance, &*sender.created, "200 applied"),
            (tolerance, &*sender.updated, "200 applied"),
        ] {
            let secret = sender.proof.secrets()[0];
            let wire = sender.wire(secret, &app.client.message_id(), now + off, body);
            assert_eq!(app.client.send(wire).await.brief(), expected, "{} {off}", sender.source);
        }
    }
}

on_both_databases!(an_attempt_outside_the_tolerance_is_refused, configured by with_every_provider);

async fn the_same_message_again_is_a_duplicate(app: &TestApp) {
    for sender in senders() {
        let source = &sender.source;
        let now = app.clock.now().as_seconds();
        let secret = sender.proof.secrets()[0];
        let mut ids = Vec::new();
        for expected in ["200 applied", "200 duplicate"] {
            let answer = app.client.send(sender.wire(secret, "msg_again", now, &*sender.created)).await;
            assert_eq!(answer.brief(), expected, "{source}");
            ids.push(answer.json()["messageId"].clone());
        }
        let event: Value = serde_json::from_str(&sender.created).unwrap();
        match &sender.message_id {
            Some(pointer) => assert_eq!(Some(&ids[0]), event.pointer(pointer), "{source}"),
            None if source == "homemade" => assert!(ids[0].as_str().unwrap().starts_with("sha256_")),
            None => assert_eq!(ids[0], "msg_again", "{source}"),
        }
        assert_eq!(ids[0], ids[1]);
    }
}

on_both_databases!(the_same_message_again_is_a_duplicate, configured by with_every_provider);

async fn an_event_that_is_not_about_a_user_is_ignored(app: &TestApp) {
    for sender in senders() {
        assert_eq!(deliver(app, &sender, &*sender.unknown).await, "200 ignored", "{}", sender.source);
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(an_event_that_is_not_about_a_user_is_ignored, configured by with_every_provider);

async fn an_update_before_its_create_is_applied_and_a_deletion_removes_the_row(app: &TestApp) {
    for sender in senders() {
        let source = &sender.source;
        assert_eq!(deliver(app, &sender, &*sender.updated).await, "200 applied", "{source}");
        let late = deliver(app, &sender, &*sender.created).await;
        assert!(["200 stale", "200 applied"].contains(&&*late), "{source}: {late}");
        assert_eq!(names(app, &sender).await, [json!("Ada King")], "{source}");
        assert_eq!(deliver(app, &sender, &*sender.deleted).await, "200 applied", "{source}");
        assert!(names(app, &sender).await.is_empty(), "{source}");
    }
}

on_both_databases!(an_update_before_its_create_is_applied_and_a_deletion_removes_the_row, configured by with_every_provider);

async fn a_deletion_before_everything_else_stays_in_force(app: &TestApp) {
    for sender in senders() {
        assert_eq!(deliver(app, &sender, &*sender.deleted).await, "200 applied", "{}", sender.source);
        for late in [&*sender.updated, &*sender.created] {
            assert_eq!(deliver(app, &sender, late).await, "200 stale", "{}", sender.source);
        }
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_deletion_before_everything_else_stays_in_force, configured by with_every_provider);

async fn an_unreadable_event_is_parked_once_and_a_body_that_is_not_json_is_refused(app: &TestApp) {
    let mut parked = 0;
    for sender in senders() {
        let source = &sender.source;
        let now = app.clock.now().as_seconds();
        let without_id = with(&sender.created, &sender.user_id, json!({}));
        for (number, body) in [without_id.as_str(), "[]", "{}", r#""text""#].into_iter().enumerate() {
            let attempt = || sender.wire(sender.proof.secrets()[0], &format!("msg_{number}"), now, body);
            assert_eq!(app.client.send(attempt()).await.brief(), "200 parked", "{source} {body:.20}");
            assert_eq!(app.client.send(attempt()).await.brief(), "200 duplicate", "{source} {body:.20}");
            parked += 1;
        }
        for body in ["", "{", "hello"] {
            assert_eq!(deliver(app, &sender, body).await, "400 invalid_json", "{source} {body}");
        }
    }
    app.expect_parked(parked);
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(an_unreadable_event_is_parked_once_and_a_body_that_is_not_json_is_refused, configured by with_every_provider);

/// Two events of one user with one time of the change, one of them dated later by its envelope.
struct EqualStamps {
    external_id: String,
    earlier: String,
    later: String,
}

impl EqualStamps {
    /// The names in the earlier and the later event are those of these two bodies.
    fn new(sender: &Sender, number: usize, earlier: &str, later: &str) -> Self {
        let updated: Value = serde_json::from_str(&sender.updated).unwrap();
        let envelope_time = sender.envelope_time.as_deref().unwrap();
        let time = updated.pointer(envelope_time).unwrap().clone();
        let later_time =
            time.as_i64().map_or_else(|| json!("2026-01-02T13:00:00Z"), |time| json!(time + 1_000));
        let external_id = format!("twin_{number}");
        let event = |body: &str, time: Value, id: &str| {
            let body = with(body, &sender.stamp, updated.pointer(&sender.stamp).unwrap().clone());
            let body = with(&body, &sender.user_id, json!(external_id));
            let body = with(&body, envelope_time, time);
            match &sender.message_id {
                Some(pointer) => with(&body, pointer, json!(format!("{id}_{number}"))),
                None => body,
            }
        };
        let (earlier, later) = (event(earlier, time, "earlier"), event(later, later_time, "later"));
        Self { external_id, earlier, later }
    }
}

async fn of_two_events_with_one_stamp_the_later_one_wins_in_both_orders(app: &TestApp) {
    for sender in senders().iter().filter(|sender| sender.envelope_time.is_some()) {
        let (lovelace, king) = (&*sender.created, &*sender.updated);
        for (number, (earlier, later, name)) in
            [(lovelace, king, "King"), (king, lovelace, "Lovelace")].into_iter().enumerate()
        {
            for is_reversed in [false, true] {
                let twins = EqualStamps::new(sender, number * 2 + usize::from(is_reversed), earlier, later);
                let mut events = [&*twins.earlier, &*twins.later];
                if is_reversed {
                    events.reverse();
                }
                for event in events {
                    let answer = deliver(app, sender, event).await;
                    assert!(["200 applied", "200 stale"].contains(&&*answer), "{}: {answer}", sender.source);
                }
                let query = format!("?source={}&externalId={}", sender.source, twins.external_id);
                let rows = app.client.list(&query).await.json();
                assert_eq!(rows["users"][0]["familyName"], name, "{} {is_reversed}", sender.source);
            }
        }
    }
}

on_both_databases!(of_two_events_with_one_stamp_the_later_one_wins_in_both_orders, configured by with_every_provider);

/// A name that the sender cut within an emoji: valid JSON, and no reason to lose the user.
async fn half_an_emoji_in_a_name_becomes_the_replacement_character(app: &TestApp) {
    for sender in senders() {
        let body = sender.created.replace("Lovelace\"", "Lovelace \\ud83d\"");
        assert_eq!(deliver(app, &sender, body).await, "200 applied", "{}", sender.source);
        assert_eq!(names(app, &sender).await, [json!("Ada Lovelace \u{fffd}")], "{}", sender.source);
        assert_eq!(deliver(app, &sender, &*sender.deleted).await, "200 applied", "{}", sender.source);
    }
}

on_both_databases!(half_an_emoji_in_a_name_becomes_the_replacement_character, configured by with_every_provider);

/// An event that is nested too deep to be read still names its user, and is erased with the user.
async fn a_deletion_erases_the_parked_events_of_its_user(app: &TestApp) {
    let mut parked = 0;
    for sender in senders() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let nested = sender.created.replacen('{', &format!("{{\"deep\":{deep},"), 1);
        let without_times = sender.created.replace("2026-", "late ").replace("1767", "-99");
        for body in [nested, without_times] {
            parked += u64::from(deliver(app, &sender, body).await == "200 parked");
        }
        assert_eq!(deliver(app, &sender, &*sender.deleted).await, "200 applied", "{}", sender.source);
    }
    let kept = app.journal().await.into_iter().filter(|(_, outcome, _)| outcome == "parked");
    let kept = kept.filter(|(_, _, has_payload)| *has_payload).count();
    assert!(parked >= senders().len() as u64, "{parked}");
    app.expect_parked(app.store.journal().parked().await.unwrap());
    assert_eq!(kept, 0);
}

on_both_databases!(a_deletion_erases_the_parked_events_of_its_user, configured by with_every_provider);

async fn a_body_over_the_limit_is_refused(app: &TestApp) {
    for sender in senders() {
        let large = format!("{}{}", &*sender.created, " ".repeat(1 << 20));
        assert_eq!(deliver(app, &sender, large).await, "413 body_too_large", "{}", sender.source);
        assert_eq!(deliver(app, &sender, &*sender.created).await, "200 applied", "{}", sender.source);
    }
}

on_both_databases!(a_body_over_the_limit_is_refused, configured by with_every_provider);

async fn one_id_in_two_sources_is_two_users(app: &TestApp) {
    let (auth0, stream) = (sender_to("auth0"), sender_to("auth0-stream"));
    assert_eq!(deliver(app, &auth0, &*auth0.created).await, "200 applied");
    assert_eq!(deliver(app, &stream, &*stream.created).await, "200 applied");
    let rows = app.client.rows().await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["externalId"], rows[1]["externalId"]);
    assert_ne!(rows[0]["id"], rows[1]["id"]);
    assert_eq!(deliver(app, &stream, &*stream.deleted).await, "200 applied");
    assert_eq!(names(app, &auth0).await, [json!("Ada Lovelace")]);
    assert!(names(app, &stream).await.is_empty());
}

on_both_databases!(one_id_in_two_sources_is_two_users, configured by with_every_provider);

/// `PROPTEST_CASES` sets how many deliveries are tried.
async fn a_mutated_delivery_is_accepted_or_refused_with_a_known_code_and_never_fails(app: &TestApp) {
    let cases = ProptestConfig::default().cases / 4;
    let mut runner = TestRunner::default();
    let mut parked = 0;
    for sender in senders() {
        let events = [&sender.created, &sender.updated, &sender.deleted, &sender.unknown];
        let mutated = mutated(events.map(String::clone).to_vec());
        let bodies: Vec<Vec<u8>> =
            (0..cases).map(|_| mutated.new_tree(&mut runner).unwrap().current()).collect();
        let sending = bodies.into_iter().map(|body| {
            let wire = wire(app, &sender, body.clone());
            async move { (app.client.send(wire).await, body) }
        });
        let answers: Vec<(Answer, Vec<u8>)> = stream::iter(sending).buffer_unordered(16).collect().await;
        for (answer, body) in answers {
            let brief = answer.brief();
            parked += u64::from(brief == "200 parked");
            let known = [
                "200 applied",
                "200 stale",
                "200 duplicate",
                "200 ignored",
                "200 parked",
                "400 invalid_json",
                // Only UTF-8 can be signed as Svix does.
                "400 invalid_signature",
            ];
            let body = String::from_utf8_lossy(&body);
            assert!(known.contains(&&*brief), "{} answers {brief} to {body}", sender.source);
        }
    }
    // The payload of a parked delivery is erased when its user is deleted.
    let left = app.store.journal().parked().await.unwrap();
    assert!(0 < left && left <= parked, "{left} of {parked}");
    app.expect_parked(left);
    assert_eq!(app.client.get("/readyz").await.status, 200);
}

on_both_databases!(
    a_mutated_delivery_is_accepted_or_refused_with_a_known_code_and_never_fails,
    configured by with_every_provider
);

fn with_stack_auth(config: &mut Config) {
    config.sources.extend(sources(include_str!("../fixtures/standard/stack_auth.toml"), &[]));
}

/// The order of arrival decides, which is the weakness that our page describes; a rebuild has the same result.
async fn a_sender_without_a_time_of_the_change_is_dated_by_its_deliveries(app: &TestApp) {
    let deliver = async |body: &str| {
        app.clock.advance(Duration::from_secs(1));
        let mut wire = app.client.signed(body);
        wire.path = "/webhooks/stack-auth".to_owned();
        app.client.send(wire).await.brief()
    };
    let shown = async || -> Vec<Value> {
        app.client.rows().await.iter().map(|row| json!([row["name"], row["createdAt"]])).collect()
    };
    let created = include_str!("../fixtures/standard/stack_auth_user_created.json");
    let updated = include_str!("../fixtures/standard/stack_auth_user_updated.json");
    assert_eq!(deliver(created).await, "200 applied");
    assert_eq!(deliver(updated).await, "200 applied");
    assert_eq!(shown().await, [json!(["Ada King", "2026-01-01T12:00:00Z"])]);
    assert_eq!(deliver(created).await, "200 applied", "it is repeated late");
    assert_eq!(shown().await, [json!(["Ada Lovelace", "2026-01-01T12:00:00Z"])]);
    assert_eq!(deliver(updated).await, "200 applied");
    let before = app.client.rows().await;
    app.clock.advance(Duration::from_hours(1));
    app.replay().rebuild(|_| ()).await.unwrap();
    let after = app.client.rows().await;
    assert_eq!((&after[0]["name"], &after[0]["updatedAt"]), (&before[0]["name"], &before[0]["updatedAt"]));
    assert_eq!(
        deliver(include_str!("../fixtures/standard/stack_auth_team_created.json")).await,
        "200 ignored"
    );
    let deleted = include_str!("../fixtures/standard/stack_auth_user_deleted.json");
    assert_eq!(deliver(deleted).await, "200 applied");
    assert_eq!(deliver(updated).await, "200 stale", "a deletion is final");
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_sender_without_a_time_of_the_change_is_dated_by_its_deliveries, configured by with_stack_auth);

async fn what_stytch_sends_of_organizations_members_sessions_and_passwords_makes_no_row(app: &TestApp) {
    let sender = sender_to("stytch");
    assert_eq!(deliver(app, &sender, &*sender.created).await, "200 applied");
    let before = app.client.rows().await;
    for body in [
        include_str!("../fixtures/standard/stytch_organization_updated.json"),
        include_str!("../fixtures/standard/stytch_member_updated.json"),
        include_str!("../fixtures/standard/stytch_session_updated.json"),
        include_str!("../fixtures/standard/stytch_session_deleted.json"),
        include_str!("../fixtures/standard/stytch_password_updated.json"),
    ] {
        assert_eq!(deliver(app, &sender, body).await, "200 ignored", "{body}");
    }
    assert_eq!(app.client.rows().await, before);
}

on_both_databases!(
    what_stytch_sends_of_organizations_members_sessions_and_passwords_makes_no_row,
    configured by with_every_provider
);

/// A map in the documentation is the one that the fixtures are tested with.
#[test]
fn the_maps_in_the_documentation_are_those_of_the_fixtures() {
    let page = include_str!("../../docs/providers/standard.md");
    for name in ["stytch", "stack-auth"] {
        let documented = page.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap());
        let documented = documented.map(|text| {
            let secret = text.split("env:").nth(1).unwrap().split('"').next().unwrap();
            sources(text, &[(secret, SECRET)]).remove(0)
        });
        let documented = documented.into_iter().find(|source| source.name == name).unwrap().map.unwrap();
        let file = format!("tests/fixtures/standard/{}.toml", name.replace('-', "_"));
        let tested = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let tested = sources(&tested, &[]).remove(0).map.unwrap();
        assert_eq!((documented.event_type, documented.only), (tested.event_type, tested.only), "{name}");
        assert_eq!((documented.upsert, documented.delete), (tested.upsert, tested.delete), "{name}");
        assert_eq!((documented.id, documented.updated_at), (tested.id, tested.updated_at), "{name}");
        assert_eq!(documented.created_at, tested.created_at, "{name}");
        for (field, pointer) in documented.profile {
            assert_eq!(Some(&pointer), tested.profile.get(&field), "{name}");
        }
    }
}

#[test]
fn every_configuration_in_the_documentation_of_providers_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/providers");
    for page in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        assert!(text.contains("```toml"), "a page shows no configuration");
        for example in text.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            let variables =
                example.split("env:").skip(1).map(|rest| (rest.split('"').next().unwrap(), SECRET));
            assert_eq!(sources(example, &variables.collect::<Vec<_>>()).len(), 1, "{example}");
        }
    }
}
