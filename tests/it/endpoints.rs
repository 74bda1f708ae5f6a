//! Endpoints: which events they are sent, in which order, and what happens if they do not accept them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde_json::{Value, json};
use usersync::internals::app::Service;
use usersync::internals::config::{Config, Endpoint};
use usersync::internals::domain::{EndpointState, EventKind, Health, Timestamp};
use usersync::internals::events::replay_changes;
use usersync::internals::signature::{Scheme as _, StandardWebhooks};

use crate::support::app::{OLD_SECRET, SECRET, TestApp};
use crate::support::client::Client;
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, DELETED, GRACE, UPDATED};
use crate::support::receiver::{Received, Receiver, Reply};

const OK: Reply = Reply::Status(200, "");
const DAY: Duration = Duration::from_hours(24);
const ALL: [EventKind; 3] = [EventKind::Created, EventKind::Updated, EventKind::Deleted];

fn endpoint(name: &str, hook: &Receiver) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        url: hook.url().parse().unwrap(),
        secrets: [SECRET, OLD_SECRET].map(SecretString::from).to_vec(),
        events: ALL.to_vec(),
        sources: Vec::new(),
    }
}

/// A replica of the app that sends events to these endpoints.
async fn replica_with(app: &TestApp, endpoints: Vec<Endpoint>) -> (Service, Client) {
    app.replica_of(&Config { endpoints, ..app.config.clone() }).await
}

async fn health(app: &TestApp, name: &str) -> Health {
    app.store.endpoints().find(name).await.unwrap().unwrap().health
}

