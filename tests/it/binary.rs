//! The program as it is deployed: started, stopped, and started again.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement, TransactionTrait as _};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::{APPLICATION_ID, SECRET};
use crate::support::binary::{MAX_STOP_TIME, Process, ProgramFixture};
use crate::support::client::fixture::{ADA, CREATED, UPDATED};
use crate::support::client::{Client, SignedRequest};
use crate::support::provider::Provider;
use crate::support::signer::rsa;

/// "usersync", read as a number: the advisory lock that a replica holds while it migrates.
const MIGRATION_LOCK: u64 = u64::from_be_bytes(*b"usersync");

/// Sends a request without the second half of its body.
async fn begin(client: &Client, service: &Process, body: &str) -> TcpStream {
    let SignedRequest { path, headers, body } = client.signed(body);
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let headers = headers.concat();
    let host = &service.address;
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n{headers}\r\n");
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..length / 2]).await.unwrap();
    stream
}

async fn finish(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(&body.as_bytes()[body.len() / 2..]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn an_empty_database_is_migrated_and_a_second_start_keeps_the_rows(home: &mut ProgramFixture) {
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.get("/readyz").await.status, 200);
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    let before = client.rows().await;
    assert_eq!(before.len(), 1);
    service.stop().await;

    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.rows().await, before);
    let again = client.send(client.signed_as("msg_later", CREATED)).await;
    assert_eq!(again.brief(), "200 stale");
    service.stop().await;
}

on_both_databases!(an_empty_database_is_migrated_and_a_second_start_keeps_the_rows, with ProgramFixture);

async fn sigterm_lets_a_delivery_that_has_begun_be_answered_and_stored(home: &mut ProgramFixture) {
    let mut service = home.serve().await;
    let client = home.client(&service).await;
    // An open connection without a request must not delay the stop.
    assert_eq!(client.get("/healthz").await.status, 200);
    let silent = TcpStream::connect(&service.address).await.unwrap();
    let stream = begin(&client, &service, CREATED).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    service.terminate();
    service.line_with("stopping").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(TcpStream::connect(&service.address).await.is_err(), "it still accepts connections");

    let answer = finish(stream, CREATED).await;
    let answered = Instant::now();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("applied"), "{answer}");
    let said = service.end().await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(answered.elapsed() < MAX_STOP_TIME, "ended after {:?}", answered.elapsed());
    drop(silent);

    let service = home.serve().await;
    assert_eq!(home.client(&service).await.rows().await[0]["externalId"], ADA);
    service.stop().await;
}

on_both_databases!(sigterm_lets_a_delivery_that_has_begun_be_answered_and_stored, with ProgramFixture);

#[tokio::test]
async fn a_table_of_another_application_is_left_alone_and_a_schema_is_advised() {
    let sqlite = ProgramFixture::on_sqlite();
    let file = format!("sqlite://{}?mode=rwc", sqlite.path("usersync.db").display());
    let postgres = ProgramFixture::on_postgres().await.map(|home| {
        let url = home.variable("DATABASE_URL").to_owned();
        (home.with("USERSYNC_DATABASE__SCHEMA", "public"), url)
    });
    for (home, url) in std::iter::once((sqlite, file)).chain(postgres) {
        let theirs = sea_orm::Database::connect(url).await.unwrap();
        theirs.execute_unprepared("CREATE TABLE users (number int)").await.unwrap();
        let said = home.run(&["migrate"]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains("a schema of its own"), "{said:?}");
        theirs.execute_unprepared("INSERT INTO users (number) VALUES (1)").await.unwrap();
        theirs.close().await.unwrap();
    }
}

/// A replica waits while another one migrates; here the other one never ends.
#[tokio::test]
async fn sigterm_during_the_start_exits_with_0() {
    let Some(home) = ProgramFixture::on_postgres().await else { return };
    let other = sea_orm::Database::connect(home.variable("DATABASE_URL")).await.unwrap();
    let migrating = other.begin().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
    migrating.execute_unprepared(&lock).await.unwrap();
    let service = home.start(&["serve"]);
    let waits =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
    let waits = Statement::from_string(DbBackend::Postgres, waits);
    while other.query_all_raw(waits.clone()).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    service.stop().await;
    assert!(asked.elapsed() < MAX_STOP_TIME, "ended after {:?}", asked.elapsed());
    migrating.rollback().await.unwrap();
    other.close().await.unwrap();
}

