//! The check at the end: nothing acknowledged is lost, rows are what the rule makes of what is journaled, and both
//! copies that were kept by events equal the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, prelude::DateTimeUtc};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::feed::{Feed, Rows};
use super::ground::{Ground, lasting_addresses};
use super::history::{Kind, Message, user_id};
use super::http::ask;
use super::observer::{connect, lag, number, table};
use super::random::Random;
use super::replica::Replica;
use super::webhooks::signed;
use crate::call::Call;

const TIMEOUT: Duration = Duration::from_secs(20);
/// How many deliveries are under way while all are sent again.
const AT_ONCE: usize = 32;
/// How long events may take until all have arrived.
const EVENTS_TIMEOUT: Duration = Duration::from_mins(3);
/// How many of the differences are shown.
const SHOWN: usize = 5;

/// What was compared.
#[derive(Debug, Default)]
pub(super) struct Audited {
    pub(super) journaled: usize,
    pub(super) rows: usize,
    pub(super) tombstones: usize,
    pub(super) parked: usize,
}

/// Rows and tombstones as they are stored.
#[derive(Debug, Default, PartialEq)]
struct Stored {
    /// By the user's id at the provider, the value and the stamp of every field.
    records: BTreeMap<String, String>,
    tombstones: BTreeMap<String, DateTimeUtc>,
}

