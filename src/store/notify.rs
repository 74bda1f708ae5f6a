//! Telling other replicas that users changed: PostgreSQL's NOTIFY, which only wakes; who is woken reads
//! again.

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
        let pool = self.db.get_postgres_connection_pool();
        let mut listener = PgListener::connect_with(pool).await.map_err(away)?;
        listener.listen(CHANNEL).await.map_err(away)?;
        Ok(Some(Listener(listener)))
    }
}

impl Listener {
    /// Waits for the next change.
    pub async fn next(&mut self) -> Result<Heard, StoreError> {
        let Some(notification) = self.0.try_recv().await.map_err(away)? else { return Ok(Heard::Gap) };
        let numbers = notification.payload().split(',');
        Ok(Heard::Changed(numbers.filter_map(|number| number.parse().ok()).collect()))
    }
}

impl Tx {
    /// Wakes whoever waits for these users, once this transaction is committed.
    pub async fn notify(&self, users: &BTreeSet<UserKey>) -> Result<(), StoreError> {
        if self.tx.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let fingerprints: Vec<String> = users.iter().map(|user| user.fingerprint().to_string()).collect();
        for portion in fingerprints.chunks(PORTION) {
            let sql = format!("SELECT pg_notify('{CHANNEL}', $1)");
            let statement =
                Statement::from_sql_and_values(DbBackend::Postgres, sql, [portion.join(",").into()]);
            self.tx.execute_raw(statement).await?;
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn away(error: sea_orm::sqlx::Error) -> StoreError {
    StoreError::Unavailable(DbErr::Custom(error.to_string()))
}
