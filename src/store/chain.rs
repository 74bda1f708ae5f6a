//! Transactions that follow each other on one connection.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use super::{Store, StoreError, Tx};

/// Transactions one after the other.
///
/// Giving a connection back costs two round trips to PostgreSQL (we and sqlx both ask for a sign of life), beginning
/// costs a third, and the next connection is seldom the last one, whose server process has everything at hand. So a
/// commit may begin the next transaction by itself.
#[derive(Debug)]
pub struct Chain {
    store: Store,
    pool: DatabaseConnection,
    next: Option<Tx>,
}

impl Chain {
    /// Transactions on the connections that are kept for batches.
    ///
    /// To be used where the service was started, not by the threads that answer requests: a connection that is opened
    /// now is served by the thread that opened it from then on.
    pub fn for_batches(store: Store) -> Self {
        Self { pool: store.batches.clone(), store, next: None }
    }

    /// Transactions on the connections that requests use.
    pub fn for_request(store: Store) -> Self {
        Self { pool: store.db.clone(), store, next: None }
    }

    /// The next transaction, begun by the last commit or now.
    pub async fn begin(&mut self) -> Result<Tx, StoreError> {
        match self.next.take() {
            Some(tx) => Ok(tx),
            None => self.store.begin_on(&self.pool).await,
        }
    }

    /// Makes everything written lasting, and begins the next transaction, which keeps the connection until it
    /// is used or the chain [ends](Self::end).
    pub async fn commit_and_continue(&mut self, tx: Tx) -> Result<(), StoreError> {
        if tx.inner.get_database_backend() != DbBackend::Postgres {
            return tx.commit().await;
        }
        tx.inner.execute_unprepared("COMMIT AND CHAIN").await?;
        self.next = Some(tx);
        Ok(())
    }

    /// Gives the connection back.
    pub fn end(&mut self) {
        self.next = None;
    }
}
