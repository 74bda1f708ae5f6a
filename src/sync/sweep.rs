//! Retention: payloads go when they are older than configured; ids, stamps and tombstones stay.

use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// How often it is looked for what is too old.
const EVERY: Duration = Duration::from_hours(1);
/// Payloads in one transaction, and the rest after it: deliveries come in between.
const PORTION: u64 = 500;
const REST: Duration = Duration::from_millis(50);

/// The sweep in the background; it ends when this is dropped.
#[derive(Debug)]
pub struct Sweep(JoinHandle<()>);

impl Sweep {
    /// Begins to sweep, now and every hour. Must be called within a tokio runtime.
    pub fn start(store: Store, clock: Clock, retention: Duration) -> Self {
        Self(tokio::spawn(async move {
            loop {
                match sweep(&store, &clock, retention).await {
                    Ok(0) => {}
                    Ok(payloads) => info!(payloads, "cleared payloads older than the retention"),
                    Err(error) => warn!(%error, "could not clear old payloads; tried again in an hour"),
                }
                tokio::time::sleep(EVERY).await;
            }
        }))
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Clears every payload that is older than the retention; tells how many.
pub async fn sweep(store: &Store, clock: &Clock, retention: Duration) -> Result<u64, StoreError> {
    let before = clock.now().minus(retention);
    let mut cleared = 0;
    loop {
        let portion = store.journal().clear_payloads_before(before, PORTION).await?;
        cleared += portion;
        if portion < PORTION {
            return Ok(cleared);
        }
        tokio::time::sleep(REST).await;
    }
}