/// Waits until the feed and the app have all events. Pauses before further attempts, minutes or hours long, are cut
/// short.
pub(super) async fn wait_for_events(ground: &Ground, feed: &Feed) -> anyhow::Result<()> {
    let started = Instant::now();
    let database = connect(&ground.database_url).await?;
    let hurry = [
        format!("UPDATE {} SET next_at = at", table(&database, "endpoint_events")),
        format!("UPDATE {} SET resume_at = NULL", table(&database, "endpoints")),
    ];
    loop {
        for sql in &hurry {
            // The service writes the same rows in another order: a statement that meets a deadlock is tried again.
            if let Err(error) = database.execute_unprepared(sql).await
                && !error.to_string().contains("deadlock")
            {
                return Err(error.into());
            }
        }
        let (behind, waiting) = lag(ground, feed).await?;
        if behind == 0 && waiting == 0 {
            return Ok(database.close().await?);
        }
        if started.elapsed() > EVENTS_TIMEOUT {
            let what = format!(
                "the feed is {behind} events behind and the app {waiting}, {EVENTS_TIMEOUT:?} after the end"
            );
            ground.ledger.violation(what);
            return Ok(database.close().await?);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

pub(super) async fn audit(
    ground: &Arc<Ground>,
    feed: &Feed,
    executable: &Path,
    directory: &Path,
    seed: u64,
) -> anyhow::Result<Audited> {
    let database = connect(&ground.database_url).await?;
    let journaled = check_journal(ground, &database).await?;
    let stored = stored(&database).await?;
    let parked = format!("SELECT count(*) FROM {} WHERE outcome = 'parked'", table(&database, "journal"));
    let parked = usize::try_from(number(&database, parked).await?)?;
    database.close().await?;
    let shown = list_users(ground.addresses[0], &ground.service_key).await?;

    compare(ground, "the copy kept by the feed", &by_events(&feed.rows()), &by_events(&shown));
    compare(ground, "the app's copy", &by_events(&ground.app.rows()), &by_events(&shown));
    check_deleted(ground, &stored);
    let audited = Audited {
        journaled: journaled.len(),
        rows: stored.records.len(),
        tombstones: stored.tombstones.len(),
        parked,
    };
    let (expected, expected_rows) = replay(ground, journaled, executable, directory, seed).await?;
    compare(ground, "the rows' records", &stored.records, &expected.records);
    compare(ground, "the tombstones", &stored.tombstones, &expected.tombstones);
    compare(ground, "the rows in the API", &by_users(&shown), &by_users(&expected_rows));
    Ok(audited)
}

/// Every acknowledged delivery is journaled, once, with the outcome of its answer. Returns what is journaled.
async fn check_journal(ground: &Ground, database: &DatabaseConnection) -> anyhow::Result<Vec<Message>> {
    let sql = format!("SELECT message_id, outcome FROM {}", table(database, "journal"));
    let rows = database.query_all_raw(Statement::from_string(database.get_database_backend(), sql)).await?;
    let mut found: BTreeMap<u32, String> = BTreeMap::new();
    let mut book = ground.ledger.open();
    for row in rows {
        let (id, outcome): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        match Message::number_of(&id).filter(|number| (*number as usize) < book.sent.len()) {
            None => book.violation(format!("{id} is journaled and was never sent")),
            Some(number) => {
                if found.insert(number, outcome).is_some() {
                    book.violation(format!("{id} is journaled twice"));
                }
            }
        }
    }
    let mut violations = Vec::new();
    let mut journaled = Vec::new();
    for sent in &book.sent {
        let (id, kind) = (sent.message.id(), sent.message.kind);
        let outcome = found.get(&sent.message.number).map(String::as_str);
        if outcome.is_some() {
            journaled.push(sent.message);
        }
        if kind == Kind::Session {
            if outcome.is_some() {
                violations.push(format!("{id} is not about users, and is journaled"));
            }
        } else if sent.acknowledged && outcome.is_none() {
            violations.push(format!("{id} was acknowledged, and is not there"));
        } else if sent.outcome.is_some() && outcome != sent.outcome {
            violations.push(format!("{id} was answered {:?}, and is journaled as {outcome:?}", sent.outcome));
        }
        if (outcome == Some("parked")) != (kind == Kind::Unreadable && outcome.is_some()) {
            violations.push(format!("{id}, {kind:?}, is journaled as {outcome:?}"));
        }
    }
    for violation in violations {
        book.violation(violation);
    }
    Ok(journaled)
}

/// An acknowledged deletion has a tombstone and no row.
fn check_deleted(ground: &Ground, stored: &Stored) {
    let mut book = ground.ledger.open();
    let deletions = book.sent.iter().filter(|sent| sent.acknowledged && sent.message.kind == Kind::Deleted);
    let deleted: BTreeSet<String> = deletions.map(|sent| user_id(sent.message.user)).collect();
    for id in deleted {
        if stored.records.contains_key(&id) || !stored.tombstones.contains_key(&id) {
            book.violation(format!("the deletion of {id} was acknowledged, and is not there"));
        }
    }
}

async fn stored(database: &DatabaseConnection) -> anyhow::Result<Stored> {
    let backend = database.get_database_backend();
    let mut stored = Stored::default();
    let sql = format!("SELECT external_id, record FROM {}", table(database, "users"));
    for row in database.query_all_raw(Statement::from_string(backend, sql)).await? {
        stored.records.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    }
    let sql = format!("SELECT external_id, deleted_at FROM {}", table(database, "tombstones"));
    for row in database.query_all_raw(Statement::from_string(backend, sql)).await? {
        stored.tombstones.insert(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    }
    Ok(stored)
}

/// Sends all of this in random order to a new service on an empty SQLite database; returns its rows.
async fn replay(
    ground: &Arc<Ground>,
    mut messages: Vec<Message>,
    executable: &Path,
    directory: &Path,
    seed: u64,
) -> anyhow::Result<(Stored, Rows)> {
    let mut random = Random::new(seed.wrapping_add(3));
    random.shuffle(&mut messages);
    let address = *lasting_addresses(&mut random, 1).first().context("there is no free port")?;
    let url = format!("sqlite://{}/usersync.db?mode=rwc", directory.display());
    let configuration = ground.configuration_of_another(address, &url);
    let mut other = Replica::new(executable.to_owned(), directory.to_owned(), address, None)?;
    let key = format!("Bearer {}", other.run(&configuration, &["keys", "create", "audit"])?);
    other.start(&configuration).await?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for message in messages {
        let (ground, place) = (Arc::clone(ground), Arc::clone(&places).acquire_owned().await?);
        under_way.spawn(async move {
            let answer = ask(address, &signed(&ground, &message, 0)?.request, TIMEOUT).await?;
            drop(place);
            if answer.status != 200 {
                bail!("{} was answered {answer:?} in the comparison", message.id());
            }
            Ok(())
        });
        while let Some(done) = under_way.try_join_next() {
            done??;
        }
    }
    while let Some(done) = under_way.join_next().await {
        done??;
    }
    let rows = list_users(address, &key).await?;
    other.stop().await?;
    let database = connect(&url).await?;
    let stored = stored(&database).await?;
    database.close().await?;
    Ok((stored, rows))
}

/// All rows by their ids, page by page.
async fn list_users(address: std::net::SocketAddr, key: &str) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    let mut cursor = String::new();
    loop {
        let call = Call::get("localhost", &format!("/v1/users?limit=200{cursor}"), &[("authorization", key)]);
        let answer = ask(address, &call.request, TIMEOUT).await?;
        let page = answer.json().with_context(|| format!("{answer:?}"))?;
        for user in page["users"].as_array().with_context(|| format!("{answer:?}"))? {
            rows.insert(user["id"].as_str().context("a user without an id")?.to_owned(), user.clone());
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(rows),
        }
    }
}

/// As far as events describe rows: a change of these two alone makes no event.
fn by_events(rows: &Rows) -> Rows {
    let without = |(id, row): (&String, &Value)| (id.clone(), without(row, &["updatedAt", "syncedAt"]));
    rows.iter().map(without).collect()
}

/// As far as two databases may agree, by the users' ids at the provider.
fn by_users(rows: &Rows) -> Rows {
    let external_id = |row: &Value| row["externalId"].as_str().unwrap_or_default().to_owned();
    rows.values().map(|row| (external_id(row), without(row, &["id", "syncedAt"]))).collect()
}

fn without(row: &Value, names: &[&str]) -> Value {
    let mut row = row.clone();
    if let Some(fields) = row.as_object_mut() {
        for name in names {
            fields.remove(*name);
        }
    }
    row
}

fn compare<T: PartialEq + std::fmt::Debug>(
    ground: &Ground,
    what: &str,
    found: &BTreeMap<String, T>,
    expected: &BTreeMap<String, T>,
) {
    let keys: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differences: Vec<&String> =
        keys.into_iter().filter(|key| found.get(*key) != expected.get(*key)).collect();
    for key in differences.iter().take(SHOWN) {
        let (found, expected) = (found.get(*key), expected.get(*key));
        ground.ledger.violation(format!("{what} of {key}: {found:?}, expected {expected:?}"));
    }
    if differences.len() > SHOWN {
        ground.ledger.violation(format!("{what}: {} differences", differences.len()));
    }
}
