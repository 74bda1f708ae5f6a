//! Which replica sends requests to a source's provider: the one that has the lease. Another one takes the lease over
//! when its holder stops.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Inner;
use crate::domain::{Activity, Timestamp};
use crate::providers::Source;
use crate::pull::ReconcileOptions;
use crate::pull::client::ApiClient;
use crate::pull::error::PullError;
use crate::pull::progress::Quiet;
use crate::store::{RunKind, RunState, StoreError};

/// How often the holder renews the lease, and other replicas try to take it.
const RENEWAL: Duration = Duration::from_secs(10);
/// How often the checks are made.
const CHECK_INTERVAL: Duration = Duration::from_mins(5);
/// How often the states are calculated again: a source can become silent without any event.
const STATE_INTERVAL: Duration = Duration::from_mins(1);
/// The shortest and the longest pause before testing again whether a comparison is due.
const DUE_INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The longest pause after a comparison that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_mins(10);

impl Inner {
    /// Updates the states of all sources every minute.
    pub(super) async fn update_states_periodically(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if let Err(error) = self.begin_and_update().await {
                debug!(%error, "the states of the sources cannot be determined now");
            }
            if stop.run_until_cancelled(tokio::time::sleep(STATE_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    async fn begin_and_update(&self) -> Result<(), StoreError> {
        for name in self.sources.keys() {
            self.begin(name).await?;
        }
        self.update_states().await.map(|_| ())
    }

    /// Creates the watch of a source, unless it exists. The last delivery is read from the journal.
    pub(super) async fn begin(&self, name: &str) -> Result<(), StoreError> {
        let store = &self.puller.writer.store;
        if store.watches().find(name).await?.is_some() {
            return Ok(());
        }
        let newest = store.journal().newest_times(name, Timestamp::EPOCH, 1).await?;
        let activity = Activity { last_delivery_at: newest.first().copied(), ..Activity::default() };
        store.watches().begin(name, &activity, self.puller.clock.now()).await
    }

    /// Watches a source whenever this replica has its lease.
    pub(super) async fn watch_with_lease(self: Arc<Self>, name: String, stop: CancellationToken) {
        let lease = format!("watch:{name}");
        loop {
            match self.acquire(&lease).await {
                Ok(true) => {
                    debug!(source = name, "this replica watches the source");
                    self.watch(&name, &lease, &stop).await;
                    self.release(&name, &lease).await;
                }
                Ok(false) => {}
                Err(error) => debug!(source = name, %error, "the lease of the source cannot be taken now"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(RENEWAL)).await.is_none() {
                return;
            }
        }
    }

    async fn acquire(&self, lease: &str) -> Result<bool, StoreError> {
        let leases = self.puller.writer.store.leases();
        Ok(leases.take(lease, &self.puller.holder, self.puller.clock.now()).await?.is_some())
    }

    /// Releases the lease, and a comparison that is not complete.
    async fn release(&self, name: &str, lease: &str) {
        let (store, holder) = (&self.puller.writer.store, &self.puller.holder);
        let released = store.runs().release(name, holder).await;
        if let Err(error) = released.and(store.leases().release(lease, holder, None).await) {
            debug!(source = name, %error, "the lease of the source could not be released; it expires after a while");
        }
    }

    /// Watches a source until the service stops or another replica has taken over.
    async fn watch(&self, name: &str, lease: &str, stop: &CancellationToken) {
        let (Some(source), Some(client)) = (self.puller.writer.sources.get(name), self.client(name)) else {
            return;
        };
        // Boxed: it is large.
        let work = Box::pin(async {
            tokio::join!(
                self.check_periodically(name),
                self.follow_log(source, client),
                self.compare_periodically(source)
            )
        });
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.renew(lease) => debug!(source = name, "another replica watches the source now"),
            _ = work => {}
        }
    }

    /// Renews a lease; returns when another replica has taken it.
    async fn renew(&self, lease: &str) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            // While the database is unavailable, no replica can take the lease.
            if matches!(self.acquire(lease).await, Ok(false)) {
                return;
            }
        }
    }

    async fn check_periodically(&self, name: &str) {
        loop {
            let checked = match self.check(name).await {
                Ok(()) => self.update_states().await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = checked {
                debug!(source = name, %error, "the results of the checks cannot be stored now");
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }

    async fn follow_log(&self, source: &Source, client: &ApiClient) {
        let Some(log) = client.api().watch.event_log() else { return };
        while let Err(error) = self.begin(source.name()).await {
            debug!(%error, "the event log cannot be read before the database is available");
            tokio::time::sleep(RENEWAL).await;
        }
        self.reader(source, client, log).follow().await;
    }

    /// Compares the table with the provider's list whenever a comparison is due. Nothing is repaired.
    async fn compare_periodically(&self, source: &Source) {
        let Some(watched) = self.sources.get(source.name()) else { return };
        let Some(period) = watched.reconcile_every else { return };
        loop {
            match self.due_in(source.name(), period).await {
                Ok(Duration::ZERO) => {}
                Ok(due) => {
                    tokio::time::sleep(due.clamp(DUE_INTERVAL.0, DUE_INTERVAL.1)).await;
                    continue;
                }
                Err(_) => {
                    tokio::time::sleep(DUE_INTERVAL.1).await;
                    continue;
                }
            }
            let requests_per_second = watched.requests_per_second;
            let options = ReconcileOptions { requests_per_second, ..ReconcileOptions::default() };
            info!(source = source.name(), "comparing the table with the provider's list");
            match self.puller.reconcile(source, &options, &mut Quiet).await {
                Ok(_) => {
                    self.update_states().await.ok();
                }
                Err(PullError::Held { .. }) => tokio::time::sleep(DUE_INTERVAL.1).await,
                // The reason is already logged.
                Err(_) => tokio::time::sleep(period.min(PAUSE_AFTER_FAILURE)).await,
            }
        }
    }

    /// The time until the next comparison: one period after the last one or after the first start, or now if events
    /// were lost since then.
    async fn due_in(&self, name: &str, period: Duration) -> Result<Duration, StoreError> {
        let (store, now) = (&self.puller.writer.store, self.puller.clock.now());
        let complete = Some(RunState::Complete);
        let last = store.runs().newest(name, RunKind::Reconcile, complete, now).await?;
        let last = last.and_then(|run| run.finished_at);
        let watched = store.watches().find(name).await?;
        let gap = watched.as_ref().and_then(|watched| watched.log.gap_at);
        let began = watched.map_or(now, |watched| watched.started_at);
        let is_lost = gap.is_some_and(|gap| last.is_none_or(|last| last < gap));
        if is_lost {
            return Ok(Duration::ZERO);
        }
        Ok(last.unwrap_or(began).plus(period).since(now))
    }
}
