//! Retention: payloads are erased when they are older than configured. Ids, stamps and tombstones stay.
//!
//! The replica that has the lease sweeps; the next one continues where it stopped.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::jobs::Jobs;
use crate::store::{LEASE, Store, StoreError};

/// How often to look for payloads that are too old.
const INTERVAL: Duration = Duration::from_hours(1);
/// The pause after each transaction, as a multiple of the time that it took, so that deliveries are not held up.
const PAUSE_FACTOR: u32 = 9;
/// The limits of this pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The name of the lease.
const NAME: &str = "sweep";

/// The result of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swept {
    /// It cleared this number of payloads, and is complete or was stopped.
    Cleared(u64),
    /// Another process has the lease.
    HeldElsewhere,
}

/// Clears payloads older than the retention: now and every hour. Must be called within a tokio runtime.
pub fn start_sweeping(jobs: &Jobs, store: Store, clock: Clock, retention: Duration) {
    // A statement that has begun is finished: its connection would otherwise be busy when the pool is closed.
    jobs.spawn_stoppable("sweep", move |stop| {
        sweep_periodically(store.clone(), clock.clone(), retention, stop)
    });
}

async fn sweep_periodically(store: Store, clock: Clock, retention: Duration, stop: CancellationToken) {
    loop {
        let swept = sweep(&store, &clock, retention, &stop).await;
        match &swept {
            Ok(Swept::Cleared(0) | Swept::HeldElsewhere) => {}
            Ok(Swept::Cleared(payloads)) => info!(payloads, "erased payloads older than the retention"),
            Err(error) => warn!(%error, "could not erase old payloads; the next attempt is in an hour"),
        }
        // The next attempt comes soon enough to take over from a process that was killed.
        let pause = if matches!(swept, Ok(Swept::HeldElsewhere)) { LEASE } else { INTERVAL };
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// Clears every payload that is older than the retention, until `stop` is cancelled, unless another process does so.
pub async fn sweep(
    store: &Store,
    clock: &Clock,
    retention: Duration,
    stop: &CancellationToken,
) -> Result<Swept, StoreError> {
    let holder = clock.fresh_id().to_string();
    let before = clock.now().minus(retention);
    let Some(taken) = store.leases().take(NAME, &holder, clock.now()).await? else {
        return Ok(Swept::HeldElsewhere);
    };
    let mut from = taken.position.as_deref().and_then(Timestamp::parse);
    let (mut payloads, at_once) = (0, store.journal().payloads_at_once());
    loop {
        let began_at = Instant::now();
        let cleared = store.journal().erase_payloads_before(from, before, at_once).await?;
        payloads += cleared.payloads;
        from = cleared.latest.or(from);
        let position = from.map(|from| from.to_string());
        if cleared.payloads < at_once {
            store.leases().release(NAME, &holder, None).await?;
            return Ok(Swept::Cleared(payloads));
        }
        if !store.leases().renew(NAME, &holder, position.as_deref(), clock.now()).await? {
            // This process was suspended for so long that another one has taken over.
            return Ok(Swept::Cleared(payloads));
        }
        let pause = (began_at.elapsed() * PAUSE_FACTOR).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            store.leases().release(NAME, &holder, position.as_deref()).await?;
            return Ok(Swept::Cleared(payloads));
        }
    }
}
