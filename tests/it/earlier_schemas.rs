//! Rows that the programs of earlier schemas wrote: the migrations keep them, and the service works with them.

use std::collections::BTreeMap;

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use secrecy::SecretString;
use serde_json::{Value, json};
use usersync::internals::config::{Config, Database as Settings, Endpoint, Events};
use usersync::internals::domain::{EventKind, Outcome, Scope};
use usersync::internals::store::{Store, Which};

use crate::console::with_console;
use crate::support::app::{SECRET, TestApp};
use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::{
    ADA, CREATED, CREATED_GOOGLE, CREATED_PHONE_ONLY, DELETED, GRACE, UPDATED,
};
use crate::support::console::Visitor;
use crate::support::receiver::{Received, Receiver, Reply};

const ROWS: &str = include_str!("../fixtures/schemas/rows.sql");
/// The service key in `ROWS`, and the id of the session there.
const KEY: &str = "usk_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SESSION: &str = "session_of_an_earlier_version";
const MIGRATIONS: &str = "seaql_migrations";
/// The first versions with these.
const WITH_EVENT_TIMES: usize = 3;
const WITH_RUNS: usize = 3;
const WITH_WATCHES: usize = 5;
const WITH_EVENTS: usize = 6;
const WITH_CONSOLE: usize = 7;

fn versions() -> std::ops::RangeInclusive<usize> {
    1..=Migrator::migrations().len()
}

/// The statements of a version; `begun` is when its unfinished run began.
fn rows_of(version: usize, begun: &str, size: usize) -> String {
    let mut is_wanted = false;
    let mut statements = String::new();
    for line in ROWS.lines() {
        let range = line.strip_prefix("-- ").and_then(|range| range.split_once('-'));
        match range.map(|(first, last)| (first.parse::<usize>(), last)) {
            Some((Ok(first), "")) => is_wanted = first <= version,
            Some((Ok(first), last)) => is_wanted = (first..=last.parse().unwrap()).contains(&version),
            _ if is_wanted => statements.extend([line, "\n"]),
            _ => {}
        }
    }
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    statements
        .replace("{created}", &quoted(CREATED))
        .replace("{phone}", &quoted(CREATED_PHONE_ONLY))
        .replace("{begun}", &quoted(begun))
        .replace("{size}", &size.to_string())
}

type Columns = BTreeMap<String, Vec<String>>;

async fn query(database: &DatabaseConnection, sql: &str) -> Vec<sea_orm::QueryResult> {
    database.query_all_raw(Statement::from_string(database.get_database_backend(), sql)).await.unwrap()
}

/// The columns of every table.
async fn columns(database: &DatabaseConnection) -> Columns {
    let sql = match database.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = 'usersync' ORDER BY ordinal_position"
        }
        _ => {
            "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY c.cid"
        }
    };
    let mut columns = Columns::new();
    for row in query(database, sql).await {
        let (table, column) = row.try_get_many_by_index::<(String, String)>().unwrap();
        columns.entry(table).or_default().push(column);
    }
    columns.remove(MIGRATIONS);
    columns
}

/// Every row, by table and with each value as text.
async fn content(database: &DatabaseConnection, columns: &Columns) -> Vec<(String, Vec<Option<String>>)> {
    let mut content = Vec::new();
    for (table, columns) in columns {
        let texts: Vec<String> = columns.iter().map(|column| format!("CAST({column} AS TEXT)")).collect();
        let sql = format!("SELECT {} FROM {table} ORDER BY 1, 2", texts.join(", "));
        for row in query(database, &sql).await {
            let values = (0..columns.len()).map(|index| row.try_get_by_index(index).unwrap()).collect();
            content.push((table.clone(), values));
        }
    }
    content
}

/// Makes the tables of an earlier version, and fills them as its program did.
async fn fill(database: &DatabaseConnection, version: usize, begun: &str, size: usize) {
    if database.get_database_backend() == DbBackend::Postgres {
        database.execute_unprepared("CREATE SCHEMA usersync").await.unwrap();
    }
    Migrator::up(database, Some(version.try_into().unwrap())).await.unwrap();
    database.execute_unprepared(&rows_of(version, begun, size)).await.unwrap();
}

