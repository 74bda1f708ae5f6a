//! Retention: events are deleted when they are older than configured.
//!
//! Every replica does so, without a lease: another one finds nothing left, by one read of an index.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::jobs::Jobs;
use crate::store::{Store, StoreError};

/// How often to look for events that are too old.
const INTERVAL: Duration = Duration::from_hours(1);
/// The pause after each transaction, so that deliveries are not held up.
const PAUSE: Duration = Duration::from_millis(50);

/// Deletes events older than the retention: now and every hour. Must be called within a tokio runtime.
pub fn start_sweeping_events(jobs: &Jobs, store: Store, clock: Clock, retention: Duration) {
    jobs.spawn_stoppable("event sweep", move |stop| {
        sweep_events_periodically(store.clone(), clock.clone(), retention, stop)
    });
}

async fn sweep_events_periodically(store: Store, clock: Clock, retention: Duration, stop: CancellationToken) {
    loop {
        match sweep_events(&store, &clock, retention, &stop).await {
            Ok(0) => {}
            Ok(events) => info!(events, "deleted events older than the retention"),
            Err(error) => warn!(%error, "could not delete old events; the next attempt is in an hour"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
    }
}

/// Deletes every event that is older than the retention, until `stop` is cancelled; returns how many it deleted.
pub async fn sweep_events(
    store: &Store,
    clock: &Clock,
    retention: Duration,
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let before = clock.now().minus(retention);
    let mut deleted = 0;
    loop {
        let batch = store.outbox().sweep(before).await?;
        deleted += batch;
        if batch == 0 || stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return Ok(deleted);
        }
    }
}
