//! Background tasks: everything that goes on beside the requests, on one tracker, with one way to end.
//!
//! A service ends in two steps. First it is told to stop: [loops](Jobs::spawn_loop) end at once, and so do open
//! streams, while open requests are still answered. Once the last one is answered, the [workers](Jobs::spawn_worker)
//! that answered them are told to end. [Tasks](Jobs::spawn_task) end by themselves. All of them are waited for.

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error, warn};

/// The background tasks of one service. A clone stands for the same ones.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    tracker: TaskTracker,
    tokens: Tokens,
}

#[derive(Clone, Debug)]
struct Tokens {
    /// Cancelled when the service is told to stop.
    stop: CancellationToken,
    /// Cancelled when the last request is answered; then nothing goes on.
    end: CancellationToken,
}

impl Default for Tokens {
    fn default() -> Self {
        let end = CancellationToken::new();
        Self { stop: end.child_token(), end }
    }
}

impl Jobs {
    /// Runs a loop until the service is told to stop; it is then dropped where it waits.
    pub fn spawn_loop(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.tokens.stop.clone();
        self.spawn(name, async move { stop.run_until_cancelled_owned(work).await.unwrap_or_default() });
    }

    /// Runs what must not be dropped half-way: it is given the token, and ends by itself soon after the token is
    /// cancelled.
    pub fn spawn_stoppable<Work>(&self, name: &'static str, work: impl FnOnce(CancellationToken) -> Work)
    where
        Work: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, work(self.tokens.stop.clone()));
    }

    /// Runs what answers requests: it is given a token that is cancelled only after the last request.
    pub fn spawn_worker<Work>(&self, name: &'static str, work: impl FnOnce(CancellationToken) -> Work)
    where
        Work: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, work(self.tokens.end.clone()));
    }

    /// Does a piece of work beside the request that caused it, and to its end though nobody waits for it.
    pub fn spawn_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tracker.spawn(work.in_current_span())
    }

    /// Cancelled when the service is told to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.tokens.stop.clone()
    }

    /// Tells loops and open streams to end.
    pub fn stop(&self) {
        self.tokens.stop.cancel();
    }

    /// Tells everything to end, and waits for it so long at most.
    pub async fn end(&self, longest: Duration) {
        self.tokens.end.cancel();
        self.tracker.close();
        if tokio::time::timeout(longest, self.tracker.wait()).await.is_err() {
            warn!(tasks = self.tracker.len(), "background tasks did not end in time");
        }
    }

    /// For the owner of these jobs: when the guard is dropped everything ends, and is not waited for.
    pub fn guard(self) -> JobsGuard {
        JobsGuard(self)
    }

    fn spawn(&self, job: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        // A panic would otherwise be told in other words than everything else, and not say which job is missing now.
        let work = AssertUnwindSafe(work).catch_unwind();
        self.tracker.spawn(async move {
            if work.await.is_err() {
                error!(job, "a background job has panicked and does not go on");
            }
        });
    }
}

/// Ends the jobs when it is dropped.
#[derive(Debug)]
pub struct JobsGuard(Jobs);

impl Deref for JobsGuard {
    type Target = Jobs;

    fn deref(&self) -> &Jobs {
        &self.0
    }
}

impl Drop for JobsGuard {
    fn drop(&mut self) {
        self.0.tokens.end.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::Jobs;

    const LONG: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn loops_end_when_told_to_stop_and_workers_after_them() {
        let jobs = Jobs::default();
        jobs.spawn_loop("loop", std::future::pending());
        let (stopped, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stopping, ending) = (Arc::clone(&stopped), Arc::clone(&ended));
        jobs.spawn_stoppable("stoppable", |stop| async move {
            stop.cancelled().await;
            stopping.store(true, Ordering::SeqCst);
        });
        jobs.spawn_worker("worker", |end| async move {
            end.cancelled().await;
            ending.store(true, Ordering::SeqCst);
        });
        jobs.stop();
        while jobs.tracker.len() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(stopped.load(Ordering::SeqCst) && !ended.load(Ordering::SeqCst));
        jobs.end(LONG).await;
        assert!(jobs.tracker.is_empty() && ended.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_task_is_waited_for_and_a_panic_holds_up_nobody() {
        let jobs = Jobs::default();
        let task = jobs.spawn_task(async {
            tokio::task::yield_now().await;
            7
        });
        jobs.spawn_loop("careless", async { panic!("on purpose") });
        jobs.end(LONG).await;
        assert_eq!(task.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_does_not_end_is_not_waited_for_without_end() {
        let jobs = Jobs::default();
        jobs.spawn_worker("stubborn", |_| std::future::pending());
        jobs.end(Duration::from_millis(10)).await;
        assert_eq!(jobs.tracker.len(), 1);
    }

    #[tokio::test]
    async fn dropping_the_guard_ends_everything() {
        let jobs = Jobs::default();
        jobs.spawn_loop("loop", std::future::pending());
        jobs.spawn_worker("worker", |end| async move { end.cancelled().await });
        drop(jobs.clone().guard());
        jobs.tracker.close();
        jobs.tracker.wait().await;
    }
}