async fn sigterm_during_a_sweep_is_quiet(home: &mut ProgramFixture) {
    assert_eq!(home.run(&["migrate"]).await.code, Some(0));
    let database = home.database().await;
    let old =
        "WITH RECURSIVE one (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM one WHERE number < 60000)
               INSERT INTO journal (source, message_id, received_at, outcome, payload)
               SELECT 'clerk', 'msg_' || number, '2020-01-01 00:00:00+00:00', 'applied', '{}' FROM one";
    database.execute_unprepared(old).await.unwrap();
    // What another transaction holds must not hold up the sweep, nor the end.
    let mut holder = None;
    if database.get_database_backend() == DbBackend::Postgres {
        let held = "UPDATE journal SET reason = 'held' WHERE message_id = 'msg_1'";
        let transaction = holder.insert(database.begin().await.unwrap());
        transaction.execute_unprepared(held).await.unwrap();
    }
    let service = home.serve().await;
    let kept = Statement::from_string(
        database.get_database_backend(),
        "SELECT count(*) FROM journal WHERE payload IS NOT NULL",
    );
    let kept = async || -> i64 {
        database.query_one_raw(kept.clone()).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    while kept().await == 60_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let asked = Instant::now();
    let said = service.stop().await;
    assert!(asked.elapsed() < MAX_STOP_TIME, "ended after {:?}: {said:?}", asked.elapsed());
    assert!(kept().await > 0, "it was to be stopped on the way");
    for word in ["WARN", "ERROR", "shutdown"] {
        assert!(!said.stderr.contains(word), "{said:?}");
    }
    drop(holder);
    database.close().await.unwrap();
}

on_both_databases!(sigterm_during_a_sweep_is_quiet, with ProgramFixture);

async fn an_idle_service_stops_immediately(home: &mut ProgramFixture) {
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.get("/healthz").await.status, 200);
    let asked = Instant::now();
    let said = service.stop().await;
    assert!(asked.elapsed() < MAX_STOP_TIME, "ended after {:?}: {said:?}", asked.elapsed());
    assert_eq!(said.stdout, "", "the service writes to its log only");
}

on_both_databases!(an_idle_service_stops_immediately, with ProgramFixture);

