//! The one connection that creates and drops databases, and that shows other test processes that this one
//! is running.

use std::time::{Duration, Instant};

use anyhow::Result;
use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use url::Url;

/// Every database of the tests is called `usersync_test_<run>_…`.
const PREFIX: &str = "usersync_test_";

/// A name for this test process that no other has, on this machine or elsewhere.
pub(super) fn new_run() -> String {
    // The second half is the random one. PostgreSQL cuts names at 63 bytes, which this leaves room in.
    format!("{PREFIX}{}", &uuid::Uuid::now_v7().simple().to_string()[16..])
}

/// The administrator's connection.
pub(super) struct Connection(DatabaseConnection);

impl Connection {
    /// Connects. `run` becomes the connection's name on the server, where it identifies this process:
    /// PostgreSQL drops it when the process ends, even by SIGKILL, and [`Connection::sweep`] relies on
    /// that.
    pub(super) async fn open(url: &Url, run: &str) -> Result<Self> {
        let mut options = ConnectOptions::new(url.as_str());
        options
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None::<Duration>)
            .max_lifetime(None::<Duration>)
            .connect_timeout(Duration::from_secs(10))
            .acquire_timeout(Duration::from_secs(10))
            .set_application_name(run)
            .sqlx_logging(false);
        Ok(Self(sea_orm::Database::connect(options).await?))
    }

    /// Connects to a server that is still starting.
    pub(super) async fn open_when_ready(url: &Url, run: &str, timeout: Duration) -> Result<Self> {
        let until = Instant::now() + timeout;
        loop {
            match Self::open(url, run).await {
                Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(50)).await,
                result => return result,
            }
        }
    }

    /// Runs one administrative statement.
    pub(super) async fn execute(&self, statement: &str) -> Result<()> {
        self.0.execute_unprepared(statement).await?;
        Ok(())
    }

    /// The fastest way to make a clone: where nothing waits for the disk, by copying the template's files.
    /// (Elsewhere, and before version 15, the default is the best or the only way.)
    pub(super) async fn clone_options(&self) -> Result<&'static str> {
        let by_files = "SELECT current_setting('server_version_num')::int >= 150000
                        AND current_setting('fsync') = 'off' AS by_files";
        let row = self.0.query_one_raw(Statement::from_string(DbBackend::Postgres, by_files)).await?;
        let by_files = row.is_some_and(|row| row.try_get("", "by_files").unwrap_or(false));
        Ok(if by_files { "STRATEGY file_copy" } else { "" })
    }

    /// Drops the databases of test processes that have ended: those that no connection is named after.
    pub(super) async fn sweep(&self) -> Result<()> {
        let stale = format!(
            "SELECT datname FROM pg_database AS found
             WHERE datname ~ '^{PREFIX}[0-9a-f]{{16}}_' AND pg_has_role(datdba, 'USAGE') AND NOT EXISTS (
                 SELECT FROM pg_stat_activity
                 WHERE application_name = substring(found.datname from '^{PREFIX}[0-9a-f]{{16}}'))"
        );
        for row in self.0.query_all_raw(Statement::from_string(DbBackend::Postgres, stale)).await? {
            let name: String = row.try_get("", "datname")?;
            // Another process may be sweeping too; the second one finds nothing, which is fine.
            self.execute(&super::drop_statement(&name)).await.ok();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

    use super::{Connection, new_run};
    use crate::support::postgres::server;

    async fn exists(admin: &Connection, sql: String) -> bool {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        admin.0.query_one_raw(statement).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn databases_are_dropped_after_their_process_and_not_before() {
        let Some(server) = server().await else { return };
        let url = server.url("postgres").parse().unwrap();
        let (run, other) = (new_run(), new_run());
        let running = Connection::open(&url, &run).await.unwrap();
        let admin = Connection::open(&url, &other).await.unwrap();
        running.execute(&format!(r#"CREATE DATABASE "{run}_0" TEMPLATE template0"#)).await.unwrap();
        let database = format!("SELECT FROM pg_database WHERE datname = '{run}_0'");
        admin.sweep().await.unwrap();
        assert!(exists(&admin, database.clone()).await, "its process runs");

        running.0.close().await.unwrap();
        let connection = format!("SELECT FROM pg_stat_activity WHERE application_name = '{run}'");
        while exists(&admin, connection.clone()).await {
            tokio::task::yield_now().await;
        }
        admin.sweep().await.unwrap();
        assert!(!exists(&admin, database).await, "its process has ended");
    }
}
