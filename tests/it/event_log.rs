//! The providers' own logs of events: events whose webhooks were lost are read from there, once, by one replica.

use serde_json::{Value, json};

use crate::backfill::{configure, number};
use crate::reconcile::sql;
use crate::support::binary::ProgramFixture;
use crate::support::directory::{FakeDirectory, Fault, auth0_users, workos_users};
use crate::support::event_log::{auth0_event, workos_event};
use crate::support::senders::sender_to;
use crate::support::watching::{operator, until};

const USERS: &str = "SELECT count(*) FROM users";
/// The secret of every source that `configure` writes.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn workos(home: &ProgramFixture, directory: &FakeDirectory) {
    let base = directory.url("");
    let api = format!("secret_key = 'SENTINEL_KEY'\nbase_url = '{base}'\nrequests_per_second = 1000");
    configure(home, "workos", &format!("[sources.api]\n{api}"));
}

fn auth0(home: &ProgramFixture, directory: &FakeDirectory) {
    let base = directory.url("");
    let api = format!(
        "domain = 'tenant.us.auth0.com'\nclient_id = 'id'\nclient_secret = 'SENTINEL_KEY'\nbase_url = '{base}'\nrequests_per_second = 1000"
    );
    configure(home, "auth0", &format!("[sources.api]\n{api}"));
}

/// The users of a fake provider, each with the event of its creation.
fn created(directory: &FakeDirectory, users: &[Value], first: usize) {
    let mut site = directory.site();
    for (number, user) in (first..).zip(users) {
        site.events.push(workos_event(number, "user.created", user, 10));
    }
}

async fn a_change_whose_webhook_was_lost_is_read_from_the_log(home: &mut ProgramFixture) {
    let users = workos_users(3);
    let directory = FakeDirectory::start(users.clone());
    workos(home, &directory);
    let service = home.serve().await;
    let client = operator(home, &service).await;
    created(&directory, &users[..2], 0);
    client.check("workos").await;
    until("both users have a row", async || number(home, USERS).await == 2).await;
    // The same event by webhook is a duplicate. If the webhook comes first, the event in the log is the duplicate.
    let (sender, now) = (sender_to("workos"), chrono::Utc::now().timestamp());
    let deliver =
        async |event: &Value| client.send(sender.wire(SECRET, "", now, event.to_string())).await.brief();
    let (lost, delivered) =
        (directory.site().events[0].clone(), workos_event(2, "user.created", &users[2], 1));
    assert_eq!(deliver(&lost).await, "200 duplicate");
    assert_eq!(deliver(&delivered).await, "200 applied");
    directory.site().events.push(delivered);
    let duplicate = r#"usersync_source_logged_events_total{source="workos",outcome="duplicate"} 1"#;
    until("the log's own event is a duplicate", async || {
        client.check("workos").await;
        client.get("/metrics").await.text.contains(duplicate)
    })
    .await;
    assert_eq!(number(home, "SELECT count(*) FROM journal").await, 3);
    let after = directory.site().requests.iter().filter(|one| one.contains("after=event_")).count();
    assert!(after > 0, "it continues after the last event");
    let said = service.stop().await;
    assert_eq!(said.stderr.matches("read from the event log").count(), 2, "{said:?}");
    for secret in ["SENTINEL", "@example.com"] {
        assert!(!said.stderr.contains(secret), "{said:?}");
    }
    assert_eq!(
        number(home, "SELECT count(*) FROM leases WHERE holder IS NOT NULL AND name LIKE 'watch:%'").await,
        0,
        "another replica can start immediately"
    );
}

on_both_databases!(a_change_whose_webhook_was_lost_is_read_from_the_log, with ProgramFixture);

async fn lost_webhooks_are_reported_even_if_another_one_is_lost_every_few_minutes(home: &mut ProgramFixture) {
    let users = workos_users(2);
    let directory = FakeDirectory::start(users.clone());
    workos(home, &directory);
    let service = home.serve().await;
    let client = operator(home, &service).await;
    created(&directory, &users[..1], 0);
    client.check("workos").await;
    until("the first user has a row", async || number(home, USERS).await == 1).await;
    let earlier = (chrono::Utc::now() - chrono::Duration::minutes(6)).to_rfc3339();
    sql(home, &format!("UPDATE watches SET only_in_log_at = '{earlier}'")).await;
    created(&directory, &users[1..], 1);
    client.check("workos").await;
    until("the second user has a row", async || number(home, USERS).await == 2).await;
    let source = client.source("workos").await;
    assert!(source["reasons"].as_array().unwrap().contains(&json!("webhooks_missing")), "{source}");
    service.stop().await;
}

