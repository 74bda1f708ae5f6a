//! Detects a pooler in transaction mode between usersync and PostgreSQL.

use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{DbErr, RuntimeErr};

use super::pool::{Lease, Pool};
use super::session::Session;

/// How long the second connection may take: where there is none to be had, there is no pooler to share one.
const SECOND_CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection may wait while the other one is in a transaction. A server answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Other clients of a pooler may come between.
const ROUNDS: usize = 3;

/// Whether two connections share a server process, or one changes it: only a pooler in transaction mode does that.
pub(super) async fn is_pooled(options: &PgConnectOptions) -> Result<bool, DbErr> {
    let session = Session { is_pooled: false, statement_timeout: None };
    let pool = Pool::new(options.clone(), session, 2);
    let mut first = pool.acquire().await?;
    let process = first.process().await.map_err(failed)?;
    let shared = match tokio::time::timeout(SECOND_CONNECTION_TIMEOUT, pool.acquire()).await {
        Ok(Ok(mut second)) => share(&mut first, &mut second, process).await.map_err(failed)?,
        Ok(Err(_)) | Err(_) => false,
    };
    drop(first);
    pool.close().await;
    Ok(shared)
}

async fn share(first: &mut Lease, second: &mut Lease, process: i32) -> Result<bool, sqlx::Error> {
    for _ in 0..ROUNDS {
        second.begin("BEGIN").await?;
        if second.process().await? == process {
            return Ok(true);
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, first.process()).await {
            Ok(Ok(answered)) if answered == process => {}
            // It changed, or it waits for a server connection.
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
