//! The only room that knows SQL. Its interface is domain types; rows are mapped here, every field by name.

mod api_keys;
mod bulk;
mod chain;
mod error;
mod journal;
mod notify;
mod pairs;
mod records;
mod runs;
mod users;

use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::{PgConnection, PgSslMode};
use sea_orm::sqlx::sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection as _};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

pub use api_keys::{ApiKey, ApiKeys};
pub use chain::Chain;
pub use error::{SetupProblem, StoreError};
pub use journal::{Entry, Journal, Journaled, Which};
pub use notify::Listener;
pub use records::UserUpdate;
pub(crate) use runs::{Begun, Run, RunCounts, RunKind, RunProgress, RunRequest, RunState, Runs};
pub use users::{Listing, LookedUp, Page, Users};

/// How long a request waits for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for so long is tested before it is used: it may have broken unnoticed.
const TEST_AFTER_IDLE: Duration = Duration::from_millis(500);
/// How long a read may take: each is by key, or of one page.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a SQLite writer waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often to try, in this time, whether another process still holds a new SQLite database.
const BUSY_TRIES: u32 = 50;
/// Enough for readers beside the one writer; PostgreSQL's own default limit is 100 for everyone.
const MAX_CONNECTIONS: u32 = 16;
/// In addition, for batches: they are written one after the other, and one more is for a connection that has just broken.
const BATCH_CONNECTIONS: u32 = 2;
/// The key of the advisory lock: "usersync", read as a number.
const MIGRATION_LOCK: i64 = 0x7573_6572_7379_6e63;

/// The database, SQLite or PostgreSQL.
#[derive(Clone, Debug)]
pub struct Store {
    db: DatabaseConnection,
    /// Where batches are written. On PostgreSQL these are separate connections: one that was opened by a thread that
    /// answers requests would make every batch wait for that thread's other requests.
    batches: DatabaseConnection,
    /// Over TLS to PostgreSQL: see `bulk`.
    is_encrypted: bool,
}

/// One migration and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// The file's name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