on_both_databases!(lost_webhooks_are_reported_even_if_another_one_is_lost_every_few_minutes, with ProgramFixture);

async fn events_of_an_outage_are_read_afterwards(home: &mut ProgramFixture) {
    let users = workos_users(260);
    let directory = FakeDirectory::start(users.clone());
    workos(home, &directory);
    created(&directory, &users[..1], 0);
    let service = home.serve().await;
    until("the first event is read", async || number(home, USERS).await == 1).await;
    // The service is killed, and all other events happen before it starts again.
    drop(service);
    created(&directory, &users[1..], 1);
    let database = home.database().await;
    sea_orm::ConnectionTrait::execute_unprepared(&database, "DELETE FROM leases").await.unwrap();
    database.close().await.unwrap();
    let service = home.serve().await;
    until("all users have a row", async || number(home, USERS).await == 260).await;
    assert_eq!(number(home, "SELECT count(*) FROM journal").await, 260, "each event once");
    service.stop().await;
}

on_both_databases!(events_of_an_outage_are_read_afterwards, with ProgramFixture);

async fn after_a_lost_position_the_table_is_compared(home: &mut ProgramFixture) {
    let users = workos_users(3);
    let directory = FakeDirectory::start(users.clone());
    workos(home, &directory);
    created(&directory, &users[..1], 0);
    let service = home.serve().await;
    until("the first event is read", async || number(home, USERS).await == 1).await;
    service.stop().await;
    // The second event is lost, the third is in the log.
    created(&directory, &users[1..], 1);
    directory.site().forgotten = 2;
    let service = home.serve().await;
    let client = operator(home, &service).await;
    until("the log is read from before the loss", async || number(home, USERS).await == 2).await;
    until("the comparison names who is missing", async || {
        let source = client.source("workos").await;
        source["drift"]["missing"] == 1 && source["lastRun"]["kind"] == "reconcile"
    })
    .await;
    let source = client.source("workos").await;
    assert_eq!(source["state"], "drifting", "{source}");
    let reasons = source["reasons"].as_array().unwrap();
    assert!(reasons.contains(&json!("reconcile_differs")), "{source}");
    assert!(!reasons.contains(&json!("events_lost")), "the comparison has followed: {source}");
    assert_eq!(number(home, USERS).await, 2, "nothing is repaired");
    assert!(service.stop().await.stderr.contains("position in the event log was lost"));
}

on_both_databases!(after_a_lost_position_the_table_is_compared, with ProgramFixture);

async fn a_broken_stream_continues_from_its_offset(home: &mut ProgramFixture) {
    let users = auth0_users(4);
    let directory = FakeDirectory::start(users.clone());
    auth0(home, &directory);
    {
        let mut site = directory.site();
        site.events = (0..3).map(|number| auth0_event(number, "user.created", &users[number])).collect();
        site.cut_streams = 1;
    }
    let service = home.serve().await;
    until("the events of both connections are read", async || number(home, USERS).await == 3).await;
    let deleted = json!({"user_id": users[0]["user_id"], "deleted_at": "2026-01-03T12:00:00.000Z"});
    directory.site().events.push(auth0_event(3, "user.deleted", &deleted));
    until("a deletion is read while the stream is open", async || number(home, USERS).await == 2).await;
    assert_eq!(number(home, "SELECT count(*) FROM journal").await, 4, "each event once");
    {
        let site = directory.site();
        let streams: Vec<&String> =
            site.requests.iter().filter(|one| one.contains("/api/v2/events?")).collect();
        assert!(streams[0].contains("from_timestamp="), "{streams:?}");
        assert!(streams[1].contains("from=1&"), "{streams:?}");
        assert_eq!(site.tokens, 1, "one token for everything");
    }
    // The position is stored, so the next start continues from it.
    service.stop().await;
    directory.site().requests.clear();
    let service = home.serve().await;
    until("the stream is opened again", async || directory.count("/api/v2/events?from=4&") == 1).await;
    let said = service.stop().await;
    assert!(!said.stderr.contains("SENTINEL"), "{said:?}");
}

on_both_databases!(a_broken_stream_continues_from_its_offset, with ProgramFixture);

