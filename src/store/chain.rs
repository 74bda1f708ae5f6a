//! Transactions that follow each other on one connection.

use sea_orm::{ConnectionTrait, DbBackend};

use super::{Store, StoreError, Tx};

/// Transactions one after the other.
///
/// To give a connection back is two ways to PostgreSQL (it is asked for a sign of life, by us and by sqlx), to begin
/// is a third, and the next connection is seldom the last one, whose server process has all that it needs at hand. So a
/// commit may begin the next transaction by itself.
#[derive(Debug)]
pub struct Chain {
    store: Store,
    next: Option<Tx>,
}

impl Chain {
    /// Transactions on this database; the first begins when it is asked for. To be used where the service was
    /// started, not by the threads that answer requests: a connection that is opened now is served by the thread that
    /// opened it from then on.
    pub fn new(store: Store) -> Self {
        Self { store, next: None }
    }

    /// The next transaction, begun by the last commit or now.
    pub async fn begin(&mut self) -> Result<Tx, StoreError> {
        match self.next.take() {
            Some(tx) => Ok(tx),
            None => self.store.begin_on(&self.store.batches).await,
        }
    }

    /// Makes everything written lasting, and begins the next transaction, which keeps the connection until it
    /// is used or the chain [ends](Self::end).
    pub async fn commit_and_go_on(&mut self, tx: Tx) -> Result<(), StoreError> {
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
