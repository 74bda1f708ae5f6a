//! Behind PgBouncer, in session and in transaction mode, without prepared statements.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use usersync::internals::config::Database as Settings;
use usersync::internals::domain::UserKey;
use usersync::internals::store::Store;

use crate::support::binary::ProgramFixture;
use crate::support::client::Client;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::forwarder::Forwarder;
use crate::support::pgbouncer::{Mode, PgBouncer};
use crate::support::postgres;

/// Longer than a notification takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A home on an empty database behind PgBouncer, and the database's own address.
async fn behind(mode: Mode, pool_size: u32) -> Option<(PgBouncer, ProgramFixture, String)> {
    let mut home = ProgramFixture::with_plain_search_path().await?;
    let direct = home.variable("DATABASE_URL").to_owned();
    let pooler = PgBouncer::before(&direct, mode, pool_size).await?;
    home.set("DATABASE_URL", pooler.url(&direct));
    Some((pooler, home, direct))
}

/// 60 deliveries, 16 at a time, with look-ups between them; how many were not taken.
async fn refused_of_many(client: &Client, label: &str) -> usize {
    let sent = futures_util::stream::iter(0..60).map(async |number: u32| {
        let event = CREATED.replace(ADA, &format!("user_{label}_{number}"));
        let (delivered, listed) = tokio::join!(client.deliver(event), client.list("?limit=5"));
        assert_eq!(listed.status, 200, "{listed:?}");
        delivered
    });
    let outcomes: Vec<String> = sent.buffer_unordered(16).collect().await;
    outcomes.iter().filter(|outcome| *outcome != "200 applied").count()
}

