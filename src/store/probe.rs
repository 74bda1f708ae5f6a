//! Detects a pooler in transaction mode between usersync and PostgreSQL.

use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{DbErr, RuntimeErr};

use super::pool::{PooledConnection, Pool};
use super::session::Session;

/// How long a connection may wait while the other one is in a transaction. A server answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Other clients of a pooler may come between.
const ROUNDS: usize = 3;

/// Whether two connections share a server process, or one changes it, or loses the settings of its session: only a
/// pooler in transaction mode does that.
///
/// If that cannot be found out, there may be such a pooler. What is right behind it is right everywhere, only slower;
/// without it, a statement that one client prepared could be executed for another one.
pub(super) async fn is_pooled(options: &PgConnectOptions) -> Result<bool, DbErr> {
    // Of what is set, only a setting of our own name stays on a pooler's connection, which no other client reads.
    let session = Session { is_pooled: true, statement_timeout: None };
    let pool = Pool::new(options.clone(), session, 2);
    let mut first = pool.acquire().await?;
    let process = first.mark_process().await.map_err(failed)?;
    let shared = match pool.acquire().await {
        Ok(mut second) => share(&mut first, &mut second, process).await.map_err(failed)?,
        // The server or the pooler has no second connection to give.
        Err(_) => true,
    };
    drop(first);
    pool.close().await;
    Ok(shared)
}

async fn share(first: &mut PooledConnection, second: &mut PooledConnection, process: i32) -> Result<bool, sqlx::Error> {
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