async fn migrate_shows_which_migrations_are_applied(home: &mut ProgramFixture) {
    let status = home.run(&["migrate", "--status"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.stdout.lines().count() > 0, "{status:?}");
    assert!(status.stdout.lines().all(|line| line.starts_with("pending  m")), "{status:?}");
    for arguments in [&["migrate"][..], &["migrate"], &["migrate", "--status"]] {
        let after = home.run(arguments).await;
        assert_eq!(after.code, Some(0), "{after:?}");
        assert_eq!(after.stdout, status.stdout.replace("pending", "applied"));
    }
}

on_both_databases!(migrate_shows_which_migrations_are_applied, with ProgramFixture);

/// Several processes may create one database at the same time: one changes its journal mode while another
/// writes.
#[tokio::test]
async fn migrate_waits_for_a_new_sqlite_database_that_another_process_has_locked() {
    let home = ProgramFixture::on_sqlite();
    let url = format!("sqlite:{}?mode=rwc", home.path("usersync.db").display());
    let other = sea_orm::Database::connect(url).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE; CREATE TABLE held (value integer)").await.unwrap();
    let migrating = home.start(&["migrate"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    other.execute_unprepared("COMMIT").await.unwrap();
    other.close().await.unwrap();
    let said = migrating.end().await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

async fn several_processes_that_start_together_migrate_once(home: &mut ProgramFixture) {
    let starts = [home.start(&["migrate"]), home.start(&["migrate"]), home.start(&["migrate"])];
    for start in starts {
        let said = start.end().await;
        assert_eq!(said.code, Some(0), "{said:?}");
    }
}

on_both_databases!(several_processes_that_start_together_migrate_once, with ProgramFixture);

async fn a_service_key_works_until_it_is_revoked(home: &mut ProgramFixture) {
    let key = home.key("reports").await;
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.get_as(&key, "/v1/users").await.status, 200);

    let prefix = key.get(..12).unwrap();
    let listed = home.run(&["keys", "list"]).await.stdout;
    let line = listed.lines().find(|line| line.ends_with("reports")).unwrap();
    assert!(line.starts_with(prefix) && line.contains("users:read") && !listed.contains(&key), "{listed}");

    home.run(&["keys", "create", "operators", "--scope", "admin", "--scope", "users:read"]).await;
    let listed = home.run(&["keys", "list"]).await.stdout;
    assert!(listed.lines().any(|line| line.contains("users:read admin") && line.ends_with("operators")));

    let again = home.run(&["keys", "create", "reports"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert_eq!(home.run(&["keys", "revoke", "reports"]).await.code, Some(0));
    assert_eq!(client.get_as(&key, "/v1/users").await.brief(), "401 unauthenticated");
    assert_eq!(client.list("").await.status, 200, "the other key is still active");
    assert_eq!(home.run(&["keys", "revoke", "reports"]).await.code, Some(1), "no active key is left");
    service.stop().await;
}

on_both_databases!(a_service_key_works_until_it_is_revoked, with ProgramFixture);

async fn a_key_is_revoked_by_its_prefix_or_as_a_whole_and_never_printed(home: &mut ProgramFixture) {
    for length in [12, 68] {
        let key = home.key("leaked").await;
        let revoked = home.run(&["keys", "revoke", &key[..length]]).await;
        assert_eq!(revoked.code, Some(0), "{revoked:?}");
        let unknown = home.run(&["keys", "revoke", &key[..length]]).await;
        assert_eq!(unknown.code, Some(1), "{unknown:?}");
        for said in [revoked, unknown] {
            assert!(!format!("{said:?}").contains(&key), "{said:?}");
        }
    }
}

on_both_databases!(a_key_is_revoked_by_its_prefix_or_as_a_whole_and_never_printed, with ProgramFixture);

async fn two_variables_make_a_whole_clerk_source(home: &mut ProgramFixture) {
    let (provider, signer) = (Provider::start(), rsa("key_1"));
    provider.publish(&[&signer]);
    home.set("CLERK_JWT_ISSUER_DOMAIN", provider.url(""));
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(UPDATED).await, "200 applied");
    let now = usersync::internals::clock::Clock::system().now().as_seconds();
    let claims =
        json!({"iss": provider.url(""), "sub": ADA, "aud": APPLICATION_ID, "iat": now, "exp": now + 60});
    let user = client.get_as(&signer.token(&claims), "/v1/users/current").await;
    assert_eq!((user.status, &user.json()["name"]), (200, &json!("Ada King")));
    service.stop().await;
}

on_both_databases!(two_variables_make_a_whole_clerk_source, with ProgramFixture);

#[tokio::test]
async fn the_two_variables_alone_are_enough() {
    let home = ProgramFixture::bare()
        .with("CLERK_WEBHOOK_SECRET", crate::support::app::SECRET)
        .with("CLERK_JWT_ISSUER_DOMAIN", "https://verb-noun-00.clerk.accounts.dev");
    let migrated = home.run(&["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    assert!(home.has("usersync.db"));
}

#[tokio::test]
async fn port_alone_is_listened_on_at_all_addresses() {
    let home = ProgramFixture::bare().with("PORT", "0").with("CLERK_WEBHOOK_SECRET", SECRET);
    let mut service = home.start(&["serve"]);
    let ready = service.line_with("sources").await;
    let (_, port) = ready.split_once("]:").or_else(|| ready.split_once("0.0.0.0:")).expect(&ready);
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    service.address = format!("127.0.0.1:{port}");
    assert_eq!(home.client(&service).await.get("/healthz").await.status, 200);
    service.stop().await;
}

/// The address of a server with this status and these headers for everybody.
async fn answering(head: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = format!("HTTP/1.1 {head}content-length: 0\r\n\r\n");
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            assert_ne!(connection.read(&mut [0; 4096]).await.unwrap(), 0);
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

/// As the health check of the image asks.
async fn health_tells_whether_the_service_is_alive_and_ready(home: &mut ProgramFixture) {
    let service = home.serve().await;
    home.set("USERSYNC_SERVER__LISTEN", service.address.clone());
    for (arguments, path) in [(vec!["health"], "healthz"), (vec!["health", "--ready"], "readyz")] {
        let answered = home.run(&arguments).await;
        assert_eq!(
            answered.stdout,
            format!("http://{}/{path} answered 200 OK\n", service.address),
            "{answered:?}"
        );
        assert_eq!(answered.code, Some(0));
    }
    service.stop().await;
    let stopped = home.run(&["health"]).await;
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.stderr.contains("no answer"), "{stopped:?}");

    // Another service, which is healthy, is not usersync.
    let healthy = answering("200 OK\r\n").await;
    home.set(
        "USERSYNC_SERVER__LISTEN",
        answering(&format!("302 Found\r\nlocation: http://{healthy}/\r\n")).await,
    );
    let redirected = home.run(&["health"]).await;
    assert!(redirected.stderr.contains("answered 302 Found"), "{redirected:?}");
    assert_eq!(redirected.code, Some(1));

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    home.set("USERSYNC_SERVER__LISTEN", format!("[::]:{port}"));
    let neither = home.run(&["health"]).await.stderr;
    assert!(neither.contains("127.0.0.1") && neither.contains("[::1]"), "{neither}");
}

on_both_databases!(health_tells_whether_the_service_is_alive_and_ready, with ProgramFixture);
