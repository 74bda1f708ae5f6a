//! Receives changes of other replicas by PostgreSQL's NOTIFY.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::feed::Feed;
use crate::jobs::Jobs;
use crate::store::{Store, StoreError};

/// The pause before listening again to a database that is unavailable.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens to the other replicas, on PostgreSQL. On SQLite no other process writes to the database.
#[derive(Debug)]
pub struct ReplicaListener {
    store: Store,
    feed: Feed,
}

impl ReplicaListener {
    /// Starts to listen in the background. Must be called within a tokio runtime.
    pub fn start(jobs: &Jobs, store: Store, feed: Feed) {
        jobs.spawn_stoppable("replica listener", move |stop| {
            let listener = Self { store: store.clone(), feed: feed.clone() };
            async move { listener.listen_again(&stop).await }
        });
    }

    /// Listens until the service stops.
    async fn listen_again(&self, stop: &CancellationToken) {
        while let Err(error) = Box::pin(self.listen(stop)).await {
            warn!(%error, "cannot listen for changes by other replicas; the next attempt is in a second");
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
    }

    /// Listens until the service stops or the database is unavailable. Returns at once on SQLite.
    async fn listen(&self, stop: &CancellationToken) -> Result<(), StoreError> {
        let Some(listening) = stop.run_until_cancelled(Box::pin(self.store.listen())).await else {
            return Ok(());
        };
        let Some(mut listener) = listening? else { return Ok(()) };
        info!("listening for changes by other replicas");
        // Changes before this connection listened were missed.
        self.feed.wake_all();
        while let Some(notification) = stop.run_until_cancelled(listener.next()).await {
            self.feed.wake(&notification?);
        }
        listener.close().await;
        Ok(())
    }
}