#[tokio::test]
async fn after_an_expired_offset_a_warning_is_logged_and_the_stream_starts_again() {
    let home = ProgramFixture::on_sqlite();
    let users = auth0_users(3);
    let directory = FakeDirectory::start(users.clone());
    auth0(&home, &directory);
    directory.site().events = vec![auth0_event(0, "user.created", &users[0])];
    let service = home.serve().await;
    until("the first event is read", async || number(&home, USERS).await == 1).await;
    service.stop().await;
    directory.site().events.extend((1..3).map(|number| auth0_event(number, "user.created", &users[number])));
    directory.site().forgotten = 2;
    let service = home.serve().await;
    until("the third event is read", async || number(&home, USERS).await == 2).await;
    assert!(service.stop().await.stderr.contains("position in the event log was lost"));
}

#[tokio::test]
async fn credentials_without_permission_for_the_log_are_reported() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(workos_users(0));
    workos(&home, &directory);
    directory.site().faults = vec![Fault::Status(403, None); 500].into();
    let service = home.serve().await;
    let client = operator(&home, &service).await;
    until("the reasons are there", async || {
        let reasons = client.source("workos").await["reasons"].clone();
        reasons == json!(["api_forbidden", "event_log_forbidden"])
    })
    .await;
    service.stop().await;
}

/// A log that the credentials may not read, then may: the pause after the refusal is longer than a test waits.
async fn granted(home: &ProgramFixture, provider: &str, directory: &FakeDirectory, event: Value) {
    directory.site().log_is_forbidden = true;
    let service = home.serve().await;
    let client = operator(home, &service).await;
    let forbidden = json!(["event_log_forbidden"]);
    until("the log is forbidden", async || client.source(provider).await["reasons"] == forbidden).await;
    assert_eq!(client.check(provider).await["reasons"], forbidden);
    directory.site().log_is_forbidden = false;
    directory.site().events.push(event);
    let source = client.check(provider).await;
    assert_eq!((&source["state"], &source["reasons"]), (&json!("ok"), &json!([])), "{source}");
    until("the event is read", async || number(home, "SELECT count(*) FROM journal").await == 1).await;
    service.stop().await;
}

async fn a_check_tries_the_log_again_after_a_missing_permission(home: &mut ProgramFixture) {
    let user = workos_users(1).remove(0);
    let directory = FakeDirectory::start(Vec::new());
    directory.site().endpoints = vec![json!({
        "id": "we_1", "endpoint_url": "https://a.test/webhooks/workos", "status": "enabled",
        "events": ["user.created", "user.updated", "user.deleted"],
    })];
    workos(home, &directory);
    granted(home, "workos", &directory, workos_event(0, "user.created", &user, 0)).await;
}

on_both_databases!(a_check_tries_the_log_again_after_a_missing_permission, with ProgramFixture);

#[tokio::test]
async fn a_check_opens_the_stream_again_after_a_missing_permission() {
    let home = ProgramFixture::on_sqlite();
    let user = auth0_users(1).remove(0);
    let directory = FakeDirectory::start(Vec::new());
    let subscriptions =
        ["user.created", "user.updated", "user.deleted"].map(|kind| json!({"event_type": kind}));
    directory.site().endpoints = vec![json!({
        "id": "est_1", "status": "enabled", "subscriptions": subscriptions, "destination":
            {"type": "webhook", "configuration": {"webhook_endpoint": "https://a.test/webhooks/auth0"}},
    })];
    auth0(&home, &directory);
    granted(&home, "auth0", &directory, auth0_event(0, "user.created", &user)).await;
}

#[tokio::test]
async fn one_replica_reads_the_log_and_another_takes_over_after_a_kill() {
    let Some(home) = ProgramFixture::on_postgres().await else { return };
    let home = home.with("RUST_LOG", "usersync=debug");
    let users = workos_users(2);
    let directory = FakeDirectory::start(users.clone());
    workos(&home, &directory);
    let mut first = home.serve().await;
    first.line_with("this replica watches the source").await;
    let second = home.serve().await;
    let client = operator(&home, &second).await;
    created(&directory, &users[..1], 0);
    until("the first replica has read it", async || number(&home, USERS).await == 1).await;
    assert!(!second.log().contains("this replica watches the source"));
    assert!(!second.log().contains("read from the event log"));
    // The first replica is killed, and its lease expires.
    drop(first);
    created(&directory, &users[1..], 1);
    until("the lease has expired", async || second.log().contains("this replica watches the source")).await;
    until("the second replica has read the rest", async || number(&home, USERS).await == 2).await;
    let source = client.check("workos").await;
    assert_eq!((&source["drift"]["canary"], &source["users"]), (&json!(0), &json!(2)), "{source}");
    second.stop().await;
}
