//! "2xx means journal, user and tombstone are committed together. Nothing acknowledged is lost": checked
//! with a real process that is killed, and with databases that stop, fill up or become read-only.
//!
//! Sixteen senders send the histories of a few dozen users as a provider does: late, twice, again after no answer, and
//! sometimes with a message that cannot be read. After every cycle the database is checked: every delivery that
//! was answered 2xx is in the journal, once, with the outcome of the answer; and rows, tombstones, ids and payloads
//! are what the rule (`Record::join`) makes of exactly the journaled set.
//!
//! A few cycles run with every `cargo test`. To run more:
//!
//! ```sh
//! USERSYNC_CRASH_CYCLES=200 cargo test --test it crash:: -- --nocapture --test-threads 1
//! ```

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DbBackend, Statement};
use usersync::internals::app::App;
use usersync::internals::clock::Clock;
use usersync::internals::config::Config;
use usersync::internals::config::Database as Settings;
use usersync::internals::store::Store;

use crate::support::client::fixture::CREATED;
use crate::support::client::{Answer, Client};
use crate::support::crash::{Answers, Audit, Random, Senders, Service, SharedMessages, cycles, source};
use crate::support::postgres::{Cluster, Template};

/// How soon the service must accept again once the database is back.
const RECOVERY: Duration = Duration::from_secs(10);
/// How often a database fails in a short run.
const FAULT_CYCLES: u32 = 2;

fn sqlite_in(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("usersync.db").display())
}

/// Printed although the test harness hides the output of passing tests, but only in a run of many cycles.
fn report(what: &str, cycles: u32, account: &SharedMessages, audit: &Audit) {
    println!("{what}: {cycles} cycles, {:?}, {} journaled", account.counts(), audit.journaled());
}