impl Store {
    /// Connects to `sqlite://…` or `postgres://…`. The schema is left as it is.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_timeout(ACQUIRE_TIMEOUT)
            // A ping before every statement would double the round trips.
            .test_before_acquire_if_idle_for(TEST_AFTER_IDLE)
            // Statements hold users' data. Errors are logged where they are answered.
            .sqlx_logging(false)
            .set_application_name("usersync")
            .map_sqlx_postgres_pool_opts(|pool| {
                pool.after_release(|connection, _| Box::pin(is_there(connection)))
            })
            .map_sqlx_sqlite_opts(|sqlite| {
                sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT)
            })
            .map_sqlx_sqlite_pool_opts(|pool| {
                pool.after_release(|connection, _| Box::pin(is_outside_transactions(connection)))
            });
        let mut tries = 1;
        loop {
            match Database::connect(options.clone()).await {
                // A new database changes to WAL, and for that SQLite does not wait, whatever the busy timeout.
                Err(error) if error::is_locked(&error) && tries < BUSY_TRIES => tries += 1,
                Err(late) if error::is_late(&late) => return Err(why_not_connected(url, late).await),
                connected => return Self::new(connected?, &options).await,
            }
            tokio::time::sleep(BUSY_TIMEOUT / BUSY_TRIES).await;
        }
    }

    async fn new(db: DatabaseConnection, options: &ConnectOptions) -> Result<Self, StoreError> {
        let backend = db.get_database_backend();
        if backend != DbBackend::Postgres {
            return Ok(Self { batches: db.clone(), db, is_encrypted: false });
        }
        // The server knows only about its own end of the connection, and that may be a pooler's.
        let mode = db.get_postgres_connection_pool().connect_options().get_ssl_mode();
        let is_asked_for = matches!(mode, PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let row = db.query_one_raw(Statement::from_string(backend, sql)).await?;
        let is_told = row.is_some_and(|row| row.try_get_by_index(0).unwrap_or_default());
        let batches =
            Database::connect(options.clone().max_connections(BATCH_CONNECTIONS).to_owned()).await?;
        Ok(Self { db, batches, is_encrypted: is_asked_for || is_told })
    }

    /// Applies every migration that the database lacks. Several replicas may do so at the same time.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // Most starts find nothing to do, and then need no right to write.
        if self.migrations().await?.iter().all(|migration| migration.applied) {
            return Ok(());
        }
        let alone = self.begin().await?;
        if self.is_postgres() {
            let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
            alone.inner.execute_unprepared(&lock).await?;
            Migrator::up(&self.db, None).await?;
            alone.commit().await
        } else {
            // SQLite's schema changes belong to the transaction that holds the write lock.
            Migrator::up(&alone.inner, None).await?;
            alone.commit().await
        }
    }

    /// Every migration in order, and whether it has been applied.
    pub async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError> {
        let applied = Migrator::get_applied_migrations_read_only(&self.db).await?;
        let is_applied = |name: &str| applied.iter().any(|one| one.name() == name);
        let all = Migrator::migrations();
        Ok(all
            .iter()
            .map(|one| MigrationState { name: one.name().to_owned(), applied: is_applied(one.name()) })
            .collect())
    }

    /// Whether this role may write: tries a deletion that finds nothing, and undoes it. Needs every
    /// migration.
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        let Tx { inner, .. } = self.begin().await?;
        inner.execute_unprepared("DELETE FROM journal WHERE 1 = 0").await?;
        Ok(inner.rollback().await?)
    }

    /// The users table, to be read.
    pub fn users(&self) -> Users<'_> {
        Users(&self.db)
    }

    /// The journal, to be read.
    pub fn journal(&self) -> Journal<'_> {
        Journal(&self.db)
    }

    /// The runs.
    pub(crate) fn runs(&self) -> Runs<'_> {
        Runs(&self.db)
    }

    /// The service keys.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(&self.db)
    }

    /// Begins a transaction that will write: on SQLite it takes the write lock at once.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.begin_on(&self.db).await
    }

    async fn begin_on(&self, db: &DatabaseConnection) -> Result<Tx, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: (!self.is_postgres()).then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = db.begin_with_options(options).await?;
        Ok(Tx { inner, is_encrypted: self.is_encrypted })
    }

    /// Closes every connection.
    pub async fn close(self) -> Result<(), StoreError> {
        self.batches.close().await?;
        Ok(self.db.close().await?)
    }

    fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Postgres
    }
}

/// Whether a PostgreSQL connection that is given back may be used again; if not, it is closed.
///
/// sqlx asks the same, but without a time limit: if a firewall has dropped the connection, its place in the pool would be
/// lost.
async fn is_there(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let answered = tokio::time::timeout(ACQUIRE_TIMEOUT, connection.ping()).await;
    answered.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
}

/// Why PostgreSQL refused the connection: the pool, which tried several times, only says that it took too long.
async fn why_not_connected(url: &str, late: DbErr) -> StoreError {
    let alone = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect(url));
    match alone.await {
        Ok(Err(refusal)) => StoreError::Unavailable(DbErr::Conn(RuntimeErr::SqlxError(refusal.into()))),
        Ok(Ok(_)) | Err(_) => StoreError::from(late),
    }
}

/// Whether a SQLite connection that is given back may be used again; if not, it is closed.
///
/// On a full disk SQLite undoes the transaction by itself. The `ROLLBACK` that follows then fails, and sqlx
/// goes on counting the transaction as open: the next one would be a savepoint in it, whose "commit" makes
/// nothing lasting.
async fn is_outside_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // A rollback may still wait in the connection's queue; the ping comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// The result of a read, or an error if the database does not answer in time.
async fn in_time<T>(read: impl Future<Output = Result<T, DbErr>>) -> Result<T, StoreError> {
    match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(StoreError::unavailable("it did not answer in time")),
    }
}

/// A transaction. If it is dropped, what it wrote is rolled back.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    is_encrypted: bool,
}

impl Tx {
    /// Commits everything that was written.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}
