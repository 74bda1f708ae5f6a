//! Detects a pooler in transaction mode between usersync and PostgreSQL.

use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{DbErr, RuntimeErr};

use super::pool::{Pool, PooledConnection};
use super::session::Session;

/// How long a connection may wait while the other one is in a transaction. A server answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Other clients of a pooler may come between.
const ROUNDS: usize = 3;

/// Whether there is a pooler in transaction mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooler {
    No,
    Yes,
    /// The database gave no second connection, so that it cannot be found out.
    Unknown,
}

impl Pooler {
    /// What is right behind a pooler is right everywhere, only slower; without it, a statement that one client prepared
    /// could be executed for another one.
    pub(super) fn is_assumed(self) -> bool {
        self != Self::No
    }
}

/// Whether two connections share a server process, or one changes it, or loses the settings of its session: only a
/// pooler in transaction mode does that.
pub(super) async fn find_pooler(options: &PgConnectOptions) -> Result<Pooler, DbErr> {
    // Of what is set, only a setting of our own name stays on a pooler's connection, which no other client reads.
    let session = Session { is_pooled: true, statement_timeout: None };
    let pool = Pool::new(options.clone(), session, 2);
    let mut first = pool.acquire().await?;
    let process = first.mark_process().await.map_err(failed)?;
    let found = match pool.acquire().await {
        Ok(mut second) => {
            let is_shared = share(&mut first, &mut second, process).await.map_err(failed)?;
            if is_shared { Pooler::Yes } else { Pooler::No }
        }
        // The server or the pooler has no second connection to give.
        Err(_) => Pooler::Unknown,
    };
    drop(first);
    pool.close().await;
    Ok(found)
}

async fn share(
    first: &mut PooledConnection,
    second: &mut PooledConnection,
    process: i32,
) -> Result<bool, sqlx::Error> {
    for _ in 0..ROUNDS {
        second.begin("BEGIN").await?;
        if second.process().await? == process {
            return Ok(true);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, first.marked_process()).await {
            Ok(Ok(answered)) if answered == Some(process) => {}
            // It changed, or was reset, or it waits for a server connection.
            Ok(Ok(_)) | Err(_) => return Ok(true),
            Ok(Err(error)) => return Err(error),
        }
        second.end("ROLLBACK").await?;
    }
    Ok(false)
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}