/// Kills the service under load again and again, sometimes while it starts.
async fn is_killed_again_and_again(what: &str, url: &str) {
    let (account, mut audit, mut random) = (SharedMessages::new(), Audit::default(), Random::new());
    let cycles = cycles(4);
    for cycle in 0..cycles {
        if cycle % 3 == 0 {
            Service::start_and_kill(url, random.milliseconds(0, 150));
        }
        let service = Service::start(url);
        if cycle > 0 {
            audit.check(url, &account).await;
        }
        let senders = Senders::start(&account, service.base(), Answers::Usually);
        tokio::time::sleep(random.milliseconds(50, 700)).await;
        service.kill();
        senders.stop().await;
    }
    let service = Service::start(url);
    audit.check(url, &account).await;
    service.stop();
    audit.check(url, &account).await;
    let counts = account.counts();
    assert!(counts.unanswered > 0, "no delivery was under way when the service was killed: {counts:?}");
    assert_eq!(counts.refused, 0, "the database was there all the time");
    report(what, cycles, &account, &audit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    is_killed_again_and_again("killed, SQLite", &sqlite_in(folder.path())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_under_load_on_postgres() {
    static EMPTY: Template = Template::new("empty");
    let Some(database) = EMPTY.database(async |_| anyhow::Ok(())).await else { return };
    is_killed_again_and_again("killed, PostgreSQL", &database.url()).await;
}

/// The service, its database and its senders, while the database has a fault.
struct DuringFault<'a> {
    service: &'a Service,
    account: &'a SharedMessages,
}

impl DuringFault<'_> {
    async fn get(&self, path: &str) -> Answer {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        crate::support::client::answer(http.get(format!("{}{path}", self.service.base()))).await
    }

    /// Waits until almost nothing is accepted: on a full disk a small delivery may still fit.
    async fn until_refused(&self) {
        let until = Instant::now() + Duration::from_mins(1);
        while Instant::now() < until {
            let before = self.account.counts();
            tokio::time::sleep(Duration::from_millis(500)).await;
            let after = self.account.counts();
            if after.refused - before.refused > 10 * (after.accepted - before.accepted) {
                return;
            }
        }
        panic!("the database is unavailable, and deliveries are accepted: {:?}", self.account.counts());
    }

    /// Waits until the readiness has this status.
    async fn until_ready(&self, status: u16) {
        let started = Instant::now();
        while self.get("/readyz").await.status != status {
            assert!(started.elapsed() < RECOVERY, "/readyz is not {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The service is hardly ever ready. Messages that are sent again need no space; a small delivery may still fit.
    async fn stays_unready(&self) {
        let mut ready = 0;
        for _ in 0..20 {
            ready += u32::from(self.get("/readyz").await.status == 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(ready <= 5, "ready {ready} times of 20");
    }

    /// Waits until deliveries are accepted again, more than a few.
    async fn until_accepted(&self) {
        let (started, before) = (Instant::now(), self.account.counts());
        while started.elapsed() < RECOVERY {
            if self.account.counts().accepted > before.accepted + 50 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (counts, log) = (self.account.counts(), self.service.log());
        panic!("the database is back, and deliveries are refused: {counts:?}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_stopped_and_started_again() {
    let Some(mut cluster) = Cluster::make() else { return };
    let url = cluster.url().to_owned();
    let (account, mut audit, mut random) = (SharedMessages::new(), Audit::default(), Random::new());
    let mut service = Service::start(&url);
    let cycles = cycles(FAULT_CYCLES);
    for cycle in 0..cycles {
        let senders = Senders::start(&account, service.base(), Answers::Always);
        tokio::time::sleep(random.milliseconds(100, 500)).await;
        let faulty = DuringFault { service: &service, account: &account };
        tokio::task::block_in_place(|| if cycle % 2 == 0 { cluster.stop() } else { cluster.kill() });
        faulty.until_refused().await;
        assert_eq!(faulty.get("/readyz").await.brief(), "503 database_unavailable");
        assert_eq!(faulty.get("/healthz").await.status, 200);
        tokio::time::sleep(random.milliseconds(0, 1500)).await;
        tokio::task::block_in_place(|| cluster.start());
        faulty.until_accepted().await;
        assert_eq!(faulty.get("/readyz").await.status, 200);
        senders.stop().await;
        service.assert_runs();
        audit.check(&url, &account).await;
    }
    report("stopped, PostgreSQL", cycles, &account, &audit);
    service.stop();
}

/// A primary that became read-only, or a quota that makes a server read-only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_only_postgres() {
    static EMPTY: Template = Template::new("writable");
    let Some(database) = EMPTY.database(async |_| anyhow::Ok(())).await else { return };
    let (url, account, mut audit) = (database.url(), SharedMessages::new(), Audit::default());
    let mut service = Service::start(&url);
    // One connection, opened before: a new one would be subject to the setting itself.
    let mut options = ConnectOptions::new(&url);
    options.max_connections(1).sqlx_logging(false);
    let operator = Database::connect(options).await.unwrap();
    let set_read_only = async |value: &str| {
        let setting =
            format!(r#"ALTER DATABASE "{}" SET default_transaction_read_only = {value}"#, database.name());
        operator.execute_unprepared(&setting).await.unwrap();
        // It applies to new connections; the others are closed.
        let rest = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
        operator.execute_unprepared(rest).await.unwrap();
    };
    let senders = Senders::start(&account, service.base(), Answers::Always);
    let faulty = DuringFault { service: &service, account: &account };
    faulty.until_accepted().await;
    set_read_only("on").await;
    faulty.until_refused().await;
    assert_eq!(faulty.get("/readyz").await.status, 503, "as a delivery is");
    assert_eq!(faulty.get("/healthz").await.status, 200);
    set_read_only("off").await;
    faulty.until_accepted().await;
    senders.stop().await;
    service.assert_runs();
    audit.check(&url, &account).await;
    report("read-only, PostgreSQL", 1, &account, &audit);
    service.stop();
    operator.close().await.unwrap();
}

/// The service on a database, in this process.
async fn serve(url: &str) -> (usersync::internals::app::Service, Client) {
    let mut config = Config { sources: vec![source()], ..Config::default() };
    config.database.url = url.into();
    let app = App::new(&config, Clock::system()).await.unwrap();
    let service = app.serve(TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
    let base = format!("http://{}", service.main.address);
    (service, Client::new(base, String::new(), Clock::system()))
}

#[tokio::test]
async fn read_only_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let owner = Store::connect(&Settings::at(&sqlite_in(folder.path()))).await.unwrap();
    owner.migrate().await.unwrap();
    let (running, client) = serve(&sqlite_in(folder.path()).replace("rwc", "ro")).await;
    for _ in 0..3 {
        let refused = client.send(client.signed(CREATED)).await;
        assert_eq!((&*refused.brief(), refused.header("retry-after")), ("503 database_unavailable", "5"));
    }
    assert_eq!(client.get("/readyz").await.status, 503, "as a delivery is");
    assert_eq!(client.get("/healthz").await.status, 200);
    running.stop().await.unwrap();
    owner.close().await.unwrap();
}

#[tokio::test]
async fn another_process_that_writes_to_sqlite_leaves_the_service_ready() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_in(folder.path());
    let (running, client) = serve(&url).await;
    let mut options = ConnectOptions::new(&url);
    let other = Database::connect(options.max_connections(1).clone()).await.unwrap();
    assert_eq!(client.get("/readyz").await.status, 200);
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.get("/readyz").await.status, 200);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    other.execute_unprepared("ROLLBACK").await.unwrap();
    assert!(client.deliver(CREATED).await.starts_with("200"));
    running.stop().await.unwrap();
}

/// On a full disk SQLite rolls a transaction back itself, as the first trigger does. A program that believes it is
/// still open makes a savepoint of the next one. If that fails (the second trigger), an open transaction remains:
/// everything later is written into it, acknowledged, and never committed.
#[tokio::test]
async fn a_transaction_that_sqlite_rolled_back_does_not_affect_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_in(folder.path());
    let (running, client) = serve(&url).await;
    let other = Database::connect(&url).await.unwrap();
    for (id, action) in [("msg_undone", "ROLLBACK"), ("msg_refused", "ABORT")] {
        let trigger = format!(
            "CREATE TRIGGER {id} BEFORE INSERT ON journal WHEN NEW.message_id = '{id}'
             BEGIN SELECT RAISE({action}, 'by the test'); END"
        );
        other.execute_unprepared(&trigger).await.unwrap();
    }
    for round in 1..=5 {
        for id in ["msg_undone", "msg_refused"] {
            assert_ne!(client.send(client.signed_as(id, CREATED)).await.status, 200);
        }
        assert_eq!(client.send(client.signed(CREATED)).await.status, 200);
        let count = Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM journal");
        let committed: i64 = other.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(committed, round, "an acknowledged delivery was not committed");
    }
    running.stop().await.unwrap();
}

async fn leases(url: &str) -> i64 {
    let database = Database::connect(url).await.unwrap();
    let count =
        Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM leases WHERE name = 'write test'");
    let leases = database.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    database.close().await.unwrap();
    leases
}

/// Fills the disk under load, makes space again, and so on.
async fn a_disk_fills_up(
    what: &str,
    mut service: Service,
    url: impl Fn() -> String,
    mut fill: impl FnMut(),
    mut make_space: impl AsyncFnMut(),
) {
    let (account, mut audit): (Arc<SharedMessages>, Audit) = (SharedMessages::new(), Audit::default());
    let cycles = cycles(FAULT_CYCLES);
    for _ in 0..cycles {
        let senders = Senders::start(&account, service.base(), Answers::Always);
        fill();
        let faulty = DuringFault { service: &service, account: &account };
        faulty.until_refused().await;
        assert_eq!(faulty.get("/healthz").await.status, 200);
        faulty.until_ready(503).await;
        faulty.stays_unready().await;
        make_space().await;
        faulty.until_accepted().await;
        senders.stop().await;
        // The senders may have filled it again.
        make_space().await;
        faulty.until_ready(200).await;
        assert_eq!(leases(&url()).await, 0, "what was written as a test is removed");
        service.assert_runs();
        audit.check(&url(), &account).await;
    }
    report(what, cycles, &account, &audit);
    service.stop();
}

/// A file of the service may not grow past a limit: works without any rights, on every Unix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_that_may_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_in(folder.path());
    // Two mebibytes, or four where a shell counts otherwise. Without the trap the signal would end the
    // service.
    let script = r#"trap "" XFSZ; ulimit -S -f 4096; exec "$0" serve"#;
    let service = Service::start_by(Command::new("sh"), script, folder.path(), &url);
    // Another process, which has no limit, moves the write-ahead log into the file.
    let make_space = async || {
        let database = Database::connect(&url).await.unwrap();
        for _ in 0..10 {
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            database.execute_unprepared(checkpoint).await.unwrap();
            let log = std::fs::metadata(folder.path().join("usersync.db-wal"));
            if log.is_ok_and(|log| log.len() < 1 << 20) {
                return database.close().await.unwrap();
            }
        }
        panic!("the write-ahead log is never empty");
    };
    a_disk_fills_up("may not grow, SQLite", service, || url.clone(), || {}, make_space).await;
}

/// A real full disk: a small file system of the service's own, which disappears with the last process that sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(unshare) = unshare() else { return };
    let url = sqlite_in(folder.path());
    // What the cycles leave behind must fit as well.
    let size = 8 + cycles(FAULT_CYCLES);
    let script = format!(r#"mount -t tmpfs -o size={size}m tmpfs "$1" && exec "$0" serve"#);
    let service = Service::start_by(unshare, &script, folder.path(), &url);
    let root = Path::new("/proc").join(service.id().to_string()).join("root");
    let root = root.join(folder.path().strip_prefix("/").unwrap());
    let ballast = root.join("ballast");
    let fill = || {
        // It fails when the disk is full, as intended.
        let mut file = std::fs::File::create(&ballast).unwrap();
        std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
    };
    // It may be removed already.
    let make_space = async || drop(std::fs::remove_file(&ballast));
    // SQLite resolves symbolic links and would leave that file system, so it reads a copy, made while
    // no process writes.
    let copy = tempfile::tempdir().unwrap();
    let copied = || {
        for name in ["usersync.db", "usersync.db-wal"] {
            std::fs::copy(root.join(name), copy.path().join(name)).unwrap();
        }
        sqlite_in(copy.path())
    };
    a_disk_fills_up("full disk, SQLite", service, copied, fill, make_space).await;
}

/// A command that runs another one in a mount namespace of its own.
fn unshare() -> Option<Command> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    for way in ways {
        let probe = ["sh", "-c", "mount -t tmpfs tmpfs /mnt"];
        let works = Command::new("unshare").args(way).args(probe).output();
        if works.is_ok_and(|output| output.status.success()) {
            let mut command = Command::new("unshare");
            command.args(way).arg("sh");
            return Some(command);
        }
    }
    writeln!(std::io::stderr(), "\nNOT RUN on a full disk: this user may not mount one of its own\n").ok();
    None
}
