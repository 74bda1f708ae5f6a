//! Keeps a number of connections busy and notes how long each answer took.
#![expect(clippy::print_stderr, reason = "a long measurement prints its progress")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::call::Call;
use crate::connection::Connection;

/// No answer takes as long as this.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What came of the calls.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// How long the answers took, sorted.
    latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
    pub(crate) failures: u32,
    /// The first failure in words.
    pub(crate) failure: Option<String>,
    /// The calls did not last as long as the time.
    pub(crate) ran_out: bool,
}

impl Load {
    /// Of what another generator noted.
    pub(crate) fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self { latencies, elapsed, ..Self::default() }
    }

    pub(crate) fn answered(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.answered()) / self.elapsed.as_secs_f64()
    }

    /// The latency that this share of the answers (in percent) did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).copied().unwrap_or_default()
    }

    fn fail(&mut self, failure: String) {
        self.failures += 1;
        self.failure.get_or_insert(failure);
    }
}

/// The connections take their calls from here.
type Calls = Arc<Mutex<dyn Iterator<Item = Call> + Send>>;

/// Sends calls over this many connections until the time is over or there are no more calls.
///
/// Whatever is on its way then is still waited for and counted.
pub(crate) async fn drive(
    address: SocketAddr,
    connections: u32,
    duration: Duration,
    calls: impl Iterator<Item = Call> + Send + 'static,
) -> anyhow::Result<Load> {
    let calls: Calls = Arc::new(Mutex::new(calls));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let started = Instant::now();
    let deadline = started + duration;
    let mut busy = JoinSet::new();
    for connection in open {
        busy.spawn(keep_busy(connection, Arc::clone(&calls), deadline));
    }
    let progress = tokio::spawn(tell(started, deadline));
    let mut all = Load::default();
    while let Some(one) = busy.join_next().await {
        let one = one?;
        all.latencies.extend(one.latencies);
        all.failures += one.failures;
        all.failure = all.failure.or(one.failure);
        all.ran_out |= one.ran_out;
    }
    progress.abort();
    all.elapsed = started.elapsed();
    all.latencies.sort_unstable();
    Ok(all)
}

async fn keep_busy(mut connection: Connection, calls: Calls, deadline: Instant) -> Load {
    let mut load = Load::default();
    while Instant::now() < deadline {
        let call = calls.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(call) = call else {
            load.ran_out = true;
            break;
        };
        let sent = Instant::now();
        match timeout(TIMEOUT, connection.exchange(&call.request)).await {
            Ok(Ok(answer)) => match call.check(&answer) {
                Ok(()) => load.latencies.push(sent.elapsed()),
                Err(wrong) => load.fail(wrong),
            },
            // What comes next on this connection cannot be distinguished from what should have come now.
            Ok(Err(error)) => {
                load.fail(format!("{error:#}"));
                break;
            }
            Err(_) => {
                load.fail(format!("no answer within {TIMEOUT:?}"));
                break;
            }
        }
    }
    load
}

async fn tell(started: Instant, deadline: Instant) {
    let mut next = started + TELL_EVERY;
    while next < deadline {
        sleep_until(next.into()).await;
        eprintln!("  {} of {} s", (next - started).as_secs(), (deadline - started).as_secs());
        next += TELL_EVERY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let latencies = (1..=200).map(Duration::from_millis).collect();
        let load = Load { latencies, ..Load::default() };
        assert_eq!(load.percentile(50), Duration::from_millis(100));
        assert_eq!(load.percentile(99), Duration::from_millis(198));
        assert_eq!(Load::default().percentile(99), Duration::ZERO);
    }
}
