//! Whether deliveries can be written now, as `/readyz` and `doctor` report it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use tokio::sync::Mutex;

use super::connection::Db;
use super::{Store, StoreError, statement};

/// How long the result of a check of SQLite is used again: each check takes the write lock, and anyone may ask for one.
const VALID_FOR: Duration = Duration::from_millis(200);
/// How long a check waits for the write lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// What is known of writing to SQLite.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Pages were written, or new deliveries, and nothing has failed since.
    have_succeeded: AtomicBool,
    /// The pages that a check has written may still be there.
    may_have_pages: AtomicBool,
    /// When the last check ended, and its result.
    last_check: Mutex<Option<(Instant, Result<(), StoreError>)>>,
}

impl State {
    fn have_succeeded(&self) -> bool {
        self.have_succeeded.load(Ordering::Relaxed)
    }
}

impl Store {
    /// Notes whether the database has taken new deliveries.
    pub(crate) fn note_write(&self, has_succeeded: bool) {
        self.writes.0.have_succeeded.store(has_succeeded, Ordering::Relaxed);
    }

    /// Whether deliveries can be written now; the error is the reason if not. Needs every migration.
    ///
    /// On SQLite a statement that changes nothing does not show that the disk is full. So at first, and after deliveries
    /// could not be written, some pages are written and removed, until that succeeds or a new delivery is written.
    pub async fn check_writable(&self) -> Result<(), StoreError> {
        match &self.db {
            Db::Sqlite(_) => {
                let mut last = self.writes.0.last_check.lock().await;
                if let Some((at, result)) = &*last
                    && at.elapsed() < VALID_FOR
                    && (result.is_err() || self.writes.0.have_succeeded())
                {
                    return result.clone();
                }
                let result = self.check_sqlite().await;
                *last = Some((Instant::now(), result.clone()));
                result
            }
            Db::Postgres { pool, schema } => {
                let Some(row) = self.db.query_one_raw(statement(MAY_WRITE, [&**schema])).await? else {
                    return Ok(());
                };
                let (is_read_only, missing): (bool, Option<String>) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                if is_read_only {
                    // The address may lead to another server by now.
                    pool.invalidate();
                    return Err(StoreError::unavailable(
                        "the server is read-only: it is a replica, or not the primary any more",
                    ));
                }
                match missing {
                    Some(missing) => Err(StoreError::unavailable(&format!("this role lacks {missing}"))),
                    None => Ok(()),
                }
            }
        }
    }

    /// With the connections of deliveries: one of them may have a fault of its own.
    async fn check_sqlite(&self) -> Result<(), StoreError> {
        let state = &self.writes.0;
        let writes_pages = !state.have_succeeded() || state.may_have_pages.load(Ordering::Relaxed);
        let attempt =
            async { if writes_pages { self.write_pages().await } else { self.delete_nothing().await } };
        match tokio::time::timeout(LOCK_TIMEOUT, attempt).await {
            // Another process has the write lock, so nothing was tried.
            Err(_) | Ok(Err(StoreError::Conflict(_))) if state.have_succeeded() => Ok(()),
            Err(_) => Err(StoreError::unavailable("another process is writing to the database")),
            Ok(result) => {
                if writes_pages {
                    self.note_write(result.is_ok());
                }
                result
            }
        }
    }

    /// The same by writing: on SQLite some pages, on PostgreSQL a deletion that finds nothing and is undone. Needs every
    /// migration.
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        match &self.db {
            Db::Sqlite(_) => match self.write_pages().await {
                // Another process is writing.
                Err(StoreError::Conflict(_)) => Ok(()),
                result => result,
            },
            Db::Postgres { .. } => {
                self.check_writable().await?;
                self.delete_nothing().await
            }
        }
    }

    async fn delete_nothing(&self) -> Result<(), StoreError> {
        let tx = self.begin_on(&self.batches).await?;
        tx.inner.execute_unprepared("DELETE FROM \"usersync\".journal WHERE 1 = 0").await?;
        Ok(tx.inner.rollback().await?)
    }

    /// Writes more pages than a usual delivery, and removes them again.
    async fn write_pages(&self) -> Result<(), StoreError> {
        let may_have_pages = &self.writes.0.may_have_pages;
        may_have_pages.store(true, Ordering::Relaxed);
        for sql in [WRITE_PAGES, REMOVE_PAGES] {
            let tx = self.begin_on(&self.batches).await?;
            tx.inner.execute_unprepared(sql).await?;
            tx.commit().await?;
        }
        may_have_pages.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// A lease that nobody holds, of 128 KiB: more pages than a usual delivery changes in the tables and their indexes.
const WRITE_PAGES: &str = "INSERT INTO leases (name, position) VALUES ('write test', hex(zeroblob(65536))) \
     ON CONFLICT (name) DO UPDATE SET position = excluded.position";
const REMOVE_PAGES: &str = "DELETE FROM leases WHERE name = 'write test'";

/// Whether the server takes no writes, and which privileges this role lacks for a delivery.
const MAY_WRITE: &str = "SELECT current_setting('transaction_read_only') = 'on',
       (SELECT string_agg(p.name || ' on ' || c.relname, ', ' ORDER BY c.relname, p.name)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS p(name)
        WHERE n.nspname = $1 AND c.relname IN ('journal', 'tombstones', 'users')
          AND NOT has_table_privilege(c.oid, p.name))";
