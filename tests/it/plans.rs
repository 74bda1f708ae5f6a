//! No statement reads a large table from its beginning to its end, whatever the statistics say: on PostgreSQL by the
//! rows that were really read of 100,000, on SQLite by its query plans.

mod work;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tracing_subscriber::layer::SubscriberExt as _;
use usersync::internals::config::Database as Settings;
use usersync::internals::store::Store;

use self::work::{WORK, work};
use crate::support::postgres::empty_database;

const LARGE_TABLES: [&str; 6] = ["users", "tombstones", "journal", "run_users", "outbox", "endpoint_events"];
/// How many rows one piece of work may read, of several tables and indexes.
const MOST_ROWS: i64 = 3_000;

/// 100,000 rows as the service writes them: `LAST` is the number of the last one. The first 5,000 deliveries are webhooks,
/// the others are users of a list.
const FILL: [&str; 6] = [
    "INSERT INTO users (id, source, external_id, email, updated_at, synced_at, record)
     SELECT '01900000-0000-7000-8000-' || lpad(n::text, 12, '0'), CASE WHEN n > 99900 THEN 'small' ELSE 'clerk' END,
            'user_' || n, 'ada' || n || '@example.com', now(), now(), '{}' FROM generate_series(1, LAST) n",
    "INSERT INTO tombstones SELECT 'clerk', 'deleted_' || n, now() FROM generate_series(1, LAST) n",
    "INSERT INTO run_users SELECT 'run', 'user_' || n FROM generate_series(1, LAST) n",
    "INSERT INTO journal (source, message_id, received_at, event_type, external_id, outcome, payload)
     SELECT CASE WHEN n > 99900 THEN 'small' ELSE 'clerk' END, 'msg_' || n,
            timestamptz '2025-01-01 00:00:00Z' + n * interval '1 second',
            CASE WHEN n > 5000 THEN 'usersync.user.listed' ELSE 'user.created' END, 'user_' || n,
            CASE WHEN n % 2000 = 0 THEN 'parked' ELSE 'applied' END, '{\"type\":\"user.created\"}'
     FROM generate_series(1, LAST) n",
    "INSERT INTO outbox (event_id, user_id, source, external_id, kind, changed, stamp, at)
     SELECT '01900000-0000-7000-8000-' || lpad(n::text, 12, '0'),
            '01900000-0000-7000-8000-' || lpad(n::text, 12, '0'), 'clerk', 'user_' || n, 'user.created', '', now(),
            timestamptz '2025-01-01 00:00:00Z' + n * interval '1 second' FROM generate_series(1, LAST) n",
    "INSERT INTO endpoint_events (endpoint, sequence, event_id, user_id, source, external_id, kind, changed, stamp, at,
                                  attempts, next_at)
     SELECT 'app', n - 1000000, '01900000-0000-7000-8000-' || lpad(n::text, 12, '0'),
            '01900000-0000-7000-8000-' || lpad(n::text, 12, '0'), 'clerk', 'user_' || n, 'user.created', '', now(),
            timestamptz '2025-01-01 00:00:00Z' + n * interval '1 second', 0, timestamptz '2025-01-01 00:00:00Z'
     FROM generate_series(1, LAST) n",
];

struct Tables {
    database: crate::support::postgres::Database,
    connection: DatabaseConnection,
}

impl Tables {
    /// Empty tables, for which the server collects no statistics automatically.
    async fn new() -> Option<Self> {
        let database = empty_database().await?;
        let store = Store::connect_for_command(&Settings::at(&database.url())).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await.unwrap();
        // One connection, so that the others are those of the store.
        let mut options = sea_orm::ConnectOptions::new(database.url());
        options.max_connections(1);
        let connection = sea_orm::Database::connect(options).await.unwrap();
        let tables = Self { database, connection };
        tables.run("CREATE TABLE public.marker (number int)").await;
        for table in LARGE_TABLES {
            tables.run(&format!("ALTER TABLE {table} SET (autovacuum_enabled = false)")).await;
        }
        Some(tables)
    }

    async fn run(&self, sql: &str) {
        self.connection.execute_unprepared(sql).await.unwrap();
    }

    async fn fill(&self, last: u32) {
        for sql in FILL {
            self.run(&sql.replace("LAST", &last.to_string())).await;
        }
    }

