//! No statement reads a large table from its beginning to its end, whatever the statistics say: on PostgreSQL by the
//! rows that were really read of 100,000, on SQLite by its query plans.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use tracing_subscriber::layer::SubscriberExt as _;
use usersync::internals::clock::Clock;
use usersync::internals::config::{Database as Settings, Source};
use usersync::internals::domain::{EventKind, Timestamp, UserId, UserKey};
use usersync::internals::providers::{self, Sources};
use usersync::internals::store::{
    Claimant, EventFilter, ListFilter, Listing, Order, Position, Store, Wanted, Which,
};
use usersync::internals::sync::Replay;

use crate::support::app::SECRET;
use crate::support::client::fixture::{ADA, CREATED, DELETED, UPDATED};
use crate::support::postgres::empty_database;

const LARGE_TABLES: [&str; 6] = ["users", "tombstones", "journal", "run_users", "outbox", "endpoint_events"];
/// The page size of each piece of work.
const PAGE: u64 = 100;
/// How many rows one piece of work may read, of several tables and indexes.
const MOST_ROWS: i64 = 3_000;

/// The work of the store.
const WORK: [&str; 20] = [
    "deliver",
    "look up",
    "load",
    "list",
    "list by source",
    "list by small source",
    "list by external id",
    "list by email",
    "list by email and source",
    "read the journal",
    "read the journal since",
    "read parked deliveries",
    "read newest deliveries",
    "read users of the journal",
    "sweep",
    "dispatch",
    "read the log of events",
    "list deliveries",
    "list deliveries of a user",
    "list newest users",
];

/// Ids as the filled tables have them.
fn external_id(number: u32) -> String {
    format!("user_{number}")
}

fn id(number: u32) -> UserId {
    UserId(format!("01900000-0000-7000-8000-{number:012}").parse().unwrap())
}

fn received_at(number: i64) -> Timestamp {
    Timestamp::parse("2025-01-01T00:00:00Z")
        .unwrap()
        .plus(std::time::Duration::from_secs(number.unsigned_abs()))
}

fn position(number: i64) -> Position {
    let message_id = format!("msg_{number}");
    let key = usersync::internals::domain::DeliveryKey { source: "clerk".to_owned(), message_id };
    Position { received_at: received_at(number), key }
}

/// Does one piece of work, in the middle of the filled tables.
async fn work(store: &Store, name: &str) {
    let keys =
        BTreeSet::from([1, 50_000, 99_950].map(|number| {
            UserKey::new(if number > 99_900 { "small" } else { "clerk" }, external_id(number))
        }));
    let listing = Listing { after: Some(id(50_000)), limit: PAGE, ..Listing::default() };
    let source = |name: &str| Some(name.to_owned());
    match name {
        "deliver" => deliver(store).await,
        "look up" => drop(store.users().look_up(&keys.iter().collect()).await.unwrap()),
        "load" => load(store, &keys).await,
        "list" => drop(store.users().list(&listing).await.unwrap()),
        "list by source" => {
            store.users().list(&Listing { source: source("clerk"), ..listing.clone() }).await.unwrap();
            store.users().list(&Listing { source: source("clerk"), after: None, ..listing }).await.unwrap();
        }
        "list by small source" => {
            store.users().list(&Listing { source: source("small"), ..listing.clone() }).await.unwrap();
            store.users().list(&Listing { source: source("small"), after: None, ..listing }).await.unwrap();
        }
        "list by external id" => {
            let listing = Listing { external_id: Some(external_id(70_000)), after: None, ..listing };
            store.users().list(&listing).await.unwrap();
            store.users().list(&Listing { source: source("clerk"), ..listing }).await.unwrap();
        }
        "list by email" | "list by email and source" => {
            let source = name.ends_with("source").then(|| "clerk".to_owned());
            let email = Some("ada70000@example.com".to_owned());
            store.users().list(&Listing { email, source, after: None, ..listing }).await.unwrap();
        }
        "read the journal" => {
            for source in [None, source("clerk")] {
                read(store, Which { source, ..Which::default() }).await;
            }
        }
        "read the journal since" => {
            read(store, Which { since: Some(received_at(50_000)), ..Which::default() }).await;
        }
        "read parked deliveries" => {
            read(store, Which { parked: true, ..Which::default() }).await;
            read(store, Which { parked: true, source: source("clerk"), ..Which::default() }).await;
            store.journal().parked().await.unwrap();
        }
        "read newest deliveries" => {
            for source in ["clerk", "small"] {
                store.journal().newest_times(source, received_at(0), PAGE).await.unwrap();
                store.journal().newest_payloads(source, PAGE).await.unwrap();
            }
        }
        "read users of the journal" => {
            store.journal().users(None, PAGE).await.unwrap();
            let after = UserKey::new("clerk", external_id(50_000));
            store.journal().users(Some(&after), PAGE).await.unwrap();
        }
        "sweep" => {
            store.journal().erase_payloads_before(None, received_at(60_000), 50).await.unwrap();
            store
                .journal()
                .erase_payloads_before(Some(received_at(50_000)), received_at(60_000), 50)
                .await
                .unwrap();
        }
        "dispatch" => dispatch(store).await,
        "read the log of events" => {
            let after = store.outbox().end().await.unwrap() - 50;
            store.outbox().page(after, &EventFilter::default(), PAGE).await.unwrap();
            let clerk = EventFilter { source: source("clerk"), ..EventFilter::default() };
            store.outbox().page(after, &clerk, PAGE).await.unwrap();
            store.outbox().has_kept(after, received_at(0)).await.unwrap();
        }
        "list deliveries" => {
            let (journal, all) = (store.journal(), ListFilter::default());
            for before in [None, Some(&position(70_000))] {
                journal.listed(&all, before, PAGE).await.unwrap();
            }
            journal.outcomes_since(received_at(99_900), PAGE).await.unwrap();
            journal.parked_causes(PAGE).await.unwrap();
        }
        "list deliveries of a user" => {
            let (journal, user) = (store.journal(), UserKey::new("clerk", external_id(70_000)));
            for source in [None, Some("clerk")] {
                for before in [None, Some(&position(70_001))] {
                    journal.of_user(&user.external_id, source, before, PAGE).await.unwrap();
                }
            }
            journal.of_user_with_stamp(&user, received_at(1), PAGE).await.unwrap();
            journal.find(&position(70_000).key).await.unwrap();
            store.users().stored(&user).await.unwrap();
        }
        "list newest users" => {
            for before in [None, Some(id(50_000))] {
                store.users().newest(before, PAGE).await.unwrap();
            }
        }
        other => panic!("unknown work {other:?}"),
    }
}

