//! The lease of a run: one process at a time works on a source, and gives the run back when it is told to stop.

use std::time::Duration;

use uuid::Uuid;

use super::Puller;
use super::error::PullError;
use super::progress::Progress;
use crate::domain::Timestamp;
use crate::store::{Begun, RUN_LEASE, Run, RunRequest, StoreError};

/// How often a process renews its lease: well before the lease ends.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(3);
/// How often whoever waits for a lease looks at it.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often a run is tried to begin while the database is away.
const DATABASE_ATTEMPTS: u32 = 5;

/// What can be told of a lease that another process has.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    /// It has renewed the lease, or has it for longer than anybody should wait.
    Alive,
    /// It may have been killed: the lease is waited for.
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
        // Another machine's clock may be ahead of this one. It is not waited for without end.
        let is_overdue = now > self.seen_at.plus(RUN_LEASE * 2);
        if until > self.until || is_overdue { Holder::Alive } else { Holder::Unknown }
    }
}

impl Puller {
    /// Begins or continues a run; one that is complete may be returned as it is.
    ///
    /// A process that was killed cannot give its run back, so the end of its lease is waited for. A process that renews its
    /// lease is not waited for.
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
                Ok(Begun::Ours(run) | Begun::Complete(run)) => return Ok(run),
                Ok(Begun::Held { until }) => until,
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
                    "another process has this source until {until}; waiting for it to renew that or to be gone, {} s at most",
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
        tokio::select! { () = tokio::time::sleep(LOOK_INTERVAL) => {}, () = self.stop.cancelled() => {} }
    }

    /// Does the work of a run while renewing its lease. The work ends early if this process is told to stop, or if
    /// another one has taken the run over.
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
            // A database that is away is noticed by the next page.
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
    fn whoever_renews_a_lease_is_alive_and_anyone_else_is_waited_for() {
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
    fn a_lease_that_does_not_end_is_not_waited_for_without_end() {
        let seen_at = Timestamp::from_seconds(1000);
        // By the clock of another machine, which is an hour ahead.
        let until = seen_at.plus(Duration::from_hours(1));
        let lease = OtherLease { until, seen_at };
        assert_eq!(lease.holder(until, seen_at.plus(RUN_LEASE * 2)), Holder::Unknown);
        assert_eq!(lease.holder(until, seen_at.plus(RUN_LEASE * 2 + Duration::from_secs(1))), Holder::Alive);
    }
}
