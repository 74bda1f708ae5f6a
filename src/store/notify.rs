//! Coordinates transactions and replicas: advisory locks, and PostgreSQL's NOTIFY. A notification carries no data: its
//! receiver reads the row again.

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, Executor as _, PgPool, Row as _};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::{ACQUIRE_TIMEOUT, Store, StoreError, Tx};
use crate::domain::UserKey;

const CHANNEL: &str = "usersync_users";
/// Fingerprints in one notification: its payload must be shorter than 8000 bytes, and each takes up to 20
/// digits and a comma.
const FINGERPRINTS_PER_NOTIFICATION: usize = 350;

/// After so long without a notification the connection is tested: one that a firewall has dropped ends without an
/// error.
const TEST_AFTER: Duration = Duration::from_secs(5);
/// How long the server may take to answer the listening connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest wait for a row that another program has locked. No delivery is written meanwhile.
const LOCK_TIMEOUT: &str = "1s";

/// A connection that is notified of changes by every replica.
#[derive(Debug)]
pub struct Listener {
    connection: PgListener,
    pool: PgPool,
}

impl Store {
    /// Starts to listen; `None` on SQLite, where one process has the database, and where a pooler would give the
    /// notifications to another client.
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        let listens_at = self.postgres.as_ref().and_then(|postgres| postgres.listens_at.clone());
        let Some(options) = listens_at else { return Ok(None) };
        // A pool of its own: a connection that hangs takes no place from others.
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pool.max_lifetime(None).idle_timeout(None).connect_lazy_with(options);
        let mut connection = PgListener::connect_with(&pool).await.map_err(unavailable)?;
        // It would reconnect automatically, and missed notifications would not be detected.
        connection.eager_reconnect(false);
        in_time(connection.listen(CHANNEL)).await?;
        Ok(Some(Listener { connection, pool }))
    }
}

impl Listener {
    /// Closes the connection; one that does not answer is not waited for.
    pub async fn close(self) {
        let Self { connection, pool } = self;
        drop(connection);
        tokio::time::timeout(ANSWER_TIMEOUT, pool.close()).await.unwrap_or_default();
    }

    /// Whether the server is reachable, and still the primary.
    async fn check(&mut self) -> Result<(), StoreError> {
        let row = in_time(self.connection.fetch_one("SHOW transaction_read_only")).await?;
        match row.try_get::<&str, _>(0).map_err(unavailable)? {
            "on" => Err(StoreError::unavailable("the server of the listening connection is read-only")),
            _ => Ok(()),
        }
    }

    /// Waits for the next change and returns the users' fingerprints. Changes by this replica are among them: nothing
    /// else reports a commit whose answer was lost. After an error, notifications may have been missed.
    pub async fn next(&mut self) -> Result<Vec<i64>, StoreError> {
        loop {
            let Ok(received) = tokio::time::timeout(TEST_AFTER, self.connection.try_recv()).await else {
                self.check().await?;
                continue;
            };
            let lost = || StoreError::unavailable("the listening connection was lost");
            let notification = received.map_err(unavailable)?.ok_or_else(lost)?;
            let numbers = notification.payload().split(',');
            return Ok(numbers.filter_map(|number| number.parse().ok()).collect());
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    let late = |_| StoreError::unavailable("the listening connection does not answer");
    tokio::time::timeout(ANSWER_TIMEOUT, answer).await.map_err(late)?.map_err(unavailable)
}

impl Tx {
    /// Keeps every other transaction from changing these users until this one ends. With the commit, every replica is
    /// notified.
    ///
    /// A user without a row is locked as well. All replicas take the locks in the same order, so there is no deadlock.
    /// Locks and notification are one statement, which saves a round trip; replicas are notified of users that turn out
    /// to be unchanged, too. After this the transaction waits for no lock for long. SQLite has one writer, in one
    /// process.
    pub async fn lock(&self, users: &BTreeSet<UserKey>) -> Result<(), StoreError> {
        if self.inner.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let fingerprints: BTreeSet<i64> = users.iter().map(UserKey::fingerprint).collect();
        let fingerprints: Vec<String> = fingerprints.iter().map(i64::to_string).collect();
        for chunk in fingerprints.chunks(FINGERPRINTS_PER_NOTIFICATION) {
            // The locks are taken in the order of the list: a function of the select list runs as its row is read.
            let sql = format!(
                "SELECT count(pg_advisory_xact_lock(CAST(fingerprint AS bigint))), pg_notify('{CHANNEL}', $1), \
                 set_config('lock_timeout', '{LOCK_TIMEOUT}', true) FROM unnest(string_to_array($1, ',')) AS fingerprint"
            );
            let statement =
                Statement::from_sql_and_values(DbBackend::Postgres, sql, [chunk.join(",").into()]);
            self.inner.execute_raw(statement).await?;
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(DbErr::Custom(error.to_string()))
}