/// Waits until an endpoint has a state.
async fn until_state(app: &TestApp, name: &str, state: EndpointState) -> Health {
    for _ in 0..6_000 {
        let health = health(app, name).await;
        if health.state == state {
            return health;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{name} is not {state}: {:?}", health(app, name).await);
}

async fn enable(app: &TestApp, name: &str) {
    let before = usersync::internals::events::enable(&app.store, &app.clock, name).await.unwrap();
    assert_eq!(before.state, EndpointState::Disabled);
}

fn user(number: usize, stamp: u64) -> String {
    let mut event: Value = serde_json::from_str(UPDATED).unwrap();
    event["data"]["id"] = json!(format!("user_{number:03}"));
    event["data"]["updated_at"] = json!(1_767_400_000_000_u64 + stamp * 1000);
    event["data"]["first_name"] = json!(format!("Ada {stamp}"));
    event.to_string()
}

fn assert_signed(received: &Received, secret: &str) {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("webhook-id", &received.id),
        ("webhook-timestamp", &received.timestamp),
        ("webhook-signature", &received.signature),
    ] {
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let at = Timestamp::from_seconds(received.timestamp.parse().unwrap());
    let scheme = StandardWebhooks::new([secret]).unwrap();
    scheme.check(&headers, received.raw.as_bytes(), at).unwrap();
}

async fn every_change_is_sent_signed_with_all_secrets(app: &TestApp) {
    let hook = Receiver::start(OK).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    hook.count(1).await;
    let row = client.rows().await[0].clone();
    assert_eq!(client.deliver(UPDATED).await, "200 applied");
    hook.count(2).await;
    assert_eq!(client.deliver(DELETED).await, "200 applied");
    let received = hook.count(3).await;
    for one in &received {
        assert_signed(one, SECRET);
        assert_signed(one, OLD_SECRET);
        assert!(one.id.starts_with("evt_") && !one.id.contains('.'), "{one:?}");
        assert_eq!(one.timestamp, app.clock.now().as_seconds().to_string());
    }
    assert_eq!(
        hook.briefs(),
        [format!("user.created {ADA}"), format!("user.updated {ADA}"), format!("user.deleted {ADA}")]
    );
    assert_eq!(received[0].body["data"], row);
    assert_eq!(received[0].body["timestamp"], row["updatedAt"]);
    assert_eq!(received[2].body["data"], json!({"id": row["id"], "source": "clerk", "externalId": ADA}));
    assert!(received.is_sorted_by_key(Received::sequence));
    service.stop().await.unwrap();
}

on_both_databases!(every_change_is_sent_signed_with_all_secrets);

async fn an_endpoint_is_sent_the_events_that_it_is_configured_for(app: &TestApp) {
    let (deletions, workos) = (Receiver::start(OK).await, Receiver::start(OK).await);
    let only_deletions = Endpoint { events: vec![EventKind::Deleted], ..endpoint("deletions", &deletions) };
    let only_workos = Endpoint { sources: vec!["workos".to_owned()], ..endpoint("workos", &workos) };
    let (service, client) = replica_with(app, vec![only_deletions, only_workos]).await;
    for body in [CREATED, CREATED_GOOGLE, DELETED] {
        assert_eq!(client.deliver(body).await, "200 applied");
    }
    deletions.count(1).await;
    service.stop().await.unwrap();
    assert_eq!(deletions.briefs(), [format!("user.deleted {ADA}")]);
    assert_eq!(workos.briefs(), [""; 0]);
}

on_both_databases!(an_endpoint_is_sent_the_events_that_it_is_configured_for);

async fn a_failed_event_is_sent_again_with_the_same_id_or_as_the_newest_state(app: &TestApp) {
    let hook = Receiver::start(Reply::Status(500, "")).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    hook.count(1).await;
    // The clock is advanced only after the failure was recorded. Otherwise the next attempt would be later.
    until_failures(app, 1).await;
    app.clock.advance(Duration::from_secs(7));
    let received = hook.count(2).await;
    assert_eq!(received[0].id, received[1].id);
    assert_ne!(received[0].timestamp, received[1].timestamp);
    assert_ne!(received[0].signature, received[1].signature);
    assert_signed(&received[1], SECRET);
    until_failures(app, 2).await;
    // The user changes while its event waits: there is one event, at the time of the first one, with a new id.
    assert_eq!(client.deliver(UPDATED).await, "200 applied");
    hook.answer_with(OK);
    app.clock.advance(Duration::from_mins(7));
    let received = hook.count(3).await;
    assert_eq!(received[2].brief(), format!("user.created {ADA}"));
    assert_eq!(received[2].body["data"]["name"], client.rows().await[0]["name"]);
    assert!(received[2].id != received[1].id && received[2].sequence() > received[1].sequence());
    // An attempted event may have been received, so the deletion is sent.
    assert_eq!(client.deliver(DELETED).await, "200 applied");
    hook.count(4).await;
    service.stop().await.unwrap();
    assert_eq!(hook.briefs()[3..], [format!("user.deleted {ADA}")]);
}

on_both_databases!(a_failed_event_is_sent_again_with_the_same_id_or_as_the_newest_state);

async fn until_failures(app: &TestApp, failures: u32) {
    for _ in 0..6_000 {
        if health(app, "app").await.failures == failures {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", health(app, "app").await);
}

async fn after_an_outage_there_is_one_event_for_each_changed_user(app: &TestApp) {
    const USERS: usize = 20;
    let hook = Receiver::start(Reply::Status(503, "")).await;
    let other = Receiver::start(OK).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook), endpoint("other", &other)]).await;
    for stamp in 0..3 {
        for number in 0..USERS {
            assert_eq!(client.deliver(user(number, stamp)).await, "200 applied");
        }
    }
    let failing = until_state(app, "app", EndpointState::Failing).await;
    // The other endpoint is not delayed: it has the last state of every user.
    let last = |received: &[Received]| {
        let names = received
            .iter()
            .map(|it| (it.body["data"]["externalId"].to_string(), it.body["data"]["givenName"].to_string()));
        names.collect::<BTreeMap<_, _>>()
    };
    let all_are_last = |received: &[Received]| {
        let last = last(received);
        last.len() == USERS && last.values().all(|name| name == "\"Ada 2\"")
    };
    other.until(all_are_last).await;
    // The probes of an hour, one at a time.
    let before = hook.received().len();
    for _ in 0..12 {
        app.clock.advance(Duration::from_mins(5));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let probes = health(app, "app").await.probes;
    assert!(probes <= 4 && failing.state == EndpointState::Failing, "{probes}");
    assert!(hook.received().len() - before <= 5, "only probes are sent");
    hook.forget();
    hook.answer_with(OK);
    app.clock.advance(Duration::from_hours(3));
    let received = hook.until(all_are_last).await;
    until_state(app, "app", EndpointState::Healthy).await;
    assert_eq!(received.len(), USERS, "one event a user: {:?}", hook.briefs());
    assert!(received.iter().all(|it| it.body["type"] == "user.created"));
    service.stop().await.unwrap();
}

on_both_databases!(after_an_outage_there_is_one_event_for_each_changed_user);

async fn a_410_disables_an_endpoint_and_after_enabling_it_no_event_is_lost(app: &TestApp) {
    let hook = Receiver::start(Reply::Status(410, "")).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    until_state(app, "app", EndpointState::Disabled).await;
    hook.answer_with(OK);
    assert_eq!(client.deliver(CREATED_GOOGLE).await, "200 applied");
    app.clock.advance(29 * DAY);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(hook.received().len(), 1, "nothing is sent");
    enable(app, "app").await;
    hook.count(3).await;
    let briefs: BTreeSet<String> = hook.briefs()[1..].iter().cloned().collect();
    assert_eq!(briefs, [format!("user.created {ADA}"), format!("user.created {GRACE}")].into());
    service.stop().await.unwrap();
}

on_both_databases!(a_410_disables_an_endpoint_and_after_enabling_it_no_event_is_lost);

async fn after_the_retention_an_endpoint_is_sent_a_resync(app: &TestApp) {
    let hook = Receiver::start(Reply::Status(410, "")).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    until_state(app, "app", EndpointState::Disabled).await;
    app.clock.advance(31 * DAY);
    assert_eq!(client.deliver(CREATED_GOOGLE).await, "200 applied");
    hook.forget();
    hook.answer_with(OK);
    enable(app, "app").await;
    let received = hook.count(2).await;
    assert_eq!(hook.briefs(), ["users.resync -".to_owned(), format!("user.created {GRACE}")]);
    assert_eq!(received[0].body["data"], json!({}));
    assert!(received[0].sequence() < received[1].sequence());
    assert!(received[0].answered.unwrap() <= received[1].begun, "the resync is sent first, and alone");
    assert_signed(&received[0], SECRET);
    service.stop().await.unwrap();
}

on_both_databases!(after_the_retention_an_endpoint_is_sent_a_resync);

async fn retry_after_pauses_the_endpoint(app: &TestApp) {
    let hook = Receiver::start(Reply::Status(429, "retry-after: 3600\r\n")).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    hook.count(1).await;
    until_failures(app, 1).await;
    hook.answer_with(OK);
    assert_eq!(client.deliver(CREATED_GOOGLE).await, "200 applied");
    app.clock.advance(Duration::from_secs(3_599));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(hook.received().len(), 1);
    app.clock.advance(Duration::from_secs(2));
    hook.count(3).await;
    service.stop().await.unwrap();
}

on_both_databases!(retry_after_pauses_the_endpoint);

async fn redirects_are_failures_and_an_endless_answer_is_not_read(app: &TestApp) {
    let target = Receiver::start(OK).await;
    let location: &'static str = Box::leak(format!("location: {}\r\n", target.url()).into_boxed_str());
    let redirecting = Receiver::start(Reply::Status(307, location)).await;
    let endless = Receiver::start(Reply::Endless).await;
    let (service, client) =
        replica_with(app, vec![endpoint("app", &redirecting), endpoint("endless", &endless)]).await;
    for body in [CREATED, UPDATED] {
        assert_eq!(client.deliver(body).await, "200 applied");
    }
    until_failures(app, 1).await;
    endless
        .until(|received| {
            received.iter().any(|it| {
                it.brief() == format!("user.updated {ADA}") || it.body["data"]["name"] == "Ada King"
            })
        })
        .await;
    assert_eq!(health(app, "endless").await.failures, 0);
    assert!(target.received().is_empty(), "no redirect is followed");
    service.stop().await.unwrap();
}

on_both_databases!(redirects_are_failures_and_an_endless_answer_is_not_read);

async fn an_attempt_that_times_out_is_repeated(app: &TestApp) {
    let hook = Receiver::start(Reply::Silence).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    hook.count(1).await;
    until_failures(app, 1).await;
    hook.answer_with(OK);
    app.clock.advance(Duration::from_secs(7));
    let received = hook.count(2).await;
    assert_eq!(received[0].id, received[1].id);
    service.stop().await.unwrap();
}

on_both_databases!(an_attempt_that_times_out_is_repeated);

async fn two_replicas_never_send_two_events_of_a_user_at_the_same_time(app: &TestApp) {
    const USERS: usize = 12;
    let hook = Receiver::start(Reply::Slowly(Duration::from_millis(20))).await;
    let (one, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    let (two, other) = replica_with(app, vec![endpoint("app", &hook)]).await;
    for stamp in 0..6 {
        for number in 0..USERS {
            let client = if stamp % 2 == 0 { &client } else { &other };
            let wire = client.signed_as(&format!("msg_{stamp}_{number}"), user(number, stamp));
            assert_eq!(client.send(wire).await.brief(), "200 applied");
        }
    }
    let name = |it: &Received| it.body["data"]["externalId"].as_str().unwrap().to_owned();
    let received = hook
        .until(|received| {
            let last = received.iter().filter(|it| it.body["data"]["givenName"] == "Ada 5");
            last.filter(|it| it.answered.is_some()).map(name).collect::<BTreeSet<_>>().len() == USERS
        })
        .await;
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    let ids: BTreeSet<&String> = received.iter().map(|it| &it.id).collect();
    assert_eq!(ids.len(), received.len(), "nothing was sent twice");
    let mut of_user: BTreeMap<String, Vec<&Received>> = BTreeMap::new();
    for one in &received {
        of_user.entry(name(one)).or_default().push(one);
    }
    for (user, events) in of_user {
        assert!(events.is_sorted_by(|one, next| one.sequence() < next.sequence()), "{user}");
        assert!(
            events.is_sorted_by(|one, next| one.answered.is_some_and(|answered| answered <= next.begun)),
            "{user}: one at a time"
        );
    }
}

on_both_databases!(two_replicas_never_send_two_events_of_a_user_at_the_same_time);

async fn a_replay_sends_every_changed_user_to_one_endpoint(app: &TestApp) {
    let (hook, other) = (Receiver::start(OK).await, Receiver::start(OK).await);
    let (service, client) = replica_with(app, vec![endpoint("app", &hook), endpoint("other", &other)]).await;
    // Sent before the rest: an endpoint receives no event about a user who is deleted before any event was sent.
    for body in [CREATED, CREATED_GOOGLE] {
        assert_eq!(client.deliver(body).await, "200 applied");
    }
    hook.count(2).await;
    other.count(2).await;
    for body in [UPDATED, DELETED] {
        assert_eq!(client.deliver(body).await, "200 applied");
    }
    hook.until(|it| it.iter().any(|it| it.body["type"] == "user.deleted")).await;
    other.until(|it| it.iter().any(|it| it.body["type"] == "user.deleted")).await;
    let before = other.received().len();
    let highest = hook.received().iter().map(Received::sequence).max().unwrap();
    hook.forget();
    let since = app.clock.now().minus(DAY);
    assert_eq!(replay_changes(&app.store, &app.clock, "app", since).await.unwrap(), 2);
    let received = hook.count(2).await;
    let briefs: BTreeSet<String> = hook.briefs().into_iter().collect();
    assert_eq!(briefs, [format!("user.created {GRACE}"), format!("user.deleted {ADA}")].into());
    assert!(received.iter().all(|it| it.sequence() > highest), "new events");
    assert_eq!(replay_changes(&app.store, &app.clock, "app", app.clock.now().plus(DAY)).await.unwrap(), 0);
    service.stop().await.unwrap();
    assert_eq!(other.received().len(), before, "nothing more is sent to the other endpoint");
}

on_both_databases!(a_replay_sends_every_changed_user_to_one_endpoint);

async fn the_metrics_show_the_state_of_endpoints(app: &TestApp) {
    let hook = Receiver::start(Reply::Status(410, "")).await;
    let (service, client) = replica_with(app, vec![endpoint("app", &hook)]).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    until_state(app, "app", EndpointState::Disabled).await;
    app.clock.advance(Duration::from_secs(90));
    let metrics = client.get("/metrics").await.text;
    for line in [
        "usersync_event_attempts_total{endpoint=\"app\",result=\"4xx\"} 1",
        "usersync_endpoint_state{endpoint=\"app\",state=\"disabled\"} 1",
        "usersync_endpoint_state{endpoint=\"app\",state=\"healthy\"} 0",
        "usersync_events_pending{endpoint=\"app\"} 1",
        "usersync_events_lag_seconds{endpoint=\"app\"} 90.0",
    ] {
        assert!(metrics.contains(line), "{line} is missing in {metrics}");
    }
    service.stop().await.unwrap();
}

on_both_databases!(the_metrics_show_the_state_of_endpoints);
