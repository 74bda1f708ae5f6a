//! `usersync endpoints`, `usersync dev --forward-to`, and what happens to events when the program is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::support::app::SECRET;
use crate::support::binary::{ProgramFixture, ProgramOutput};
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, DELETED, GRACE, UPDATED};
use crate::support::receiver::{Receiver, Reply};

fn configure(home: &ProgramFixture, url: &str) {
    home.write(
        "usersync.toml",
        &format!("[[endpoints]]\nname = \"app\"\nurl = \"{url}\"\nsecrets = [\"{SECRET}\"]\n"),
    );
}

fn assert_code(said: &ProgramOutput, code: i32) {
    assert_eq!(said.code, Some(code), "{said:?}");
}

async fn an_endpoint_is_listed_tested_enabled_and_replayed(home: &mut ProgramFixture) {
    let hook = Receiver::start(Reply::Status(410, "")).await;
    configure(home, hook.url());
    let service = home.serve().await;
    let client = home.client(&service).await;
    let said = home.run(&["endpoints", "list"]).await;
    let (host, path) = hook.url().split_at(hook.url().find("/hooks").unwrap());
    assert!(said.stdout.contains("healthy") && said.stdout.contains(host), "{said:?}");
    assert!(
        !said.stdout.contains(SECRET) && !said.stdout.contains(path),
        "a path may have a secret: {said:?}"
    );
    let said = home.run(&["endpoints", "test", "app"]).await;
    assert_code(&said, 1);
    assert!(said.stderr.contains("answered 410"), "{said:?}");
    assert_eq!(hook.briefs(), ["users.test -"]);
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    hook.count(2).await;
    let disabled = async || home.run(&["endpoints", "list"]).await.stdout.contains("disabled");
    while !disabled().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let said = home.run(&["doctor"]).await;
    assert!(said.stdout.contains("endpoint app has been disabled"), "{said:?}");
    assert!(said.stdout.contains("usersync endpoints enable app"), "{said:?}");
    hook.answer_with(Reply::Status(200, ""));
    let said = home.run(&["endpoints", "enable", "app"]).await;
    assert_code(&said, 0);
    assert!(said.stdout.contains("was disabled"), "{said:?}");
    hook.count(3).await;
    let said = home.run(&["endpoints", "test", "app"]).await;
    assert_code(&said, 0);
    hook.forget();
    let said = home.run(&["endpoints", "replay", "app", "--since", "1h"]).await;
    assert_code(&said, 0);
    assert!(said.stdout.starts_with("1 events wait"), "{said:?}");
    hook.count(1).await;
    assert_eq!(hook.briefs(), [format!("user.created {ADA}")]);
    for command in ["test", "enable", "replay"] {
        let said = home.run(&["endpoints", command, "other"]).await;
        assert_code(&said, 2);
        assert!(said.stderr.contains("the endpoints are app"), "{said:?}");
    }
    let said = home.run(&["endpoints", "replay", "app", "--since", "soon"]).await;
    assert_code(&said, 2);
    let log = service.stop().await.stderr;
    assert!(log.contains("the endpoint is disabled: nothing is sent"), "{log}");
    assert!(!log.contains(SECRET) && !log.contains("ada@"), "{log}");
}

on_both_databases!(an_endpoint_is_listed_tested_enabled_and_replayed, with ProgramFixture);

#[tokio::test]
async fn an_endpoint_with_invalid_settings_is_refused_at_the_start() {
    let home = ProgramFixture::on_sqlite();
    for (wrong, problem) in [
        ("name = \"app\"\nurl = \"https://169.254.169.254/\"\nsecrets = [\"SECRET\"]", "endpoints[0].url"),
        (
            "name = \"app\"\nurl = \"https://[::ffff:169.254.169.254]/\"\nsecrets = [\"SECRET\"]",
            "endpoints[0].url",
        ),
        ("name = \"app\"\nurl = \"http://app.example.com/\"\nsecrets = [\"SECRET\"]", "endpoints[0].url"),
        (
            "name = \"app\"\nurl = \"https://app.example.com/\"\nsecrets = [\"whsec_!\"]",
            "endpoints[0].secrets[0]",
        ),
        (
            "name = \"app\"\nurl = \"https://app.example.com/\"\nsecrets = [\"whsec_c2hvcnQ=\"]",
            "endpoints[0].secrets[0]",
        ),
        ("name = \"app\"\nurl = \"https://app.example.com/\"\nsecrets = []", "endpoints[0].secrets"),
        ("name = \"app\"\nurl = \"https://app.example.com/\"", "endpoints[0].secrets"),
        ("name = \"App\"\nurl = \"https://app.example.com/\"\nsecrets = [\"SECRET\"]", "endpoints[0].name"),
        ("url = \"https://app.example.com/\"\nsecrets = [\"SECRET\"]", "endpoints[0].name"),
        ("name = \"app\"\nsecrets = [\"SECRET\"]", "endpoints[0].url"),
        (
            "name = \"app\"\nurl = \"https://app.example.com/\"\nsecrets = [\"SECRET\"]\nevents = [\"user.changed\"]",
            "endpoints[0].events[0]",
        ),
        (
            "name = \"app\"\nurl = \"https://app.example.com/\"\nsecrets = [\"SECRET\"]\nsources = [\"clark\"]",
            "endpoints[0].sources[0]",
        ),
        (
            "name = \"app\"\nurl = \"https://app.example.com/\"\nsecrets = [\"SECRET\"]\n[[endpoints]]\nname = \"app\"\nurl = \"https://app.example.com/\"\nsecrets = [\"SECRET\"]",
            "endpoints[1].name",
        ),
        ("name = \"app\"\nurl = \"https://app.example.com/\"\nsecret = \"SECRET\"", "secrets"),
    ] {
        home.write("usersync.toml", &format!("[[endpoints]]\n{}\n", wrong.replace("SECRET", SECRET)));
        let said = home.run(&["serve"]).await;
        assert_code(&said, 2);
        assert!(said.stderr.contains(problem), "{wrong}: {said:?}");
        assert!(!said.stderr.contains(SECRET), "{said:?}");
    }
}

