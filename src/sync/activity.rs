//! When deliveries of each source were accepted and refused: collected in memory, and added to the database every few
//! seconds, so that a delivery costs no additional write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::clock::Clock;
use crate::domain::{Activity, Timestamp};
use crate::jobs::Jobs;
use crate::store::{Store, StoreError};

/// How often the collected times are written.
const INTERVAL: Duration = Duration::from_secs(10);

/// The times of deliveries that are not written yet, for all sources. Clones share them.
#[derive(Clone, Debug)]
pub struct Activities(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    noted: Mutex<BTreeMap<String, Activity>>,
    /// One for each source; each accepted delivery notifies it.
    arrivals: BTreeMap<String, Notify>,
    /// Locked during a write, so that a caller of `flush` that waits for it finds everything in the database.
    writing: tokio::sync::Mutex<()>,
    store: Store,
    clock: Clock,
}

impl Activities {
    /// Activities without any delivery.
    pub fn new(store: Store, clock: Clock, sources: &[&str]) -> Self {
        let arrivals = sources.iter().map(|name| ((*name).to_owned(), Notify::new())).collect();
        let (noted, writing) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { noted, arrivals, writing, store, clock }))
    }

    /// Starts the task that writes the collected times. Must be called within a tokio runtime.
    pub fn start(&self, jobs: &Jobs) {
        let activities = self.clone();
        // Deliveries that are accepted during the shutdown are written too.
        jobs.spawn_worker("activity", move |end| activities.clone().write_until(end));
    }

    async fn write_until(self, end: CancellationToken) {
        loop {
            let is_end = end.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none();
            if let Err(error) = self.flush().await {
                debug!(%error, "the times of deliveries could not be written; the next attempt writes them");
            }
            if is_end {
                return;
            }
        }
    }

    /// Notes an accepted delivery of this source.
    pub(super) fn accepted(&self, source: &str, at: Timestamp) {
        self.noted().entry(source.to_owned()).or_default().accept(at);
        if let Some(arrival) = self.0.arrivals.get(source) {
            arrival.notify_one();
        }
    }

    /// Notes a delivery of this source that was refused because of its signature or token.
    pub(super) fn refused(&self, source: &str, at: Timestamp) {
        self.noted().entry(source.to_owned()).or_default().refuse(at);
    }

    /// Returns when a delivery of this source is accepted by this replica, or [`Self::wake`] is called.
    pub(crate) async fn arrival(&self, source: &str) {
        match self.0.arrivals.get(source) {
            Some(arrival) => arrival.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Wakes the task that waits for a delivery of this source.
    pub(crate) fn wake(&self, source: &str) {
        if let Some(arrival) = self.0.arrivals.get(source) {
            arrival.notify_one();
        }
    }

    /// Writes the collected times. Those that cannot be written are kept.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let _guard = self.0.writing.lock().await;
        let noted = std::mem::take(&mut *self.noted());
        let mut result = Ok(());
        for (source, activity) in noted {
            let added = match &result {
                Ok(()) => self.0.store.watches().add_activity(&source, &activity, self.0.clock.now()).await,
                Err(_) => Ok(()),
            };
            let is_unwritten = result.is_err() || added.is_err();
            if let Err(error) = added {
                result = Err(error);
            }
            if is_unwritten {
                let mut noted = self.noted();
                let later = noted.remove(&source).unwrap_or_default();
                noted.insert(source, activity.and(later));
            }
        }
        result
    }

    fn noted(&self) -> MutexGuard<'_, BTreeMap<String, Activity>> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
