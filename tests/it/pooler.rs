//! Behind PgBouncer, in session and in transaction mode, without prepared statements.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::support::binary::ProgramFixture;
use crate::support::client::Client;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres;

/// A home on an empty database behind PgBouncer, and the database's own address.
async fn behind(mode: &str, pool_size: u32) -> Option<(PgBouncer, ProgramFixture, String)> {
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

async fn every_delivery_is_answered_as_it_was_written(mode: &str, variables: &[(&'static str, &str)]) {
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
    assert_eq!(refused_of_many(&client, mode).await, 0);
    assert_eq!(journaled(&direct).await, 60);
    assert_eq!(client.get("/readyz").await.status, 200);
    let log = service.stop().await.stderr;
    let is_warned = log.contains("behind a pooler in transaction mode");
    let is_direct = variables.iter().any(|(name, _)| *name == "DIRECT_URL");
    assert_eq!(is_warned, mode == "transaction" && !is_direct, "{log}");
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
    every_delivery_is_answered_as_it_was_written("session", &[]).await;
}

#[tokio::test]
async fn in_transaction_mode() {
    every_delivery_is_answered_as_it_was_written("transaction", &[]).await;
}

#[tokio::test]
async fn in_transaction_mode_with_a_direct_address() {
    every_delivery_is_answered_as_it_was_written("transaction", &[("DIRECT_URL", "direct")]).await;
}

/// A connection that listens through the pooler, as an older version did, leaves the subscription on a server
/// connection.
#[tokio::test]
async fn a_server_connection_with_a_leftover_listen_is_usable() {
    let Some((_pooler, home, direct)) = behind("transaction", 1).await else { return };
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

/// Behind a transaction pooler, a replica with the direct address notices the changes of another one at once.
#[tokio::test]
async fn changes_by_other_replicas_arrive_over_the_direct_address() {
    let Some((_pooler, mut home, direct)) = behind("transaction", 5).await else { return };
    home.set("DIRECT_URL", direct.clone());
    let key = home.key("tests").await;
    let (writing, mut hearing) = (home.serve().await, home.serve().await);
    let [writer, reader] = [&writing, &hearing].map(|service| {
        Client::new(
            format!("http://{}", service.address),
            key.clone(),
            usersync::internals::clock::Clock::system(),
        )
    });
    hearing.line_with("listening for changes by other replicas").await;
    assert_eq!(writer.deliver(CREATED).await, "200 applied");
    let started = Instant::now();
    while reader.rows().await.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    writing.stop().await;
    hearing.stop().await;
}

/// The two databases are compared through the pooler, one connection after the other.
#[tokio::test]
async fn the_direct_address_is_compared_with_the_pooler() {
    for mode in ["session", "transaction"] {
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
            assert!(said.stdout.contains(expected), "{mode}, {expected:?}: {said:?}");
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
    let Some((_pooler, home, direct)) = behind("session", 3).await else { return };
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
