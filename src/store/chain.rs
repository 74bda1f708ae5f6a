//! A series of transactions on one connection.

use sea_orm::{ConnectionTrait, DbBackend};

use super::connection::Db;
use super::{Store, StoreError, Tx};

/// A series of transactions on one connection.
///
/// Beginning a transaction is a round trip to PostgreSQL. So a commit can also begin the next transaction.
#[derive(Debug)]
pub struct Chain {
    store: Store,
    pool: Db,
    next: Option<Tx>,
}

impl Chain {
    /// A chain on the connections that are reserved for batches.
    ///
    /// Use it on the thread that started the service, not on the threads that answer requests: a connection is always
    /// served by the thread that opened it.
    pub fn for_batches(store: Store) -> Self {
        Self { pool: store.batches.clone(), store, next: None }
    }

    /// A chain on the connections that requests use. On SQLite batches get the write lock sooner.
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

    /// Commits the transaction and begins the next one, which keeps the connection until it is used or the chain
    /// [ends](Self::end).
    pub async fn commit_and_continue(&mut self, tx: Tx) -> Result<(), StoreError> {
        // Behind a pooler each transaction begins with its own settings.
        if tx.inner.get_database_backend() != DbBackend::Postgres || tx.inner.is_pooled() {
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
