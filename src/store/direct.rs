//! Whether `direct_url` leads to the same database as `url`.

use std::sync::Arc;

use sea_orm::{ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, Statement};

use super::connection::Db;
use super::pool::Pool;
use super::session::Session;
use super::{Store, StoreError};

/// Where `direct_url` leads.
#[derive(Clone, Debug)]
pub enum Direct {
    /// Nowhere: it is not set, or needs no check.
    None,
    /// To the database of `url`.
    Same,
    /// To another database, or another server.
    Other,
    /// It cannot be used now.
    Unreachable(StoreError),
}

impl Direct {
    /// Whether the service may start. Only migrations need this address. Without it, changes by other replicas are still
    /// noticed, but late.
    pub fn may_start(&self, is_migrated: bool) -> bool {
        match self {
            Self::None | Self::Same => true,
            Self::Other => false,
            Self::Unreachable(_) => is_migrated,
        }
    }

    /// What is wrong with it, and below it what to do.
    pub fn error(&self) -> Option<StoreError> {
        match self {
            Self::None | Self::Same => None,
            Self::Other => Some(StoreError::Setup(
                "`direct_url` leads to another database than `url`\n\
                 set `direct_url` under [database] (or DIRECT_URL) to the direct address of the database that `url` (or \
                 DATABASE_URL) leads to, or leave it out"
                    .to_owned(),
            )),
            Self::Unreachable(error) => Some(StoreError::Setup(format!(
                "`direct_url` cannot be used: {error}\n\
                 check `direct_url` under [database] (or DIRECT_URL): host, port, name, password; check that the database \
                 accepts connections from this machine; or leave it out"
            ))),
        }
    }
}

impl Store {
    /// Compares the databases that `url` and `direct_url` lead to.
    pub async fn direct(&self) -> Result<Direct, StoreError> {
        let (Some(postgres), Db::Postgres { schema, .. }) = (&self.postgres, &self.db) else {
            return Ok(Direct::None);
        };
        if !postgres.has_direct_url {
            return Ok(Direct::None);
        }
        let ours = identity(&self.db).await?;
        // A role with one connection has none left otherwise.
        self.close_all_idle().await;
        // It may lead to a pooler too, which must not keep settings of this session.
        let session = Session { is_pooled: true, statement_timeout: None };
        let pool = Pool::new(postgres.direct.clone(), session, 1);
        let direct = Db::Postgres { pool, schema: Arc::clone(schema) };
        let theirs = identity(&direct).await;
        direct.close().await?;
        Ok(match theirs {
            Ok(theirs) if theirs == ours => Direct::Same,
            Ok(_) => Direct::Other,
            Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) => {
                Direct::Unreachable(StoreError::unavailable("no connection could be made in time"))
            }
            Err(error) => Direct::Unreachable(error.into()),
        })
    }
}

/// Identifies a database: its oid, and the start time of its server. A copy of a database has the same names and the same
/// identifier of the server. A pooler forwards the query.
async fn identity(db: &Db) -> Result<Option<String>, DbErr> {
    let sql = "SELECT concat_ws(' ', oid, extract(epoch FROM pg_postmaster_start_time())) \
               FROM pg_database WHERE datname = current_database()";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}
