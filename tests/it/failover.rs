//! Failover: a service that is connected to the old primary finds the new one within seconds, and
//! `/readyz` is 503 until then.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use url::Url;

use crate::support::binary::{Process, ProgramFixture};
use crate::support::client::Client;
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, GRACE, UPDATED};
use crate::support::forwarder::Forwarder;
use crate::support::postgres::Cluster;

/// "Within seconds", on a busy machine.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(20);
const PASSWORD: &str = "the_same_on_both";

/// Two servers that take the same password, and their URLs with it.
async fn two_clusters() -> Option<[(Cluster, String); 2]> {
    let mut clusters = Vec::new();
    for _ in 0..2 {
        let cluster = Cluster::make()?;
        let database = sea_orm::Database::connect(cluster.url()).await.unwrap();
        execute(&database, &format!("ALTER ROLE postgres PASSWORD '{PASSWORD}'")).await;
        database.close().await.unwrap();
        let mut url: Url = cluster.url().parse().unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        clusters.push((cluster, url.to_string()));
    }
    clusters.try_into().ok()
}

async fn execute(database: &DatabaseConnection, sql: &str) {
    database.execute_unprepared(sql).await.unwrap();
}

async fn make_read_only(url: &str, is_read_only: &str) {
    let database = sea_orm::Database::connect(url).await.unwrap();
    for sql in [
        "SET default_transaction_read_only = off".to_owned(),
        format!("ALTER SYSTEM SET default_transaction_read_only = {is_read_only}"),
        "SELECT pg_reload_conf()".to_owned(),
    ] {
        execute(&database, &sql).await;
    }
    database.close().await.unwrap();
}

async fn has_user(url: &str, external_id: &str) -> bool {
    let database = sea_orm::Database::connect(url).await.unwrap();
    let sql = format!("SELECT 1 FROM usersync.users WHERE external_id = '{external_id}'");
    let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    database.close().await.unwrap();
    row.is_some()
}

/// Sends until the delivery is accepted, and asserts that until then `/readyz` answered as deliveries were answered.
async fn deliver_within_seconds(client: &Client, event: &str) {
    let started = Instant::now();
    loop {
        let delivered = client.deliver(event.to_owned()).await;
        if delivered.starts_with("200") {
            assert_eq!(client.get("/readyz").await.status, 200);
            return;
        }
        assert_eq!(delivered, "503 database_unavailable");
        assert!(started.elapsed() < RECOVERY_TIMEOUT, "no delivery for {:?}", started.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The service, and a client that knows it, behind a forwarder to the first of two servers that have the tables.
async fn behind(forwarder: &Forwarder, urls: [&str; 2]) -> (ProgramFixture, Process, Client) {
    for url in urls {
        let said = ProgramFixture::on_sqlite().with("DATABASE_URL", url).run(&["migrate"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let home = ProgramFixture::on_sqlite().with("DATABASE_URL", forwarder.url(urls[0]));
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    (home, service, client)
}

#[tokio::test]
async fn an_old_primary_that_answers_read_only_is_left_within_seconds() {
    let Some([(_old, old_url), (_new, new_url)]) = two_clusters().await else { return };
    let forwarder = Forwarder::to(&old_url).await;
    let (_home, mut service, client) = behind(&forwarder, [&old_url, &new_url]).await;

    make_read_only(&old_url, "on").await;
    // Each process of the server reads the setting when it gets a signal, which on a busy machine takes a while.
    let asked = Instant::now();
    for number in 0.. {
        let delivery = client.signed_as(&format!("msg_before_{number}"), UPDATED);
        if client.send(delivery).await.brief() == "503 database_unavailable" {
            break;
        }
        assert!(asked.elapsed() < RECOVERY_TIMEOUT, "the old primary still takes deliveries");
    }
    assert_eq!(client.deliver(CREATED_GOOGLE).await, "503 database_unavailable");
    assert_eq!(client.get("/readyz").await.status, 503, "a delivery is 503");
    assert_eq!(client.get("/healthz").await.status, 200);

    forwarder.turn_to(&new_url);
    deliver_within_seconds(&client, CREATED_GOOGLE).await;
    assert!(has_user(&new_url, GRACE).await && !has_user(&old_url, GRACE).await);

    // What listened to the old one listens to the new one: another replica's change is notified.
    let heard = Instant::now();
    while service.log().matches("listening for changes by other replicas").count() < 2 {
        assert!(heard.elapsed() < RECOVERY_TIMEOUT, "it still listens to the old primary");
        service.assert_runs();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_server_that_takes_the_place_of_another_is_found_within_seconds() {
    let Some([(mut old, old_url), (_new, new_url)]) = two_clusters().await else { return };
    let forwarder = Forwarder::to(&old_url).await;
    let (_home, service, client) = behind(&forwarder, [&old_url, &new_url]).await;
    old.stop();
    assert_eq!(client.deliver(UPDATED).await, "503 database_unavailable");
    assert_eq!(client.get("/readyz").await.status, 503);
    forwarder.turn_to(&new_url);
    deliver_within_seconds(&client, UPDATED).await;
    assert!(has_user(&new_url, ADA).await);
    service.stop().await;
}

#[tokio::test]
async fn connections_that_an_administrator_ends_are_replaced() {
    let Some(home) = ProgramFixture::on_postgres().await else { return };
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    let database = home.database().await;
    for _ in 0..3 {
        // 57P01
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'usersync'";
        execute(&database, sql).await;
        deliver_within_seconds(&client, UPDATED).await;
    }
    database.close().await.unwrap();
    service.stop().await;
}
