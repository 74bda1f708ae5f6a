//! The lease of a run: one process at a time works on a source, and releases the run when it stops.

use std::time::Duration;

use uuid::Uuid;

use super::Puller;
use super::error::PullError;
use super::progress::Progress;
use crate::domain::Timestamp;
use crate::store::{RUN_LEASE, Run, RunRequest, RunStart, StoreError};

/// How often a process renews its lease: well before the lease ends.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(3);
/// How often a process that waits for a lease checks it.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How often a process tries to begin a run while the database is unavailable.
const DATABASE_ATTEMPTS: u32 = 5;

/// Whether the process that has a lease is still running.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    /// It has renewed the lease, or the lease lasts too long to wait for its end.
    Alive,
    /// It may have been killed: wait until the lease ends.
    Unknown,
}

/// The lease of another process, as it was first seen.
#[derive(Debug)]
struct OtherLease {
    until: Timestamp,
    seen_at: Timestamp,
}

impl OtherLease {
    fn holder(&self, until: Timestamp, now: Timestamp) -> Holder {
        // Another machine's clock may be ahead of this one, so the wait has a limit.
        let is_overdue = now > self.seen_at.plus(RUN_LEASE * 2);
        if until > self.until || is_overdue { Holder::Alive } else { Holder::Unknown }
    }
}

impl Puller {
    /// Begins or continues a run; one that is complete may be returned as it is.
    ///
    /// A process that was killed cannot release its run, so this waits until its lease ends. If the other process
    /// renews its lease, this fails.
    pub(super) async fn begin(
        &self,
        request: &RunRequest<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Run, PullError> {
        let mut first: Option<OtherLease> = None;
        let mut failures = 0;
        loop {
            if self.stop.is_cancelled() {
                return Err(PullError::Interrupted);
            }
            let until = match self.writer.store.runs().begin(request, &self.clock).await {
                Ok(RunStart::Started(run) | RunStart::AlreadyComplete(run)) => return Ok(run),
                Ok(RunStart::LeasedByOther { until }) => until,
                Err(StoreError::Unavailable(_)) if failures + 1 < DATABASE_ATTEMPTS => {
                    failures += 1;
                    self.pause().await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            failures = 0;
            let now = self.clock.now();
            let first = first.get_or_insert_with(|| {
                progress.note(&format!(
                    "another process has a lease on this source until {until}; waiting up to {} s to see whether it is still running",
                    RUN_LEASE.as_secs() * 2
                ));
                OtherLease { until, seen_at: now }
            });
            if first.holder(until, now) == Holder::Alive {
                return Err(PullError::Held { source_name: request.source.to_owned(), until });
            }
            self.pause().await;
        }
    }

    async fn pause(&self) {
        tokio::select! { () = tokio::time::sleep(POLL_INTERVAL) => {}, () = self.stop.cancelled() => {} }
    }

    /// Does the work of a run while renewing its lease. The work ends early if this process has to stop, or if another
    /// one has taken the run over.
    pub(super) async fn while_held<T>(
        &self,
        run: Uuid,
        work: impl Future<Output = Result<T, PullError>>,
    ) -> Result<T, PullError> {
        tokio::select! {
            result = work => result,
            error = self.renew(run) => Err(error),
            () = self.stop.cancelled() => Err(PullError::Interrupted),
        }
    }

    /// Renews the lease of a run; returns if another process has taken the run over.
    async fn renew(&self, run: Uuid) -> PullError {
        loop {
            tokio::time::sleep(RENEWAL_INTERVAL).await;
            let held = self.writer.store.runs().hold(run, &self.holder, self.clock.now()).await;
            // If the database is unavailable, writing the next page fails.
            if matches!(held, Ok(false)) {
                return StoreError::unavailable("another process has taken this run over").into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Holder, OtherLease, RUN_LEASE};
    use crate::domain::Timestamp;

    #[test]
    fn a_process_that_renews_its_lease_is_alive() {
        let seen_at = Timestamp::from_seconds(1000);
        let until = seen_at.plus(RUN_LEASE);
        let lease = OtherLease { until, seen_at };
        for seconds in [0, 1, RUN_LEASE.as_secs()] {
            let now = seen_at.plus(Duration::from_secs(seconds));
            assert_eq!(lease.holder(until, now), Holder::Unknown);
            assert_eq!(lease.holder(until.plus(Duration::from_secs(1)), now), Holder::Alive);
        }
    }

    #[test]
    fn the_wait_for_a_lease_has_a_limit() {
        let seen_at = Timestamp::from_seconds(1000);
        // According to the clock of another machine, which is an hour ahead.
        let until = seen_at.plus(Duration::from_hours(1));
        let lease = OtherLease { until, seen_at };
        assert_eq!(lease.holder(until, seen_at.plus(RUN_LEASE * 2)), Holder::Unknown);
        assert_eq!(lease.holder(until, seen_at.plus(RUN_LEASE * 2 + Duration::from_secs(1))), Holder::Alive);
    }
}