/// What is known of users.
async fn load(store: &Store, keys: &BTreeSet<UserKey>) {
    let tx = store.begin().await.unwrap();
    let known = tx.load(keys).await.unwrap();
    tx.rows_out_of_sync(&known).await.unwrap();
    tx.history(keys).await.unwrap();
    tx.erase_payloads_of_ended_lifetimes(keys).await.unwrap();
    tx.erase_payloads(keys).await.unwrap();
    store.users().by_ids(&[id(7), id(50_000)]).await.unwrap();
}

/// Events that are claimed for an endpoint and recorded as sent, and one that has to wait.
async fn dispatch(store: &Store) {
    let (now, name) = (received_at(1_000_000), "app");
    let until = now.plus(std::time::Duration::from_secs(30));
    let claimant = Claimant { endpoint: name, holder: "this process" };
    store.endpoints().has_work(name, now).await.unwrap();
    let tx = store.begin().await.unwrap();
    let mut endpoint = tx.lock_endpoint(name, now).await.unwrap();
    tx.expire(&mut endpoint, received_at(0), uuid::Uuid::nil, now).await.unwrap();
    let wanted = Wanted { kinds: vec![EventKind::Created], sources: Vec::new() };
    tx.fan_out(&mut endpoint, &wanted, now).await.unwrap();
    let due = tx.due(name, now, Order::Sequence, 32).await.unwrap();
    let users: BTreeSet<UserKey> =
        due.iter().filter_map(|it| Some(it.message.event()?.event.user.clone())).collect();
    tx.pending_of(name, &users).await.unwrap();
    let mut sequences: Vec<i64> = due.iter().map(|it| it.message.sequence()).collect();
    tx.claim_unchanged(claimant, sequences.clone(), until).await.unwrap();
    tx.claim(claimant, &due.iter().take(1).collect::<Vec<_>>(), until).await.unwrap();
    tx.postpone(claimant, sequences.pop().unwrap_or_default(), until).await.unwrap();
    tx.drop_pending(name, sequences.pop().into_iter().collect()).await.unwrap();
    tx.delete_sent(claimant, sequences).await.unwrap();
    tx.save_endpoint(&endpoint).await.unwrap();
    tx.commit().await.unwrap();
}

/// The first page, and one from the middle.
async fn read(store: &Store, which: Which) {
    for after in [None, Some(&position(70_000))] {
        store.journal().page(&which, after, PAGE).await.unwrap();
        store.journal().positions(&which, after, PAGE).await.unwrap();
    }
}

/// Deliveries of one new user, and the same ones again from the journal.
async fn deliver(store: &Store) {
    let clerk = Source {
        name: "clerk".to_owned(),
        provider: providers::CLERK,
        webhook_secrets: vec![secrecy::SecretString::from(SECRET)],
        bearer_tokens: Vec::new(),
        tokens: Vec::new(),
        map: None,
        api: None,
        list: None,
    };
    let sources = Arc::new(Sources::new(&[clerk]).unwrap());
    // Later than everything else in the journal.
    let clock = Clock::fixed(Timestamp::parse("2026-01-04T12:00:00Z").unwrap());
    let since = Some(clock.now());
    let replay = Replay::new(Arc::clone(&sources), store.clone(), clock.clone(), false);
    let user = format!("user_{}", clock.fresh_id());
    for body in [CREATED, UPDATED, DELETED, UPDATED] {
        let body = body.replace(ADA, &user).into_bytes();
        replay.event(sources.get("clerk").unwrap(), body).await.unwrap();
    }
    replay.journal(&Which { since, ..Which::default() }, |_| ()).await.unwrap();
}

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
