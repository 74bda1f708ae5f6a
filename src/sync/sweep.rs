//! Retention: payloads are cleared when they are older than configured. Ids, stamps and tombstones stay.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::jobs::Jobs;
use crate::store::{Store, StoreError};

/// How often to look for payloads that are too old.
const INTERVAL: Duration = Duration::from_hours(1);
/// Payloads cleared by one transaction.
const BATCH: u64 = 500;
/// The pause after each transaction, for deliveries.
const PAUSE: Duration = Duration::from_millis(50);

/// Clears payloads older than the retention: now and every hour. Must be called within a tokio runtime.
pub fn start_sweeping(jobs: &Jobs, store: Store, clock: Clock, retention: Duration) {
    // A statement that has begun is finished: its connection would otherwise be busy when the pool is closed.
    jobs.spawn_stoppable("sweep", move |stop| async move {
        loop {
            match sweep(&store, &clock, retention, &stop).await {
                Ok(0) => {}
                Ok(payloads) => info!(payloads, "cleared payloads older than the retention"),
                Err(error) => warn!(%error, "could not clear old payloads; the next try is in an hour"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
                return;
            }
        }
    });
}

/// Clears every payload that is older than the retention, unless it is told to stop; returns how many it cleared.
pub async fn sweep(
    store: &Store,
    clock: &Clock,
    retention: Duration,
    stop: &CancellationToken,
) -> Result<u64, StoreError> {
    let before = clock.now().minus(retention);
    let mut cleared = 0;
    loop {
        let batch = store.journal().clear_payloads_before(before, BATCH).await?;
        cleared += batch;
        if batch < BATCH || stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return Ok(cleared);
        }
    }
}