async fn a_kill_loses_no_event(home: &mut ProgramFixture) {
    let hook = Receiver::start(Reply::Silence).await;
    configure(home, hook.url());
    // Killed while the events are in flight: neither answered nor recorded as sent.
    let service = home.serve().await;
    let client = home.client(&service).await;
    for body in [CREATED, CREATED_GOOGLE] {
        assert_eq!(client.deliver(body).await, "200 applied");
    }
    let before = hook.count(2).await;
    assert_eq!(client.deliver(UPDATED).await, "200 applied");
    drop(service);
    hook.forget();
    hook.answer_with(Reply::Status(200, ""));
    let service = home.serve().await;
    // The events in flight are sent again after the claim has expired. The first user was deleted meanwhile, so the
    // deletion is sent.
    let client = home.client(&service).await;
    let deletion = client.signed_as("msg_deletion", DELETED);
    assert_eq!(client.send(deletion).await.brief(), "200 applied");
    let received = hook.count(2).await;
    let briefs: BTreeSet<String> = hook.briefs().into_iter().collect();
    assert_eq!(briefs, [format!("user.created {GRACE}"), format!("user.deleted {ADA}")].into());
    let id_of = |brief: &str, of: &[crate::support::receiver::Received]| {
        of.iter().find(|it| it.brief() == brief).map(|it| it.id.clone())
    };
    let grace = format!("user.created {GRACE}");
    assert_eq!(id_of(&grace, &received), id_of(&grace, &before), "the same message");
    let text: String = received.iter().map(|it| it.raw.clone()).collect();
    assert!(!text.contains("Lovelace"), "nothing of a deleted user: {text}");
    service.stop().await;
}

on_both_databases!(a_kill_loses_no_event, with ProgramFixture);

async fn killed_right_after_each_commit_every_user_is_sent(home: &mut ProgramFixture) {
    let hook = Receiver::start(Reply::Status(200, "")).await;
    configure(home, hook.url());
    let mut expected = BTreeSet::new();
    for number in 0..8 {
        let service = home.serve().await;
        let client = home.client(&service).await;
        let id = format!("user_killed_{number}");
        // The kill comes before the event is claimed, while it is in flight, or before it is recorded as sent.
        let delivery = client.signed_as(&format!("msg_killed_{number}"), CREATED.replace(ADA, &id));
        assert_eq!(client.send(delivery).await.brief(), "200 applied");
        drop(service);
        expected.insert(format!("user.created {id}"));
    }
    let service = home.serve().await;
    let received = hook.until(|_| hook.briefs().into_iter().collect::<BTreeSet<_>>() == expected).await;
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in received {
        ids.entry(one.brief()).or_default().insert(one.id);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "what is sent again has the same id: {ids:?}");
    service.stop().await;
}

on_both_databases!(killed_right_after_each_commit_every_user_is_sent, with ProgramFixture);

#[tokio::test]
async fn dev_prints_each_event_and_forwards_it() {
    let home = ProgramFixture::bare();
    let hook = Receiver::start(Reply::Status(200, "")).await;
    let mut dev = home.start(&["dev", "--listen", "127.0.0.1:0", "--forward-to", hook.url()]);
    let printed = dev.line_with("event {").await;
    let event: Value = serde_json::from_str(printed.strip_prefix("event ").unwrap()).unwrap();
    assert_eq!((&event["type"], &event["data"]["externalId"]), (&"user.created".into(), &"user_ada".into()));
    let received = hook.count(1).await;
    assert_eq!(received[0].body, event);
    dev.line_with("signed with whsec_").await;
    let sent = home.shell(&dev.printed("change the user's name")).await;
    assert!(sent.stdout.contains("applied"), "{sent:?}");
    dev.line_with("user.updated").await;
    hook.count(2).await;
    dev.stop().await;
    let said = home.run(&["dev", "--forward-to", "https://app.example.com/"]).await;
    assert_code(&said, 2);
}
