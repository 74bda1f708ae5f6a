//! The only module that knows SQL. Its interface is domain types; rows are mapped here, every field by name.

mod address;
mod api_keys;
mod audit;
mod bulk;
mod chain;
mod connection;
mod direct;
mod endpoints;
mod error;
mod journal;
mod journal_list;
mod journal_pages;
mod leases;
mod memberships;
mod notify;
mod outbox;
mod pairs;
mod pending;
mod pool;
mod probe;
mod records;
mod run_list;
mod run_progress;
mod run_users;
mod runs;
mod schema;
mod session;
mod sessions;
mod sqlite;
mod users;
mod watches;
mod writable;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use secrecy::ExposeSecret;
use tracing::warn;

use self::address::Address;
use self::connection::{Db, Transaction};
use self::pool::Pool;
use self::probe::Pooler;
use self::schema::statement;
use self::session::Session;
use self::writable::Writes;
use crate::config;

pub use api_keys::{ApiKey, ApiKeys};
pub use audit::{Audit, AuditEntry};
pub use chain::Chain;
pub use direct::Direct;
pub use endpoints::{Backlog, Endpoints, LastAttempt, StoredEndpoint, Wanted};
pub use error::StoreError;
pub use journal::{Entry, JournalEntry};
pub use journal_list::{ListFilter, Listed, ListedDelivery, ParkedCause};
pub use journal_pages::{Journal, Position, Which};
pub use leases::{LEASE, Leases};
pub use memberships::Membership;
pub use outbox::{EventFilter, Outbox};
pub use pending::{Claimant, Message, Order, Pending};
pub use records::UserUpdate;
pub(crate) use run_progress::RunProgress;
pub(crate) use runs::{RUN_LEASE, Run, RunCounts, RunEnd, RunKind, RunRequest, RunStart, RunState, Runs};
pub use schema::Grant;
pub use sessions::{AdminSession, AdminSessions};
pub(crate) use sqlite::SqliteLocation;
pub use users::{Listing, UserLookup, Users};
pub(crate) use watches::{LogPosition, Watched, Watches};

/// How long a request waits for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a server may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for so long is tested before it is used: it may have broken unnoticed.
const TEST_AFTER_IDLE: Duration = Duration::from_millis(500);
/// How long a read may take: each is by key, or of one page. It is PostgreSQL's statement timeout too, so that no
/// abandoned statement keeps running.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long PostgreSQL may work on one statement of a batch.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For batches: they are written one after the other, and one more is for a connection that has just broken.
const BATCH_CONNECTIONS: usize = 2;
/// With fewer connections in all, batches have one.
const FEW_CONNECTIONS: usize = 6;

/// The database, SQLite or PostgreSQL.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    /// Where batches are written. These are separate connections: on PostgreSQL one that was opened by a thread that
    /// answers requests would make every batch wait for that thread's other requests; on SQLite they wait for the write
    /// lock in another way.
    batches: Db,
    /// Over TLS to PostgreSQL: see `bulk`.
    is_encrypted: bool,
    postgres: Option<Arc<Postgres>>,
    writes: Writes,
}

/// What only PostgreSQL needs.
#[derive(Debug)]
struct Postgres {
    /// Where migrations run.
    direct: PgConnectOptions,
    /// That is `direct_url`, and not `url`.
    has_direct_url: bool,
    /// Migrations run through a pooler as well.
    migrates_pooled: bool,
    /// Where to listen; `None` behind a pooler, which would give the notifications to another client.
    listens_at: Option<PgConnectOptions>,
}

/// What the connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Requests, batches and listening, at the same time, each within its time.
    Service,
    /// One after the other, without a time limit.
    Command,
}

/// Without a direct address there is no LISTEN behind a pooler.
fn warn_about(pooler: Pooler) {
    match pooler {
        Pooler::No => {}
        Pooler::Yes => warn!(
            "the database seems to be behind a pooler in transaction mode: changes by other replicas are noticed \
                late. Set `direct_url` under [database] (or DIRECT_URL) to the direct address of the \
                database"
        ),
        Pooler::Unknown => warn!(
            "the database gave no second connection at the start, so it is not known whether it is behind a pooler in \
             transaction mode: until the next start no prepared statements are used, and changes by other replicas are \
             noticed late. Free a connection and start usersync again, or set `direct_url` under [database] (or \
             DIRECT_URL)"
        ),
    }
}

impl Store {
    /// Connects for a service. The schema is left as it is.
    pub async fn connect(settings: &config::Database) -> Result<Self, StoreError> {
        Self::connect_for(settings, Purpose::Service).await
    }

    /// Connects for a command, which needs one connection at a time.
    pub async fn connect_for_command(settings: &config::Database) -> Result<Self, StoreError> {
        Self::connect_for(settings, Purpose::Command).await
    }