/// The same, and then what a start of this program does: every row and every value is kept.
async fn migrate_from(url: &str, version: usize) {
    let database = Database::connect(url).await.unwrap();
    fill(&database, version, "2026-01-04T11:59:00+00:00", 1).await;
    let columns = columns(&database).await;
    let before = content(&database, &columns).await;
    for table in columns.keys() {
        assert!(before.iter().any(|(filled, _)| filled == table), "rows.sql has no row of {table}");
    }
    let store = Store::connect(&Settings::at(url)).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(content(&database, &columns).await, before, "from version {version}");
    database.close().await.unwrap();
}

/// The settings of a service that uses every table.
fn configure(config: &mut Config, hook: &Receiver) {
    with_console(config);
    config.events = Some(Events::default());
    config.endpoints = vec![Endpoint {
        name: "app".to_owned(),
        url: hook.url().parse().unwrap(),
        secrets: vec![SecretString::from(SECRET)],
        events: vec![EventKind::Created, EventKind::Updated, EventKind::Deleted],
        sources: Vec::new(),
    }];
}

/// Users, tombstones and service keys of the earlier version answer as before.
async fn they_are_found(app: &TestApp) -> Value {
    let found = app.client.get_as(KEY, &format!("/v1/users?externalId={ADA}")).await.json();
    let ada = found["users"][0].clone();
    assert_eq!((&ada["name"], &ada["email"]), (&json!("Ada Lovelace"), &json!("ada@example.com")), "{found}");
    assert_eq!(ada["id"], "019b7a00-0000-7000-8000-000000000002");
    let by_email = app.client.get_as(KEY, "/v1/users?email=ada@example.com").await.json();
    assert_eq!(by_email["users"][0]["id"], ada["id"]);
    let own = app.client.get_as(&app.token(ADA), "/v1/users/current").await;
    assert_eq!((own.status, &own.json()["id"]), (200, &ada["id"]));
    let claimed = app.client.get_as(&app.token("user_claimed"), "/v1/users/current").await;
    assert_eq!((claimed.status, &claimed.json()["email"]), (200, &json!("claimed@example.com")));
    let gone = app.client.get_as(&app.token(GRACE), "/v1/users/current").await;
    assert_eq!(gone.brief(), "410 user_deleted");
    ada
}

/// Deliveries, replays and rebuilds go on from the rows.
async fn they_are_continued(app: &TestApp, version: usize, ada: &Value) {
    let again = app.client.send(app.client.signed_as("msg_ada", CREATED)).await;
    assert_eq!(again.brief(), "200 duplicate");
    // The first records have no time of the event, which is added: nothing that can be seen changes.
    let outcome = if version < WITH_EVENT_TIMES { "200 applied" } else { "200 stale" };
    assert_eq!(app.client.deliver(CREATED).await, outcome);
    assert_eq!(app.client.deliver(CREATED_GOOGLE).await, "200 stale", "Grace stays deleted");

    let parked = Which { parked: true, ..Which::default() };
    let replayed = app.replay().journal(&parked, |_| ()).await.unwrap();
    assert_eq!(replayed.outcomes.get(Outcome::Applied.as_str()), Some(&1), "{replayed:?}");
    let without_time = |mut rows: Vec<Value>| {
        for row in &mut rows {
            row["syncedAt"] = Value::Null;
        }
        rows
    };
    let before = without_time(app.client.rows().await);
    assert_eq!(before.len(), 3);
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!((rebuilt.same + rebuilt.corrected, rebuilt.incomplete), (3, 0), "{rebuilt:?}");
    assert_eq!(without_time(app.client.rows().await), before);
    assert_eq!(app.replay().rebuild(|_| ()).await.unwrap().corrected, 0, "a second time");

    assert_eq!(app.client.deliver(UPDATED).await, "200 applied");
    let found = app.client.get_as(KEY, &format!("/v1/users?externalId={ADA}")).await.json();
    assert_eq!((&found["users"][0]["name"], &found["users"][0]["id"]), (&json!("Ada King"), &ada["id"]));
}

