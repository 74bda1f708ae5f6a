//! Group commit: deliveries that come while a commit is under way are written together by the next one.
//!
//! A lone delivery waits for nobody. The queue is bounded in number and in bytes; what does not fit is told
//! so at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::warn;

use super::apply::{Arrival, apply};
use super::feed::Feed;
use crate::clock::Clock;
use crate::domain::{Delivery, Outcome, Reading, UserKey};
use crate::providers::Sources;
use crate::store::{Chain, Store, StoreError};
use crate::telemetry::Metrics;

/// Deliveries that may wait.
const QUEUE: usize = 1024;
/// Bytes that may wait, so that a queue of the largest bodies is no danger to the machine.
const QUEUE_BYTES: u32 = 64 << 20;
/// Deliveries in one transaction: past some hundreds a larger one is no quicker, and holds its locks longer.
const LARGEST_BATCH: usize = 256;
/// How long a transaction may take before the database counts as away.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The queue's near end.
#[derive(Clone, Debug)]
pub(super) struct Batcher {
    queue: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
}

/// What writes batches.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) sources: Arc<Sources>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) feed: Feed,
}

/// A delivery was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Too many wait already.
    #[error("too many deliveries wait to be written")]
    QueueFull,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
struct Job {
    delivery: Delivery,
    written: oneshot::Sender<Result<Outcome, StoreError>>,
    /// Given back once the delivery is written.
    bytes: OwnedSemaphorePermit,
}

impl Batcher {
    /// Starts to write in the background, until the last batcher is dropped and the queue is empty.
    pub(super) fn start(writer: Writer) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(writer.run(jobs));
        Self { queue, bytes: Arc::new(Semaphore::new(QUEUE_BYTES as usize)) }
    }

    /// Has a delivery written; returns once the commit is lasting.
    pub(super) async fn write(&self, delivery: Delivery) -> Result<Outcome, WriteError> {
        // One that is larger than the whole queue has it to itself.
        let size = u32::try_from(delivery.payload.len()).unwrap_or(u32::MAX).min(QUEUE_BYTES);
        let bytes =
            Arc::clone(&self.bytes).try_acquire_many_owned(size).map_err(|_| WriteError::QueueFull)?;
        let (written, outcome) = oneshot::channel();
        let job = Job { delivery, written, bytes };
        self.queue.try_send(job).map_err(|_| WriteError::QueueFull)?;
        // The writer answers every job, unless the process is ending.
        Ok(outcome.await.map_err(|_| WriteError::QueueFull)??)
    }

    /// Returns once nothing waits to be written.
    pub(super) async fn drain(&self) {
        // Every byte is given back only after its delivery is written; the semaphore is never closed.
        drop(self.bytes.acquire_many(QUEUE_BYTES).await);
    }
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(LARGEST_BATCH);
        let mut chain = Chain::new(self.store.clone());
        while queue.recv_many(&mut jobs, LARGEST_BATCH).await > 0 {
            let (batch, waiting): (Vec<Delivery>, Vec<_>) =
                jobs.drain(..).map(|job| (job.delivery, (job.written, job.bytes))).unzip();
            let users: Vec<i64> = batch.iter().filter_map(Delivery::user).map(UserKey::fingerprint).collect();
            let outcomes = self.write(&mut chain, batch, Arrival::First).await;
            // Before anybody is answered, and also if it failed: a commit may have come to the database whose answer was
            // lost.
            self.feed.outdate(users.iter().copied());
            let away = outcomes.iter().any(|outcome| matches!(outcome, Err(StoreError::Unavailable(_))));
            for ((written, _), outcome) in waiting.into_iter().zip(outcomes) {
                // A caller that went away needs no answer: what it sent is written all the same.
                drop(written.send(outcome));
            }
            // Last, for a user may have thousands who wait. Those who turn out to be unchanged are woken for nothing.
            self.feed.rouse(users);
            if away {
                refuse_all(&mut queue);
            }
            // An open transaction is for those who wait, not for those who may come.
            if queue.is_empty() {
                chain.end();
            }
        }
    }

    /// Writes a batch at once; if the database does not take something in it, each delivery by itself, so that one
    /// that is poisonous, or whose user somebody else has locked, harms only itself.
    pub(super) async fn write(
        &self,
        chain: &mut Chain,
        batch: Vec<Delivery>,
        arrival: Arrival,
    ) -> Vec<Result<Outcome, StoreError>> {
        self.metrics.batch(batch.len());
        match self.apply(chain, &batch, arrival).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(StoreError::Refused(_)) => self.write_each(chain, batch, arrival).await,
            Err(StoreError::Hindered(_)) if batch.len() > 1 => self.write_each(chain, batch, arrival).await,
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn write_each(
        &self,
        chain: &mut Chain,
        batch: Vec<Delivery>,
        arrival: Arrival,
    ) -> Vec<Result<Outcome, StoreError>> {
        let started = Instant::now();
        // What need not be found out once more.
        let mut away: Option<StoreError> = None;
        let mut hindered: BTreeMap<UserKey, StoreError> = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        for delivery in batch {
            let user = delivery.user().cloned();
            if started.elapsed() > TIMEOUT {
                away.get_or_insert_with(|| StoreError::away("one by one took too long"));
            }
            let known = away.as_ref().or_else(|| hindered.get(user.as_ref()?));
            let outcome = match known {
                Some(error) => Err(error.clone()),
                None => self.write_alone(chain, delivery, arrival).await,
            };
            match (&outcome, user) {
                (Err(error @ StoreError::Unavailable(_)), _) => away = Some(error.clone()),
                (Err(error @ StoreError::Hindered(_)), Some(user)) => {
                    hindered.insert(user, error.clone());
                }
                _ => {}
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Writes one delivery, parked if the database refuses it as what it says.
    async fn write_alone(
        &self,
        chain: &mut Chain,
        mut delivery: Delivery,
        arrival: Arrival,
    ) -> Result<Outcome, StoreError> {
        let alone = std::slice::from_ref(&delivery);
        let outcomes = match self.apply(chain, alone, arrival).await {
            Err(error @ StoreError::Refused(_)) => {
                warn!(%error, source = delivery.source, message_id = delivery.message_id, "the database refuses a delivery");
                let user = delivery.user().cloned();
                let reason = "the database refused to write it; the log says why".to_owned();
                delivery.reading = Reading::Unreadable { user, reason };
                self.apply(chain, std::slice::from_ref(&delivery), arrival).await?
            }
            outcomes => outcomes?,
        };
        outcomes.first().copied().ok_or_else(|| StoreError::away("there is no outcome"))
    }

    async fn apply(
        &self,
        chain: &mut Chain,
        batch: &[Delivery],
        arrival: Arrival,
    ) -> Result<Vec<Outcome>, StoreError> {
        let started = Instant::now();
        let writing = apply(chain, &self.sources, batch, arrival, &self.clock);
        let outcomes = tokio::time::timeout(TIMEOUT, writing)
            .await
            .unwrap_or_else(|_| Err(StoreError::away("the transaction took too long")));
        self.metrics.commit(started.elapsed());
        outcomes
    }
}

/// While the database is away nobody is kept waiting for the next one to find out.
fn refuse_all(queue: &mut mpsc::Receiver<Job>) {
    while let Ok(job) = queue.try_recv() {
        drop(job.written.send(Err(StoreError::away("the database was away a moment ago"))));
    }
}
