//! Old deliveries in the journal: copies of those that the service has written, with earlier times.

use anyhow::Context;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::deliveries::KNOWN_USERS;

/// The retention is 90 days unless set; copies are older by a day each.
const OLDER_THAN_DAYS: u32 = 100;

/// The table of one database.
pub(super) struct Journal(DatabaseConnection);

impl Journal {
    pub(super) async fn open(url: &str) -> anyhow::Result<Self> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        Ok(Self(sea_orm::Database::connect(options).await.context("the database cannot be opened")?))
    }

    /// Adds at least so many deliveries whose payloads are older than the retention, each of them at another time.
    pub(super) async fn add_old(&self, count: u32) -> anyhow::Result<()> {
        let copies = count.div_ceil(KNOWN_USERS);
        let oldest = OLDER_THAN_DAYS + copies;
        let (table, numbers, time) = match self.0.get_database_backend() {
            DbBackend::Postgres => (
                "usersync.journal",
                format!("generate_series({OLDER_THAN_DAYS}, {oldest}) AS number(days)"),
                "received_at - days * interval '1 day'",
            ),
            _ => (
                "journal",
                format!(
                    "(WITH RECURSIVE number(days) AS (SELECT {OLDER_THAN_DAYS} UNION ALL \
                     SELECT days + 1 FROM number WHERE days < {oldest}) SELECT days FROM number)"
                ),
                "date(received_at, '-' || days || ' days') || substr(received_at, 11)",
            ),
        };
        let sql = format!(
            "INSERT INTO {table} (source, message_id, received_at, event_type, external_id, stamp, lifetime, outcome, \
             reason, payload) SELECT source, message_id || '-' || days, {time}, event_type, external_id, stamp, lifetime, \
             outcome, reason, payload FROM {table} CROSS JOIN {numbers} WHERE message_id LIKE 'msg_bench_%' ORDER BY days DESC"
        );
        self.0.execute_unprepared(&sql).await.context("the old deliveries cannot be written")?;
        Ok(())
    }

    /// How many payloads are older than the retention.
    pub(super) async fn old_payloads(&self) -> anyhow::Result<u32> {
        let backend = self.0.get_database_backend();
        let table = if backend == DbBackend::Postgres { "usersync.journal" } else { "journal" };
        // Only the copies have a dash after the number.
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE payload IS NOT NULL AND message_id LIKE 'msg_bench_%-%'"
        );
        let row = self.0.query_one_raw(Statement::from_string(backend, sql)).await?;
        let count: i64 = row.context("the database does not answer")?.try_get_by_index(0)?;
        Ok(u32::try_from(count)?)
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        Ok(self.0.close().await?)
    }
}
