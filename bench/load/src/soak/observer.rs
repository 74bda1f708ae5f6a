//! Watches the replicas: memory and open files every few seconds, a line of progress each minute.
#![expect(clippy::print_stderr, reason = "it reports progress")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use tokio::time::{interval, timeout};

use super::feed::Feed;
use super::ground::Ground;
use crate::machine::Memory;

const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_mins(1);
/// The database may be away.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a process used at some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) replica: usize,
    /// Which process of the replica.
    pub(super) start: u32,
    pub(super) age: Duration,
    /// In bytes.
    pub(super) resident: u64,
    /// Open files without those of SQLite's database: its connections stay open for ten minutes.
    pub(super) descriptors: usize,
    /// Open files of SQLite's database.
    pub(super) database_files: usize,
}

/// A connection of the soak's own.
pub(super) async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false).connect_timeout(QUERY_TIMEOUT);
    sea_orm::Database::connect(options).await.context("the database does not answer")
}

/// The name of a table in SQL.
pub(super) fn table(database: &DatabaseConnection, name: &str) -> String {
    let schema = if database.get_database_backend() == DbBackend::Postgres { "usersync." } else { "" };
    format!("{schema}{name}")
}

pub(super) async fn number(database: &DatabaseConnection, sql: String) -> anyhow::Result<i64> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await?.context("the database does not answer")?;
    Ok(row.try_get_by_index(0)?)
}

/// How many events the reader of the feed, and the app, still have to get.
pub(super) async fn lag(ground: &Ground, feed: &Feed) -> anyhow::Result<(i64, i64)> {
    let read = async {
        let database = connect(&ground.database_url).await?;
        let behind =
            format!("SELECT count(*) FROM {} WHERE sequence > {}", table(&database, "outbox"), feed.cursor());
        let behind = number(&database, behind).await?;
        let waiting = format!(
            "SELECT (SELECT count(*) FROM {}) + (SELECT count(*) FROM {} WHERE sequence > (SELECT position FROM {}))",
            table(&database, "endpoint_events"),
            table(&database, "outbox"),
            table(&database, "endpoints"),
        );
        let waiting = number(&database, waiting).await?;
        database.close().await?;
        Ok((behind, waiting))
    };
    timeout(QUERY_TIMEOUT, read).await?
}

pub(super) fn sample(replica: usize, start: u32, id: u32, age: Duration) -> Option<Sample> {
    let resident = Memory::of(id)?.now;
    let open = fs::read_dir(format!("/proc/{id}/fd")).ok()?.flatten();
    let files: Vec<PathBuf> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    let is_of_database = |file: &&PathBuf| file.to_string_lossy().contains("/usersync.db");
    let database_files = files.iter().filter(is_of_database).count();
    Some(Sample { replica, start, age, resident, descriptors: files.len() - database_files, database_files })
}

/// Watches until it is dropped.
pub(super) async fn watch(
    ground: Arc<Ground>,
    feed: Feed,
    began: Instant,
    samples: Arc<std::sync::Mutex<Vec<Sample>>>,
) {
    let mut ticks = interval(SAMPLE_EVERY);
    let mut told = Instant::now();
    let mut last = Vec::new();
    loop {
        ticks.tick().await;
        for (index, replica) in ground.replicas.iter().enumerate() {
            // If it is taken, it is just being stopped or started.
            let Ok(mut replica) = replica.try_lock() else { continue };
            if let Ok(Some(status)) = replica.ended() {
                ground.ledger.violation(format!("replica {index} ended by itself with {status}"));
                let started = replica.start(&ground.configuration(index)).await;
                if let Err(error) = started {
                    ground.ledger.violation(format!("{error:#}"));
                }
            }
            let (Some(id), Some(age)) = (replica.id(), replica.age()) else { continue };
            if let Some(sample) = sample(index, replica.starts, id, age) {
                last.retain(|earlier: &Sample| earlier.replica != index);
                last.push(sample);
                samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(sample);
            }
        }
        for violation in ground.app.take_violations() {
            ground.ledger.violation(violation);
        }
        if told.elapsed() >= TELL_EVERY {
            told += TELL_EVERY;
            tell(&ground, &feed, began, &last).await;
        }
    }
}

async fn tell(ground: &Ground, feed: &Feed, began: Instant, last: &[Sample]) {
    let lag = match lag(ground, feed).await {
        Ok((feed, app)) => format!("feed {feed} and app {app} events behind"),
        Err(_) => "the database does not answer".to_owned(),
    };
    let processes: Vec<String> = last
        .iter()
        .map(|sample| {
            let Sample { replica, resident, descriptors, database_files, .. } = sample;
            let descriptors = descriptors + database_files;
            format!("replica {replica}: {} MiB, {descriptors} descriptors", resident >> 20)
        })
        .collect();
    let (counts, violated) = {
        let book = ground.ledger.open();
        (book.counts.clone(), book.violated)
    };
    let refused: Vec<String> =
        counts.refused.iter().map(|((what, status), count)| format!("{what} {status}: {count}")).collect();
    eprintln!(
        "{:>4} min  {} acknowledged; {}; unanswered {}; {}; {lag}; {violated} violations",
        began.elapsed().as_secs() / 60,
        counts.deliveries(),
        refused.join(", "),
        counts.unanswered.values().sum::<u64>(),
        processes.join("; "),
    );
}
