//! When deliveries of each source were accepted and refused: noted in memory, and added to the database every few seconds,
//! so that a delivery costs no further write.

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

/// How often what was noted is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// The deliveries of all sources that are not written yet. A clone stands for the same ones.
#[derive(Clone, Debug)]
pub struct Activities(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    noted: Mutex<BTreeMap<String, Activity>>,
    /// One for each source: notified by each accepted delivery.
    arrivals: BTreeMap<String, Notify>,
    /// Whoever writes what was noted, so that a reader who comes after it finds it in the database.
    writing: tokio::sync::Mutex<()>,
    store: Store,
    clock: Clock,
}

impl Activities {
    /// Nothing is noted yet.
    pub fn new(store: Store, clock: Clock, sources: &[&str]) -> Self {
        let arrivals = sources.iter().map(|name| ((*name).to_owned(), Notify::new())).collect();
        let (noted, writing) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { noted, arrivals, writing, store, clock }))
    }

    /// Starts to write what will be noted. Must be called within a tokio runtime.
    pub fn start(&self, jobs: &Jobs) {
        let activities = self.clone();
        // What is accepted while the service stops is written too.
        jobs.spawn_worker("activity", |end| activities.write_until(end));
    }

    async fn write_until(self, end: CancellationToken) {
        loop {
            let is_end = end.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none();
            if let Err(error) = self.flush().await {
                debug!(%error, "the times of deliveries could not be written; they are kept for the next try");
            }
            if is_end {
                return;
            }
        }
    }

    /// A delivery of this source was accepted.
    pub(super) fn accepted(&self, source: &str, at: Timestamp) {
        self.noted().entry(source.to_owned()).or_default().accept(at);
        if let Some(arrival) = self.0.arrivals.get(source) {
            arrival.notify_one();
        }
    }

    /// A delivery of this source was refused because of its signature or token.
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

    /// Lets whoever waits for a delivery of this source go on.
    pub(crate) fn wake(&self, source: &str) {
        if let Some(arrival) = self.0.arrivals.get(source) {
            arrival.notify_one();
        }
    }

    /// Writes everything that was noted. What cannot be written stays noted.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let _alone = self.0.writing.lock().await;
        let noted = std::mem::take(&mut *self.noted());
        let mut result = Ok(());
        for (source, seen) in noted {
            let added = match &result {
                Ok(()) => self.0.store.watches().add_activity(&source, &seen, self.0.clock.now()).await,
                Err(_) => Ok(()),
            };
            let is_lost = result.is_err() || added.is_err();
            if let Err(error) = added {
                result = Err(error);
            }
            if is_lost {
                let mut noted = self.noted();
                let since = noted.remove(&source).unwrap_or_default();
                noted.insert(source, seen.and(since));
            }
        }
        result
    }

    fn noted(&self) -> MutexGuard<'_, BTreeMap<String, Activity>> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
