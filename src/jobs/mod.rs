//! Background tasks: all work in addition to the requests, on one tracker, with one way to shut down.
//!
//! A service shuts down in two steps. First [loops](Jobs::spawn_loop) and open streams end immediately, while open
//! requests are still answered. After the last request, the [workers](Jobs::spawn_worker) that answer requests end.
//! [Tasks](Jobs::spawn_task) run until they are complete. The service waits for all of them.
//!
//! A panic is a defect, but it must not end the sending of events or the watch until somebody restarts the service: work
//! that runs until the service stops is started again after a pause.

use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error, warn};

/// The pause before work that has panicked is started again. It doubles with each panic that follows soon.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, so that a defect which is met at once each time neither fills the log nor repeats expensive work.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The background tasks of one service. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    tracker: TaskTracker,
    tokens: Signals,
}

#[derive(Clone, Debug)]
struct Signals {
    /// Cancelled when the service stops.
    stop: CancellationToken,
    /// Cancelled when the last request is answered.
    end: CancellationToken,
}

impl Default for Signals {
    fn default() -> Self {
        let end = CancellationToken::new();
        Self { stop: end.child_token(), end }
    }
}

impl Jobs {
    /// Runs a loop until the service stops; it is then dropped where it waits.
    pub fn spawn_loop<Work>(&self, name: &'static str, mut work: impl FnMut() -> Work + Send + 'static)
    where
        Work: Future<Output = ()> + Send + 'static,
    {
        self.spawn_stoppable(name, move |stop| {
            let work = work();
            async move { stop.run_until_cancelled_owned(work).await.unwrap_or_default() }
        });
    }

    /// Runs work that must not be dropped half-way: it gets the token, and has to end soon after the token is
    /// cancelled.
    pub fn spawn_stoppable<Work>(
        &self,
        name: &'static str,
        work: impl FnMut(CancellationToken) -> Work + Send + 'static,
    ) where
        Work: Future<Output = ()> + Send + 'static,
    {
        self.spawn_again(name, self.tokens.stop.clone(), [FIRST_PAUSE, LONGEST_PAUSE], work);
    }

    /// Runs work that answers requests: it gets a token that is cancelled only after the last request. After a panic it is
    /// always started again soon, because requests wait for it.
    pub fn spawn_worker<Work>(
        &self,
        name: &'static str,
        work: impl FnMut(CancellationToken) -> Work + Send + 'static,
    ) where
        Work: Future<Output = ()> + Send + 'static,
    {
        self.spawn_again(name, self.tokens.end.clone(), [FIRST_PAUSE, FIRST_PAUSE], work);
    }

    /// Runs work that ends by itself, or when a token that it has taken is cancelled. A panic ends it too.
    pub fn spawn_once(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        // Otherwise a panic would not be logged in the usual format, with the name of the job.
        let work = AssertUnwindSafe(work).catch_unwind();
        self.tracker.spawn(async move {
            if work.await.is_err() {
                error!(job = name, "a background task has panicked");
            }
        });
    }

    /// Runs work in the background of a request; it is finished even if the request is cancelled.
    pub fn spawn_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.tracker.spawn(work.in_current_span())
    }

    /// Cancelled when the service stops.
    pub fn stopping(&self) -> CancellationToken {
        self.tokens.stop.clone()
    }

    /// Cancelled when the last request is answered.
    pub fn ending(&self) -> CancellationToken {
        self.tokens.end.clone()
    }

    /// Signals loops and open streams to end.
    pub fn stop(&self) {
        self.tokens.stop.cancel();
    }

    /// Signals everything to end, and waits for it at most this long.
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

    /// Runs work, and starts it again when it has panicked, until the token is cancelled.
    fn spawn_again<Work>(
        &self,
        name: &'static str,
        token: CancellationToken,
        [first_pause, longest_pause]: [Duration; 2],
        mut work: impl FnMut(CancellationToken) -> Work + Send + 'static,
    ) where
        Work: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(async move {
            let mut pause = first_pause;
            loop {
                let began_at = Instant::now();
                if AssertUnwindSafe(async { work(token.clone()).await }).catch_unwind().await.is_ok() {
                    return;
                }
                if began_at.elapsed() > longest_pause {
                    pause = first_pause;
                }
                if token.is_cancelled() {
                    error!(job = name, "a background task has panicked");
                } else {
                    error!(job = name, "a background task has panicked; it is started again in {pause:?}");
                }
                if token.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
                pause = (pause * 2).min(longest_pause);
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
        jobs.spawn_loop("loop", std::future::pending);
        let (stopped, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (stopping, ending) = (Arc::clone(&stopped), Arc::clone(&ended));
        jobs.spawn_stoppable("stoppable", move |stop| {
            let stopping = Arc::clone(&stopping);
            async move {
                stop.cancelled().await;
                stopping.store(true, Ordering::SeqCst);
            }
        });
        jobs.spawn_worker("worker", move |end| {
            let ending = Arc::clone(&ending);
            async move {
                end.cancelled().await;
                ending.store(true, Ordering::SeqCst);
            }
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
    async fn a_task_is_waited_for_and_a_panic_does_not_delay_the_end() {
        let jobs = Jobs::default();
        let task = jobs.spawn_task(async {
            tokio::task::yield_now().await;
            7
        });
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let started_once = started.clone();
        jobs.spawn_loop("careless", move || {
            started.send(()).unwrap();
            async { panic!("on purpose") }
        });
        jobs.spawn_once("careless", async move {
            started_once.send(()).unwrap();
            panic!("on purpose")
        });
        for _ in 0..2 {
            starts.recv().await.unwrap();
        }
        tokio::time::timeout(LONG, jobs.end(LONG * 2)).await.unwrap();
        assert_eq!(task.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_has_panicked_is_started_again() {
        let jobs = Jobs::default();
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        let mut count = 0;
        let pauses = [Duration::from_millis(1), Duration::from_millis(2)];
        jobs.spawn_again("careless", jobs.stopping(), pauses, move |token| {
            count += 1;
            started.send(count).unwrap();
            assert_ne!(count, 1, "on purpose");
            async move {
                assert!(count > 5, "on purpose");
                token.cancelled().await;
            }
        });
        for expected in 1..=6 {
            assert_eq!(starts.recv().await, Some(expected));
        }
        jobs.end(LONG).await;
        assert!(jobs.tracker.is_empty());
    }

    #[tokio::test]
    async fn a_worker_that_does_not_end_is_waited_for_until_the_timeout() {
        let jobs = Jobs::default();
        jobs.spawn_worker("stubborn", |_| std::future::pending());
        jobs.end(Duration::from_millis(10)).await;
        assert_eq!(jobs.tracker.len(), 1);
    }

    #[tokio::test]
    async fn dropping_the_guard_ends_everything() {
        let jobs = Jobs::default();
        jobs.spawn_loop("loop", std::future::pending);
        jobs.spawn_worker("worker", |end| async move { end.cancelled().await });
        drop(jobs.clone().guard());
        jobs.tracker.close();
        jobs.tracker.wait().await;
    }
}