async fn runs_and_watches_are_told(app: &TestApp, version: usize) {
    let admin = if version < WITH_WATCHES {
        app.service_key_with([Scope::Admin].into_iter().collect()).await
    } else {
        KEY.to_owned()
    };
    let sources = app.client.get_as(&admin, "/v1/sources").await.json();
    let source = &sources[0];
    if version >= WITH_RUNS {
        assert_eq!(
            (&source["lastRun"]["kind"], &source["lastRun"]["state"]),
            (&json!("backfill"), &json!("unfinished")),
            "{source}"
        );
    }
    if version >= WITH_WATCHES {
        assert_eq!(source["lastRefusedAt"], "2026-01-02T12:00:00Z", "{source}");
    }
}

async fn events_are_sent(app: &TestApp, version: usize, hook: &Receiver) {
    // What waited for the app comes first, then what has happened since.
    let waiting = if version >= WITH_EVENTS { vec![format!("user.deleted {GRACE}")] } else { Vec::new() };
    let expected = waiting.len() + 2;
    let received = hook.count(expected).await;
    let briefs: Vec<String> = received.iter().map(Received::brief).collect();
    assert!(waiting.iter().all(|one| briefs.contains(one)), "{briefs:?}");
    assert!(briefs.contains(&format!("user.updated {ADA}")), "{briefs:?}");
    let key = app.service_key_with([Scope::EventsRead].into_iter().collect()).await;
    let page = app.client.get_as(&key, "/v1/events?after=0").await.json();
    let events: Vec<&Value> = page["events"].as_array().unwrap().iter().collect();
    let of_ada = events.iter().find(|event| event["data"]["externalId"] == ADA).unwrap();
    // A user whose first event is in the log is a created one.
    let kind = if version >= WITH_EVENTS { "user.created" } else { "user.updated" };
    assert_eq!(of_ada["type"], kind, "{page}");
}

async fn the_console_knows_its_session(app: &TestApp) {
    let visitor = Visitor::new(app.console_url());
    visitor.set_cookie(&format!("usersync_admin={SESSION}"));
    let audit = visitor.page("/audit").await;
    assert!(audit.contains("reports (usk_01234567"), "{audit}");
}

async fn check(app: TestApp, version: usize, hook: &Receiver) {
    let ada = they_are_found(&app).await;
    they_are_continued(&app, version, &ada).await;
    runs_and_watches_are_told(&app, version).await;
    events_are_sent(&app, version, hook).await;
    if version >= WITH_CONSOLE {
        the_console_knows_its_session(&app).await;
    }
    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    app.finish().await;
}

#[tokio::test]
async fn every_earlier_schema_with_rows_is_migrated_and_used_on_sqlite() {
    for version in versions() {
        let hook = Receiver::start(Reply::Status(200, "")).await;
        let prepare = async |url: String| migrate_from(&url, version).await;
        let app = TestApp::on_prepared_sqlite(prepare, |config| configure(config, &hook)).await;
        check(app, version, &hook).await;
    }
}

#[tokio::test]
async fn every_earlier_schema_with_rows_is_migrated_and_used_on_postgres() {
    for version in versions() {
        let hook = Receiver::start(Reply::Status(200, "")).await;
        let prepare = async |url: String| migrate_from(&url, version).await;
        let app = TestApp::on_prepared_postgres(prepare, |config| configure(config, &hook)).await;
        let Some(app) = app else { return };
        check(app, version, &hook).await;
    }
}

async fn an_unfinished_run_of_the_first_version_with_runs_is_continued(home: &mut ProgramFixture) {
    let user = |id: &str| json!({"id": id, "updated_at": 1_767_268_800_000_u64, "created_at": 1_767_268_800_000_u64});
    let users = json!([user(ADA), user("user_second")]).to_string();
    home.write("users.json", &users);
    if !home.has("usersync.db") {
        home.write("usersync.db", "");
    }
    let database = home.database().await;
    let begun = chrono::Utc::now().to_rfc3339();
    fill(&database, WITH_RUNS, &begun, users.len()).await;
    database.close().await.unwrap();
    let said = home.run(&["backfill", "clerk", "--file", "users.json", "--json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("continuing after 1 users"), "{said:?}");
    let summary: Value = serde_json::from_str(said.stdout.trim()).unwrap();
    assert_eq!((&summary["seen"], &summary["applied"]), (&json!(2), &json!(1)), "{summary}");
}

on_both_databases!(an_unfinished_run_of_the_first_version_with_runs_is_continued, with ProgramFixture);
