//! Keeps a number of connections busy and notes how long each answer took.
#![expect(clippy::print_stderr, reason = "a long measurement tells that it goes on")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// No answer takes as long as this.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// A request that is ready to go, and texts of which its answer must hold one, if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request: Request<Full<Bytes>>,
    pub(crate) expected: Vec<Arc<str>>,
}

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
}

/// The connections take their calls from here.
type Calls = Arc<Mutex<dyn Iterator<Item = Call> + Send>>;

/// Drives calls through so many connections until the time is over or there are no more.
///
/// Whatever is on its way then is still waited for and counted.
pub(crate) async fn drive(
    address: SocketAddr,
    connections: u32,
    duration: Duration,
    calls: impl Iterator<Item = Call> + Send + 'static,
) -> anyhow::Result<Load> {
    let calls: Calls = Arc::new(Mutex::new(calls));
    let mut senders = Vec::new();
    for _ in 0..connections {
        senders.push(connect(address).await?);
    }
    let started = Instant::now();
    let deadline = started + duration;
    let mut busy = JoinSet::new();
    for sender in senders {
        busy.spawn(keep_busy(sender, Arc::clone(&calls), deadline));
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

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // How it ends, its requests tell.
    tokio::spawn(connection);
    Ok(sender)
}

async fn keep_busy(mut sender: SendRequest<Full<Bytes>>, calls: Calls, deadline: Instant) -> Load {
    let mut load = Load::default();
    while Instant::now() < deadline {
        let call = calls.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some(call) = call else {
            load.ran_out = true;
            break;
        };
        let sent = Instant::now();
        match timeout(PATIENCE, answer(&mut sender, call)).await {
            Ok(Ok(())) => load.latencies.push(sent.elapsed()),
            Ok(Err(error)) => fail(&mut load, format!("{error:#}")),
            Err(_) => fail(&mut load, format!("no answer within {PATIENCE:?}")),
        }
        if sender.is_closed() {
            fail(&mut load, "the program closed a connection".to_owned());
            break;
        }
    }
    load
}

fn fail(load: &mut Load, failure: String) {
    load.failures += 1;
    load.failure.get_or_insert(failure);
}

async fn answer(sender: &mut SendRequest<Full<Bytes>>, call: Call) -> anyhow::Result<()> {
    sender.ready().await?;
    let response = sender.send_request(call.request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let holds = |text: &Arc<str>| body.windows(text.len()).any(|window| window == text.as_bytes());
    let right = call.expected.is_empty() || call.expected.iter().any(holds);
    if status != StatusCode::OK || !right {
        bail!("{status} {}", String::from_utf8_lossy(&body));
    }
    Ok(())
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