async fn journaled(direct: &str) -> i64 {
    let database = sea_orm::Database::connect(direct).await.unwrap();
    let sql = "SELECT count(*) FROM usersync.journal";
    let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    database.close().await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

async fn every_delivery_is_answered_as_it_was_written(mode: Mode, variables: &[(&'static str, &str)]) {
    let Some((_pooler, mut home, direct)) = behind(mode, 5).await else { return };
    home.set("USERSYNC_DATABASE__MAX_CONNECTIONS", "4");
    for (name, value) in variables {
        home.set(name, if *value == "direct" { direct.clone() } else { (*value).to_owned() });
    }
    let said = home.run(&["migrate"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let key = home.key("tests").await;
    let service = home.serve().await;
    let client =
        Client::new(format!("http://{}", service.address), key, usersync::internals::clock::Clock::system());
    assert_eq!(refused_of_many(&client, "first").await, 0);
    assert_eq!(journaled(&direct).await, 60);
    assert_eq!(client.get("/readyz").await.status, 200);
    let log = service.stop().await.stderr;
    let is_warned = log.contains("behind a pooler in transaction mode");
    let is_direct = variables.iter().any(|(name, _)| *name == "DIRECT_URL");
    assert_eq!(is_warned, mode != Mode::Session && !is_direct, "{log}");
    assert!(!log.contains("NotificationResponse") && !log.contains("prepared statement"), "{log}");
    for arguments in
        [&["doctor"][..], &["keys", "list"], &["replay", "--journal"], &["replay", "--rebuild"], &["migrate"]]
    {
        let said = home.run(arguments).await;
        assert!(said.code == Some(0) || arguments == ["doctor"], "{arguments:?}: {said:?}");
        assert!(!said.stdout.contains("the database"), "{arguments:?}: {said:?}");
    }
}

#[tokio::test]
async fn in_session_mode() {
    every_delivery_is_answered_as_it_was_written(Mode::Session, &[]).await;
}

#[tokio::test]
async fn in_transaction_mode() {
    every_delivery_is_answered_as_it_was_written(Mode::Transaction, &[]).await;
}

#[tokio::test]
async fn in_transaction_mode_with_a_direct_address() {
    every_delivery_is_answered_as_it_was_written(Mode::Transaction, &[("DIRECT_URL", "direct")]).await;
}

/// Another server connection may answer each transaction, and none knows a prepared statement of an earlier one.
#[tokio::test]
async fn in_transaction_mode_with_a_reset_after_each_transaction() {
    every_delivery_is_answered_as_it_was_written(Mode::TransactionWithReset, &[]).await;
}

#[tokio::test]
async fn in_transaction_mode_with_a_reset_and_a_direct_address() {
    every_delivery_is_answered_as_it_was_written(Mode::TransactionWithReset, &[("DIRECT_URL", "direct")])
        .await;
}

/// The direct address may be a pooler's by mistake: then migrations go through it.
#[tokio::test]
async fn with_a_pooler_as_direct_address() {
    for mode in [Mode::Transaction, Mode::TransactionWithReset] {
        let Some((_pooler, mut home, direct)) = behind(mode, 5).await else { return };
        let pooled = home.variable("DATABASE_URL").to_owned();
        home.set("DATABASE_URL", direct);
        home.set("DIRECT_URL", pooled);
        for _ in 0..2 {
            let said = home.run(&["migrate"]).await;
            assert_eq!(said.code, Some(0), "{mode:?}: {said:?}");
        }
    }
}

/// The commands detect the pooler each time, whichever server connections it gives them.
#[tokio::test]
async fn commands_never_take_a_transaction_pooler_for_the_server() {
    for mode in [Mode::Transaction, Mode::TransactionWithReset] {
        let Some((_pooler, home, _)) = behind(mode, 5).await else { return };
        let said = home.run(&["migrate"]).await;
        assert_eq!(said.code, Some(0), "{mode:?}: {said:?}");
        for number in 0..10 {
            let said = home.run(&["keys", "create", &format!("key {number}")]).await;
            assert_eq!(said.code, Some(0), "{mode:?}: {said:?}");
            let said = home.run(&["keys", "list"]).await;
            assert_eq!(said.code, Some(0), "{mode:?}: {said:?}");
        }
    }
}

/// On a busy machine a connection may take more than a second: the pooler is still detected.
#[tokio::test]
async fn a_slow_transaction_pooler_is_not_taken_for_the_server() {
    let Some((_pooler, mut home, _)) = behind(Mode::Transaction, 5).await else { return };
    let said = home.run(&["migrate"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let pooled = home.variable("DATABASE_URL").to_owned();
    let slow = Forwarder::to(&pooled).await;
    slow.delay_by(Duration::from_millis(1500));
    home.set("DATABASE_URL", slow.url(&pooled));
    for name in ["first", "second", "third"] {
        let said = home.run(&["keys", "create", name]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

/// The probe of each command leaves no setting on a connection that other programs get.
#[tokio::test]
async fn other_clients_of_a_transaction_pooler_keep_their_settings() {
    let Some((_pooler, home, _)) = behind(Mode::Transaction, 5).await else { return };
    let url = home.variable("DATABASE_URL");
    let sql =
        "SELECT name FROM pg_settings WHERE source = 'session' AND name ~ '^(enable_|jit|statement_|lock_)'";
    for arguments in [&["migrate"][..], &["keys", "list"], &["keys", "list"], &["keys", "list"]] {
        let said = home.run(arguments).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let said = std::process::Command::new("psql").args([url, "-qtAc", sql]).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        assert_eq!(String::from_utf8_lossy(&said.stdout), "", "after {arguments:?}");
    }
}

/// An operator changes the pooler's mode while the service runs.
#[tokio::test]
async fn a_pooler_that_changes_to_transaction_mode_is_noticed() {
    let Some((mut pooler, mut home, direct)) = behind(Mode::Session, 8).await else { return };
    home.set("USERSYNC_DATABASE__MAX_CONNECTIONS", "4");
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(refused_of_many(&client, "first").await, 0);
    pooler.change(Mode::TransactionWithReset).await;
    assert_eq!(refused_of_many(&client, "second").await, 0);
    assert_eq!(journaled(&direct).await, 120);
    let log = service.stop().await.stderr;
    assert!(log.contains("which was not so at the start"), "{log}");
}

/// A connection that listens through the pooler, as an older version did, leaves the subscription on a server
/// connection.
#[tokio::test]
async fn a_server_connection_with_a_leftover_listen_is_usable() {
    let Some((_pooler, home, direct)) = behind(Mode::Transaction, 1).await else { return };
    let service = home.serve().await;
    let client = home.client(&service).await;
    let careless = sea_orm::Database::connect(home.variable("DATABASE_URL")).await;
    // sqlx names a parameter that PgBouncer refuses: the client that listens is PostgreSQL's own.
    drop(careless);
    let url = home.variable("DATABASE_URL").to_owned();
    let said = std::process::Command::new("psql").args([&url, "-qc", "LISTEN usersync_users"]).output();
    assert!(said.is_ok_and(|said| said.status.success()), "psql cannot listen");
    assert_eq!(refused_of_many(&client, "listening").await, 0);
    assert_eq!(journaled(&direct).await, 60);
    service.stop().await;
}

/// Behind a transaction pooler, a replica with the direct address is notified of the changes of another one.
#[tokio::test]
async fn changes_by_other_replicas_arrive_over_the_direct_address() {
    let Some((_pooler, home, direct)) = behind(Mode::Transaction, 5).await else { return };
    let mut settings = Settings::at(home.variable("DATABASE_URL"));
    settings.direct_url = Some(direct.into());
    let writing = Store::connect(&settings).await.unwrap();
    let hearing = Store::connect(&settings).await.unwrap();
    let mut listener = hearing.listen().await.unwrap().expect("it listens at the direct address");
    let ada = UserKey::new("clerk", ADA);
    let tx = writing.begin().await.unwrap();
    tx.lock(&BTreeSet::from([ada.clone()])).await.unwrap();
    tx.commit().await.unwrap();
    let notified = tokio::time::timeout(TIMEOUT, listener.next()).await.expect("nothing arrives");
    assert_eq!(notified.unwrap(), [ada.fingerprint()]);
    listener.close().await;
    writing.close().await.unwrap();
    hearing.close().await.unwrap();
}

/// The two databases are compared through the pooler, one connection after the other.
#[tokio::test]
async fn the_direct_address_is_compared_with_the_pooler() {
    for mode in [Mode::Session, Mode::Transaction, Mode::TransactionWithReset] {
        let Some((_pooler, mut home, direct)) = behind(mode, 1).await else { return };
        let Some(other) = postgres::empty_database().await else { return };
        let pooled = home.variable("DATABASE_URL").to_owned();
        for (address, expected) in [
            (&direct, "ok       `direct_url` leads to the same database"),
            (&pooled, "ok       `direct_url` leads to the same database"),
            (&other.url(), "ERROR    `direct_url` leads to another database than `url`"),
        ] {
            home.set("DIRECT_URL", address);
            let said = home.run(&["doctor"]).await;
            assert!(said.stdout.contains(expected), "{mode:?}, {expected:?}: {said:?}");
        }
        for command in ["serve", "migrate"] {
            let said = home.run(&[command]).await;
            assert!(said.code == Some(1) && said.stderr.contains("leads to another database"), "{said:?}");
        }
    }
}

/// With fewer server connections than the service was given, it waits for its own instead of failing.
#[tokio::test]
async fn a_small_session_pool_is_waited_for() {
    let Some((_pooler, home, direct)) = behind(Mode::Session, 3).await else { return };
    let key = home.key("tests").await;
    let service = home.serve().await;
    let client =
        Client::new(format!("http://{}", service.address), key, usersync::internals::clock::Clock::system());
    assert_eq!(refused_of_many(&client, "small").await, 0);
    assert_eq!(journaled(&direct).await, 60);
    // A command finds no free connection, and soon reports that.
    let started = Instant::now();
    let said = home.run(&["keys", "list"]).await;
    assert!(started.elapsed() < Duration::from_secs(15), "{said:?}");
    assert!(said.code == Some(0) || said.stderr.contains("max_connections"), "{said:?}");
    service.stop().await;
}
