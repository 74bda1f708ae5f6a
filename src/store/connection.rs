//! Where statements run: on SQLite by SeaORM's own means, on PostgreSQL by our pool, and in which schema.
//!
//! Entities and our own SQL name every table in the schema [`DEFAULT_SCHEMA`], written with quotes. Where another schema is
//! configured, its name is put in that place, and on SQLite, which has none, nothing. So no statement depends on a
//! `search_path`, which a pooler would lose or give to another client.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, sqlx,
};
use tokio::sync::Mutex;
use tracing::trace;

use super::error::{is_about_prepared_statements, is_conflict, means_another_server};
use super::pool::{Pool, PooledConnection};
use super::session::Session;
use super::sqlite::BUSY_TIMEOUT;

/// The schema that entities and statements name.
pub(super) const DEFAULT_SCHEMA: &str = "usersync";
const QUALIFIER: &str = "\"usersync\".";

/// A database of either kind. Clones share the connections.
#[derive(Clone, Debug)]
pub(super) enum Db {
    Sqlite(DatabaseConnection),
    Postgres { pool: Pool, schema: Arc<str> },
}

/// A transaction on either kind of database.
#[derive(Debug)]
pub(super) enum Transaction {
    Sqlite(DatabaseTransaction),
    Postgres { connection: Mutex<PooledConnection>, schema: Arc<str> },
}

impl Db {
    /// Begins a transaction that will write: on SQLite it takes the write lock at once.
    pub(super) async fn begin(&self) -> Result<Transaction, DbErr> {
        match self {
            Self::Sqlite(db) => {
                let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
                let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
                let until = Instant::now() + BUSY_TIMEOUT;
                loop {
                    match db.begin_with_options(options).await {
                        Err(error) if is_conflict(&error) && Instant::now() < until => {}
                        begun => return Ok(Transaction::Sqlite(begun?)),
                    }
                }
            }
            Self::Postgres { pool, schema } => {
                let connection = begun(pool).await?;
                Ok(Transaction::Postgres { connection: Mutex::new(connection), schema: Arc::clone(schema) })
            }
        }
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(db) => db.clone().close().await,
            Self::Postgres { pool, .. } => {
                pool.close().await;
                Ok(())
            }
        }
    }
}

impl Transaction {
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres { connection, .. } => {
                connection.into_inner().finish("COMMIT").await.map_err(statement_failed)
            }
        }
    }

    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres { connection, .. } => {
                connection.into_inner().finish("ROLLBACK").await.map_err(statement_failed)
            }
        }
    }

    pub(super) fn is_pooled(&self) -> bool {
        // The lock is not held between statements.
        matches!(self, Self::Postgres { connection, .. } if connection.try_lock().is_ok_and(|connection| connection.session().is_pooled))
    }
}

/// Behind a pooler the settings hold for the transaction alone, and a `LISTEN` that another client left on the server
/// connection must not put notifications among our answers.
fn begin(session: Session) -> String {
    if session.is_pooled {
        return format!("BEGIN; UNLISTEN *; {}", session.settings("SET LOCAL"));
    }
    "BEGIN".to_owned()
}

/// A connection with a new transaction. Where one turns out to be broken, nothing was done yet, and another one is taken.
async fn begun(pool: &Pool) -> Result<PooledConnection, DbErr> {
    let sql = begin(pool.session());
    let mut connection = pool.acquire().await?;
    match connection.begin(&sql).await {
        Err(error) if means_another_server(&error) => {
            connection = pool.acquire().await?;
            connection.begin(&sql).await.map_err(statement_failed)?;
        }
        begun => begun.map_err(statement_failed)?,
    }
    Ok(connection)
}

/// Reads; once more if the first connection turns out to be broken, or to be one of a pooler.
async fn read(pool: &Pool, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
    let again = statement.clone();
    let rows = match alone(pool, async |connection| connection.fetch_all(statement).await).await {
        Err(DbErr::Query(RuntimeErr::SqlxError(error)))
            if means_another_server(&error) || is_about_prepared_statements(&error) =>
        {
            alone(pool, async |connection| connection.fetch_all(again).await).await?
        }
        rows => rows?,
    };
    Ok(rows.into_iter().map(QueryResult::from).collect())
}

/// Runs one statement of its own; behind a pooler in a transaction, which keeps it on one server connection.
async fn alone<T>(
    pool: &Pool,
    work: impl AsyncFnOnce(&mut PooledConnection) -> Result<T, sqlx::Error>,
) -> Result<T, DbErr> {
    if !pool.session().is_pooled {
        let mut connection = pool.acquire().await?;
        return work(&mut connection).await.map_err(statement_failed);
    }
    let mut connection = begun(pool).await?;
    let done = work(&mut connection).await.map_err(statement_failed)?;
    connection.finish("COMMIT").await.map_err(statement_failed)?;
    Ok(done)
}

fn statement_failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

/// The statement for a schema; `None` is SQLite.
fn qualified(sql: &str, schema: Option<&str>) -> String {
    match schema {
        Some(DEFAULT_SCHEMA) => sql.to_owned(),
        Some(schema) => sql.replace(QUALIFIER, &format!("{}.", quoted(schema))),
        None => sql.replace(QUALIFIER, ""),
    }
}

fn placed(mut statement: Statement, schema: Option<&str>) -> Statement {
    if schema != Some(DEFAULT_SCHEMA) {
        statement.sql = qualified(&statement.sql, schema);
    }
    // Its values are not in the text.
    trace!(sql = statement.sql, "statement");
    statement
}

/// A name as PostgreSQL's identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[async_trait]
impl ConnectionTrait for Db {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres { .. } => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(db) => db.execute_raw(placed(statement, None)).await,
            Self::Postgres { pool, schema } => {
                let statement = placed(statement, Some(schema));
                Ok(alone(pool, async |connection| connection.execute(statement).await).await?.into())
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(db) => db.execute_unprepared(&qualified(sql, None)).await,
            Self::Postgres { pool, schema } => {
                let sql = qualified(sql, Some(schema));
                Ok(alone(pool, async |connection| connection.run(&sql).await).await?.into())
            }
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(db) => db.query_one_raw(placed(statement, None)).await,
            Self::Postgres { .. } => Ok(self.query_all_raw(statement).await?.into_iter().next()),
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(db) => db.query_all_raw(placed(statement, None)).await,
            Self::Postgres { pool, schema } => read(pool, placed(statement, Some(schema))).await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres { .. } => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.execute_raw(placed(statement, None)).await,
            Self::Postgres { connection, schema } => {
                let executed = connection.lock().await.execute(placed(statement, Some(schema))).await;
                Ok(executed.map_err(statement_failed)?.into())
            }
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.execute_unprepared(&qualified(sql, None)).await,
            Self::Postgres { connection, schema } => {
                let executed = connection.lock().await.run(&qualified(sql, Some(schema))).await;
                Ok(executed.map_err(statement_failed)?.into())
            }
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.query_one_raw(placed(statement, None)).await,
            Self::Postgres { .. } => Ok(self.query_all_raw(statement).await?.into_iter().next()),
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self {
            Self::Sqlite(transaction) => transaction.query_all_raw(placed(statement, None)).await,
            Self::Postgres { connection, schema } => {
                let rows = connection.lock().await.fetch_all(placed(statement, Some(schema))).await;
                Ok(rows.map_err(statement_failed)?.into_iter().map(QueryResult::from).collect())
            }
        }
    }
}
