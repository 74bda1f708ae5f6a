//! Users between transactions and replicas: locks, and PostgreSQL's NOTIFY, which only wakes; who is woken
//! reads again.

use std::collections::BTreeSet;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use super::{Store, StoreError, Tx};
use crate::domain::UserKey;

const CHANNEL: &str = "usersync_users";
/// Fingerprints in one notification: PostgreSQL takes less than 8000 bytes, and each has up to 20
/// digits and a comma.
const PORTION: usize = 350;

/// A connection that hears of changes by every replica.
#[derive(Debug)]
pub struct Listener(PgListener);

/// What a listener heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// These users changed; by their fingerprints.
    Changed(Vec<i64>),
    /// The connection was lost and is there again: anything may have changed.
    Gap,
}

impl Store {
    /// Begins to listen; `None` on SQLite, where one process has the database.
    pub async fn listen(&self) -> Result<Option<Listener>, StoreError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let pool = self.batches.get_postgres_connection_pool();
        let mut listener = PgListener::connect_with(pool).await.map_err(away)?;
        listener.listen(CHANNEL).await.map_err(away)?;
        Ok(Some(Listener(listener)))
    }
}

impl Listener {
    /// Waits for the next change, this replica's own among them: of a commit whose answer was lost nothing else tells.
    pub async fn next(&mut self) -> Result<Heard, StoreError> {
        let Some(notification) = self.0.try_recv().await.map_err(away)? else { return Ok(Heard::Gap) };
        let numbers = notification.payload().split(',');
        Ok(Heard::Changed(numbers.filter_map(|number| number.parse().ok()).collect()))
    }
}

impl Tx {
    /// Keeps every other transaction from changing these users until this one ends; once it is committed, every replica is
    /// told.
    ///
    /// A user without a row is locked as well. All replicas take the locks in one order, so they never wait
    /// for each other in a ring. Locks and notification are one statement, for each is a way to the database; who
    /// turns out to be unchanged is told of for nothing. SQLite has one writer, in one process.
    pub async fn lock(&self, users: &BTreeSet<UserKey>) -> Result<(), StoreError> {
        if self.inner.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let fingerprints: BTreeSet<i64> = users.iter().map(UserKey::fingerprint).collect();
        let fingerprints: Vec<String> = fingerprints.iter().map(i64::to_string).collect();
        for portion in fingerprints.chunks(PORTION) {
            // The locks are taken in the order of the list: a function of the select list runs as its row is read.
            let sql = format!(
                "SELECT count(pg_advisory_xact_lock(CAST(fingerprint AS bigint))), pg_notify('{CHANNEL}', $1) \
                 FROM unnest(string_to_array($1, ',')) AS fingerprint"
            );
            let statement =
                Statement::from_sql_and_values(DbBackend::Postgres, sql, [portion.join(",").into()]);
            self.inner.execute_raw(statement).await?;
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn away(error: sea_orm::sqlx::Error) -> StoreError {
    StoreError::Unavailable(DbErr::Custom(error.to_string()))
}
