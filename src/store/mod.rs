//! The only room that knows SQL. It speaks domain types; rows are mapped here, every field by name.

mod api_keys;
mod error;
mod journal;
mod pairs;
mod records;
mod users;

use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};

pub use api_keys::{ApiKey, ApiKeys};
pub use error::StoreError;
pub use journal::{Entry, Journal};
pub use records::Stored;
pub use users::{Listing, Page, Users};

/// How long a request waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was not used for this long may have been dropped by what is between.
const TEST_AFTER: Duration = Duration::from_secs(5);
/// How long a SQLite writer waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Enough for readers beside the one writer; PostgreSQL's own default limit is 100 for everyone.
const MAX_CONNECTIONS: u32 = 16;
/// "usersync", read as a number: whom an advisory lock belongs to.
const MIGRATION_LOCK: i64 = 0x7573_6572_7379_6e63;

/// The database, SQLite or PostgreSQL.
#[derive(Clone, Debug)]
pub struct Store {
    db: DatabaseConnection,
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
            // One that was just in use needs no question whether it is still there.
            .test_before_acquire_if_idle_for(TEST_AFTER)
            // Statements carry users' data; what goes wrong is logged where it is answered.
            .sqlx_logging(false)
            .set_application_name("usersync")
            .map_sqlx_sqlite_opts(|sqlite| {
                sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(BUSY_TIMEOUT)
            });
        Ok(Self { db: Database::connect(options).await? })
    }

    /// Applies every migration that the database lacks. Several replicas may do so at once.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let alone = self.begin().await?;
        if self.is_postgres() {
            let lock = format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
            alone.tx.execute_unprepared(&lock).await?;
            Migrator::up(&self.db, None).await?;
            alone.commit().await
        } else {
            // SQLite's schema changes belong to the transaction that holds the write lock.
            Migrator::up(&alone.tx, None).await?;
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

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db.query_one_raw(Statement::from_string(self.db.get_database_backend(), "SELECT 1")).await?;
        Ok(())
    }

    /// The users table, to be read.
    pub fn users(&self) -> Users<'_> {
        Users(&self.db)
    }

    /// The journal, to be read.
    pub fn journal(&self) -> Journal<'_> {
        Journal(&self.db)
    }

    /// The service keys.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(&self.db)
    }

    /// Begins a transaction that will write: on SQLite it takes the write lock at once.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: (!self.is_postgres()).then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Tx { tx: self.db.begin_with_options(options).await? })
    }

    /// Closes every connection.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.db.close().await?)
    }

    fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Postgres
    }
}

/// A transaction; what it wrote is undone if it is dropped.
#[derive(Debug)]
pub struct Tx {
    tx: DatabaseTransaction,
}

impl Tx {
    /// Makes everything written lasting.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }
}