    async fn connect_for(settings: &config::Database, purpose: Purpose) -> Result<Self, StoreError> {
        let address = address_of(settings.url.expose_secret())?;
        let postgres = match address {
            Address::Sqlite(url) => {
                let [db, batches] = sqlite::open(&url).await?.map(Db::Sqlite);
                let writes = Writes::default();
                return Ok(Self { db, batches, is_encrypted: false, postgres: None, writes });
            }
            Address::Postgres(postgres) => postgres,
        };
        let direct = match &settings.direct_url {
            Some(url) => match address_of(url.expose_secret())? {
                Address::Postgres(direct) => Some(direct.options),
                Address::Sqlite(_) => return Err(StoreError::Setup(DIRECT_IS_SQLITE.to_owned())),
            },
            None => None,
        };
        let options = postgres.options;
        // With sslmode=verify-ca the driver takes the process's choice, and two libraries offer themselves.
        rustls::crypto::ring::default_provider().install_default().ok();
        let pooler = if postgres.says_pooled { Pooler::Yes } else { probe::find_pooler(&options).await? };
        let is_pooled = pooler.is_assumed();
        if direct.is_none() && purpose == Purpose::Service {
            warn_about(pooler);
        }
        let [requests, batches] = shares(settings.max_connections as usize, purpose);
        let is_command = purpose == Purpose::Command;
        let pool = |size, timeout| {
            let session = Session { is_pooled, statement_timeout: (!is_command).then_some(timeout) };
            Db::Postgres {
                pool: Pool::new(options.clone(), session, size),
                schema: Arc::from(&*settings.schema),
            }
        };
        let db = pool(requests, READ_TIMEOUT);
        let batches = if is_command { db.clone() } else { pool(batches, WRITE_TIMEOUT) };
        if let (Db::Postgres { pool: one, .. }, Db::Postgres { pool: other, .. }, false) =
            (&db, &batches, is_command)
        {
            one.join(other);
        }
        // The server knows only about its own end of the connection, and that may be a pooler's.
        let is_asked_for = matches!(
            options.get_ssl_mode(),
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull
        );
        let is_encrypted = is_asked_for || server_encrypts(&db).await?;
        let migrates_pooled = is_pooled && direct.is_none();
        let listens_at = direct.clone().or_else(|| (!is_pooled).then(|| options.clone()));
        let has_direct_url = direct.is_some();
        let direct = direct.unwrap_or(options);
        let postgres = Postgres { direct, has_direct_url, migrates_pooled, listens_at };
        Ok(Self { db, batches, is_encrypted, postgres: Some(Arc::new(postgres)), writes: Writes::default() })
    }

    /// Closes connections that have been unused for a while.
    pub async fn close_idle(&self) {
        for db in [&self.db, &self.batches] {
            if let Db::Postgres { pool, .. } = db {
                pool.close_idle().await;
            }
        }
    }

    async fn close_all_idle(&self) {
        for db in [&self.db, &self.batches] {
            if let Db::Postgres { pool, .. } = db {
                pool.close_all_idle().await;
            }
        }
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

    /// What is known of the sources.
    pub(crate) fn watches(&self) -> Watches<'_> {
        Watches(&self.db)
    }

    /// The leases.
    pub fn leases(&self) -> Leases<'_> {
        Leases(&self.db)
    }

    /// The log of events, to be read.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox(&self.db)
    }

    /// The endpoints, to be read.
    pub fn endpoints(&self) -> Endpoints<'_> {
        Endpoints(&self.db)
    }

    /// The sessions of the console.
    pub fn sessions(&self) -> AdminSessions<'_> {
        AdminSessions(&self.db)
    }

    /// What was done in the console.
    pub fn audit(&self) -> Audit<'_> {
        Audit(&self.db)
    }

    /// The service keys.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys(&self.db)
    }

    /// Begins a transaction that will write: on SQLite it takes the write lock at once.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.begin_on(&self.db).await
    }

    async fn begin_on(&self, db: &Db) -> Result<Tx, StoreError> {
        Ok(Tx { inner: db.begin().await?, is_encrypted: self.is_encrypted })
    }

    /// Closes every connection.
    pub async fn close(self) -> Result<(), StoreError> {
        self.batches.close().await?;
        Ok(self.db.close().await?)
    }

    /// Whether only one transaction at a time can write, as on SQLite.
    pub(crate) fn has_one_writer(&self) -> bool {
        !self.is_postgres()
    }

    fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Postgres
    }
}

const DIRECT_IS_SQLITE: &str = "DIRECT_URL is the address of a SQLite database\n\
                                write the direct address of the PostgreSQL server, or leave it out";

fn address_of(url: &str) -> Result<Address, StoreError> {
    url.parse().map_err(|address::Unsupported(why)| StoreError::Setup(why))
}

/// How many connections are for requests, and how many for batches; one listens.
fn shares(max_connections: usize, purpose: Purpose) -> [usize; 2] {
    if purpose == Purpose::Command {
        // As a rule it uses one.
        return [3, 0];
    }
    let batches = if max_connections < FEW_CONNECTIONS { 1 } else { BATCH_CONNECTIONS };
    [max_connections.saturating_sub(batches + 1).max(1), batches]
}

async fn server_encrypts(db: &Db) -> Result<bool, DbErr> {
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    Ok(row.is_some_and(|row| row.try_get_by_index(0).unwrap_or_default()))
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
    inner: Transaction,
    is_encrypted: bool,
}

impl Tx {
    /// Commits everything that was written.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.inner.commit().await?)
    }
}
