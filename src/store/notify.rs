//! Users between transactions and replicas: locks, and PostgreSQL's NOTIFY, which only wakes; who is woken
//! reads again.

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, Executor as _};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::{ACQUIRE_TIMEOUT, Store, StoreError, Tx};
use crate::domain::UserKey;

const CHANNEL: &str = "usersync_users";
/// Fingerprints in one notification: PostgreSQL takes less than 8000 bytes, and each has up to 20
/// digits and a comma.
const PORTION: usize = 350;

/// After so long in which nothing was heard it is looked whether the connection is still there: one that a firewall
/// has forgotten ends without a word.
const QUIET: Duration = Duration::from_secs(5);
/// How long the server may take to say that it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a row is waited for that somebody else than usersync holds; until then nobody's deliveries are written.
const LONGEST_HOLD: &str = "1s";

/// A connection that hears of changes by every replica.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Store {
    /// Begins to listen; `None` on SQLite, where one process has the database.
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        // Of its own, so that one that hangs takes no place from others.
        let options = self.db.get_postgres_connection_pool().connect_options();
        let alone = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        let alone = alone.max_lifetime(None).idle_timeout(None).connect_lazy_with((*options).clone());
        let mut listener = PgListener::connect_with(&alone).await.map_err(away)?;
        // It would come again by itself, and nobody would know what was missed.
        listener.eager_reconnect(false);
        in_time(listener.listen(CHANNEL)).await?;
        Ok(Some(Listener(listener)))
    }
}

impl Listener {
    /// Waits for the next change, this replica's own among them: of a commit whose answer was lost nothing else tells.
    /// The users are told by their fingerprints. Once it fails, anything may have been missed.
    pub async fn next(&mut self) -> Result<Vec<i64>, StoreError> {
        loop {
            let Ok(heard) = tokio::time::timeout(QUIET, self.0.try_recv()).await else {
                in_time(self.0.execute("SELECT 1")).await?;
                continue;
            };
            let lost = || StoreError::away("the connection that listens was lost");
            let notification = heard.map_err(away)?.ok_or_else(lost)?;
            let numbers = notification.payload().split(',');
            return Ok(numbers.filter_map(|number| number.parse().ok()).collect());
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    let late = |_| StoreError::away("the connection that listens does not answer");
    tokio::time::timeout(PATIENCE, answer).await.map_err(late)?.map_err(away)
}

impl Tx {
    /// Keeps every other transaction from changing these users until this one ends; once it is committed, every replica is
    /// told.
    ///
    /// A user without a row is locked as well. All replicas take the locks in one order, so they never wait
    /// for each other in a ring. Locks and notification are one statement, for each is a way to the database; who
    /// turns out to be unchanged is told of for nothing. From then on no lock is waited for long. SQLite has one writer, in
    /// one process.
    pub async fn lock(&self, users: &BTreeSet<UserKey>) -> Result<(), StoreError> {
        if self.inner.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let fingerprints: BTreeSet<i64> = users.iter().map(UserKey::fingerprint).collect();
        let fingerprints: Vec<String> = fingerprints.iter().map(i64::to_string).collect();
        for portion in fingerprints.chunks(PORTION) {
            // The locks are taken in the order of the list: a function of the select list runs as its row is read.
            let sql = format!(
                "SELECT count(pg_advisory_xact_lock(CAST(fingerprint AS bigint))), pg_notify('{CHANNEL}', $1), \
                 set_config('lock_timeout', '{LONGEST_HOLD}', true) FROM unnest(string_to_array($1, ',')) AS fingerprint"
            );
            let statement =
                Statement::from_sql_and_values(DbBackend::Postgres, sql, [portion.join(",").into()]);
            self.inner.execute_raw(statement).await?;
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn away(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(DbErr::Custom(error.to_string()))
}