    async fn analyze(&self) {
        for table in LARGE_TABLES {
            self.run(&format!("ANALYZE {table}")).await;
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(sea_orm::DbBackend::Postgres, sql);
        self.connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    fn settings(&self) -> Settings {
        Settings::at(&self.database.url())
    }

    /// How often a large table was read from its beginning to its end, and how many rows were read by indexes; once the
    /// server has counted everything that a closed store has done.
    async fn counted(&self) -> (i64, i64) {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                      AND backend_type = 'client backend'";
        while self.number(others).await > 0 {
            tokio::task::yield_now().await;
        }
        // Counts are reported in order: when this one is, all earlier ones are.
        let marked = "SELECT COALESCE(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'marker'";
        let before = self.number(marked).await;
        let other = sea_orm::Database::connect(self.database.url()).await.unwrap();
        other.execute_unprepared("SELECT count(*) FROM public.marker").await.unwrap();
        other.close().await.unwrap();
        while self.number(marked).await == before {
            tokio::task::yield_now().await;
        }
        let tables = LARGE_TABLES.map(|table| format!("'{table}'")).join(", ");
        let scans = "SELECT COALESCE(sum(seq_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname IN";
        let rows = "SELECT COALESCE(sum(idx_tup_read), 0)::bigint FROM pg_stat_user_indexes WHERE relname IN";
        (self.number(&format!("{scans} ({tables})")).await, self.number(&format!("{rows} ({tables})")).await)
    }

    /// Does all work on one connection after the other; what reads too much is named.
    async fn check_each(&self, statistics: &str) {
        let mut wrong = Vec::new();
        for name in WORK {
            let before = self.counted().await;
            let store = Store::connect_for_command(&self.settings()).await.unwrap();
            work(&store, name).await;
            store.close().await.unwrap();
            let after = self.counted().await;
            let (scans, rows) = (after.0 - before.0, after.1 - before.1);
            if scans > 0 || rows > MOST_ROWS {
                wrong.push(format!("{name}: {scans} sequential scans, {rows} rows by index"));
            }
        }
        assert!(wrong.is_empty(), "with {statistics} statistics:\n{}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn no_statement_reads_all_of_a_large_table_without_statistics_or_with_fresh_ones() {
    let Some(tables) = Tables::new().await else { return };
    tables.fill(100_000).await;
    tables.check_each("no").await;
    tables.analyze().await;
    tables.check_each("fresh").await;
}

#[tokio::test]
async fn no_statement_reads_all_of_a_large_table_with_statistics_from_when_it_was_small() {
    let Some(tables) = Tables::new().await else { return };
    tables.fill(10).await;
    tables.analyze().await;
    for table in LARGE_TABLES {
        // Without TRUNCATE, which would take the statistics along.
        tables.run(&format!("DELETE FROM {table}")).await;
    }
    tables.fill(100_000).await;
    tables.check_each("old").await;
}

#[tokio::test]
async fn no_statement_that_was_prepared_while_the_tables_were_empty_reads_all_of_a_large_one() {
    let Some(tables) = Tables::new().await else { return };
    let before = tables.counted().await;
    let store = Store::connect_for_command(&tables.settings()).await.unwrap();
    // The server makes one plan for good after five of its own.
    for _ in 0..7 {
        for name in WORK {
            work(&store, name).await;
        }
    }
    tables.fill(100_000).await;
    for name in WORK {
        work(&store, name).await;
    }
    store.close().await.unwrap();
    let after = tables.counted().await;
    let (scans, rows) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(scans, 0, "sequential scans of a large table");
    let most = MOST_ROWS * i64::try_from(WORK.len()).unwrap();
    assert!(rows < most, "{rows} rows were read by index");
}

/// The text of every statement that the store runs on this thread.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<BTreeSet<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target().starts_with("usersync::store") {
            event.record(&mut self.clone());
        }
    }
}

impl tracing::field::Visit for Statements {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "sql" {
            self.0.lock().unwrap().insert(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
}

#[tokio::test]
async fn no_statement_scans_a_large_table_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("usersync.db").display());
    let store = Store::connect_for_command(&Settings::at(&url)).await.unwrap();
    store.migrate().await.unwrap();
    let statements = Statements::default();
    {
        let subscriber = tracing_subscriber::registry().with(statements.clone());
        let _until_dropped = tracing::subscriber::set_default(subscriber);
        for name in WORK {
            work(&store, name).await;
        }
    }
    store.close().await.unwrap();
    let database = sea_orm::Database::connect(&url).await.unwrap();
    let statements = statements.0.lock().unwrap().clone();
    assert!(statements.len() > 2 * WORK.len(), "only these were seen: {statements:#?}");
    let (mut wrong, mut by_delivered) = (Vec::new(), 0);
    for sql in statements {
        let explain = Statement::from_string(sea_orm::DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = database.query_all_raw(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get_by("detail").unwrap()).collect();
        by_delivered += usize::from(plan.iter().any(|step| step.contains("journal_delivered")));
        if reads_all(&plan) {
            wrong.push(format!("{sql}\n  {}", plan.join("\n  ")));
        }
    }
    database.close().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Along the index of all payloads that are kept, they would read every user of a list.
    assert_eq!(by_delivered, 2, "times and payloads of the newest deliveries");
}

/// Whether a plan of SQLite reads a large table to its end. Along an index it may begin at the beginning, if the rows
/// are in order there and need not be sorted. The rows of `outbox` are stored in the order in which they are read.
fn reads_all(plan: &[String]) -> bool {
    let sorts_all = plan.iter().any(|step| step.ends_with("USE TEMP B-TREE FOR ORDER BY"));
    plan.iter().filter_map(|step| step.strip_prefix("SCAN ")).any(|scanned| {
        let table = scanned.split(' ').next().unwrap_or_default();
        LARGE_TABLES.contains(&table) && (sorts_all || (table != "outbox" && !scanned.contains("USING")))
    })
}
