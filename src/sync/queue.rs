//! Group commit: deliveries that arrive during a commit are written together by the next one.
//!
//! A single delivery does not wait for others. The queue is bounded in number and in bytes; what does not fit is
//! refused at once.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::deliveries::{Causes, DeliveryOrigin, Written};
use super::feed::Feed;
use super::transaction::Writer;
use crate::domain::{Delivery, Outcome, UserKey};
use crate::jobs::Jobs;
use crate::store::{Chain, StoreError};
use crate::telemetry::Span;

/// How many deliveries may wait.
const QUEUE_LENGTH: usize = 1024;
/// How many bytes may wait, so that a queue of the largest bodies does not use up the memory.
const QUEUE_BYTES: u32 = 64 << 20;
/// Deliveries in one transaction: past some hundreds a larger one is no quicker, and holds its locks longer.
const LARGEST_BATCH: usize = 256;

/// Where deliveries wait to be written.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    bytes: Arc<Semaphore>,
}

/// A delivery was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Too many wait already.
    #[error("too many deliveries are waiting to be written")]
    QueueFull,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
struct Job {
    delivery: Delivery,
    written: oneshot::Sender<Result<Written, StoreError>>,
    /// Given back once the delivery is written.
    bytes: OwnedSemaphorePermit,
    /// The span of its request.
    span: Span,
    /// The time that it waits in the queue.
    waiting: Span,
}

/// What is done with a delivery after it was written.
struct Answer {
    written: oneshot::Sender<Result<Written, StoreError>>,
    /// Dropped after the answer was sent.
    _bytes: OwnedSemaphorePermit,
    commit: Span,
}

impl Queue {
    /// Starts to write in the background.
    pub(super) fn start(background: &Jobs, writer: Writer, feed: Feed) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE_LENGTH);
        let waiting = Arc::new(Mutex::new(waiting));
        background.spawn_worker("writer", move |end| {
            let (waiting, writer, feed) = (Arc::clone(&waiting), writer.clone(), feed.clone());
            async move {
                let mut waiting = waiting.lock().await;
                let batches = Box::pin(write_all(&mut waiting, writer, feed));
                end.run_until_cancelled(batches).await.unwrap_or_default();
            }
        });
        Self { jobs, bytes: Arc::new(Semaphore::new(QUEUE_BYTES as usize)) }
    }

    /// Gives a delivery to the writer. Returns once it is committed. `span` is that of its request.
    pub(super) async fn write(&self, delivery: Delivery, span: &Span) -> Result<Written, WriteError> {
        // A delivery that is larger than the whole queue has it to itself.
        let size = u32::try_from(delivery.payload.len()).unwrap_or(u32::MAX).min(QUEUE_BYTES);
        let bytes =
            Arc::clone(&self.bytes).try_acquire_many_owned(size).map_err(|_| WriteError::QueueFull)?;
        let (written, outcome) = oneshot::channel();
        let (span, waiting) = (span.clone(), span.child("queue"));
        let job = Job { delivery, written, bytes, span, waiting };
        self.jobs.try_send(job).map_err(|_| WriteError::QueueFull)?;
        // The writer answers every job, unless it panics or the process is ending.
        Ok(outcome
            .await
            .map_err(|_| StoreError::unavailable("it is not known whether the delivery was written"))??)
    }

    /// Whether another delivery would be queued now.
    pub(super) fn has_capacity(&self) -> bool {
        self.jobs.capacity() > 0 && self.bytes.available_permits() > 0
    }

    /// Returns once nothing waits to be written.
    pub(super) async fn drain(&self) {
        // Every byte is returned only after its delivery is written; the semaphore is never closed.
        drop(self.bytes.acquire_many(QUEUE_BYTES).await);
    }
}

async fn write_all(queue: &mut mpsc::Receiver<Job>, writer: Writer, feed: Feed) {
    // After a panic: what the last batch has written was not announced. At the start nobody waits yet.
    feed.wake_all();
    let mut jobs = Vec::with_capacity(LARGEST_BATCH);
    let mut chain = Chain::for_batches(writer.store.clone());
    while queue.recv_many(&mut jobs, LARGEST_BATCH).await > 0 {
        let (batch, waiting): (Vec<Delivery>, Vec<Answer>) = jobs.drain(..).map(Job::begin).unzip();
        let users: Vec<i64> = batch.iter().filter_map(Delivery::user).map(UserKey::fingerprint).collect();
        let causes = causes(&batch, &waiting);
        let outcomes = writer.write_batch(&mut chain, batch, DeliveryOrigin::Received(&causes)).await;
        let count = waiting.len();
        // Before any caller is answered, and also after a failure: the commit may have reached the database, and only
        // its answer was lost.
        feed.invalidate(users.iter().copied());
        let away = outcomes.iter().any(|outcome| matches!(outcome, Err(StoreError::Unavailable(_))));
        // What is known already needs no space.
        let is_new = |written: &Written| written.outcome != Outcome::Duplicate;
        if away {
            writer.store.note_write(false);
        } else if outcomes.iter().flatten().any(is_new) {
            writer.store.note_write(true);
        }
        for (answer, outcome) in waiting.into_iter().zip(outcomes) {
            answer.describe(&outcome, count);
            // A caller that has disconnected needs no answer; what it sent is written anyway.
            drop(answer.written.send(outcome));
        }
        // Last, because thousands may wait for a user. Requests for unchanged users are notified without need.
        feed.notify(users);
        if away {
            refuse_all(queue);
        }
        // A transaction is kept open only while deliveries are waiting.
        if queue.is_empty() {
            chain.end();
        }
    }
}

impl Job {
    /// Ends the wait of a delivery that is written now.
    fn begin(self) -> (Delivery, Answer) {
        let Self { delivery, written, bytes, span, waiting } = self;
        waiting.end();
        (delivery, Answer { written, _bytes: bytes, commit: span.child("commit") })
    }
}

impl Answer {
    /// Ends the span of the commit, which is the same transaction for all deliveries of the batch.
    fn describe(&self, outcome: &Result<Written, StoreError>, deliveries: usize) {
        self.commit.set_number("usersync.batch.deliveries", deliveries);
        match outcome {
            Ok(written) => self.commit.set("usersync.outcome", written.outcome.as_str()),
            Err(_) => self.commit.fail("database"),
        }
        self.commit.end();
    }
}

/// By user, the commit of the newest delivery.
fn causes(batch: &[Delivery], waiting: &[Answer]) -> Causes {
    let traced = batch.iter().zip(waiting).filter(|(_, answer)| answer.commit.is_on());
    traced.filter_map(|(delivery, answer)| Some((delivery.user()?.clone(), answer.commit.clone()))).collect()
}

/// While the database is unavailable, waiting deliveries are refused at once.
fn refuse_all(queue: &mut mpsc::Receiver<Job>) {
    while let Ok(job) = queue.try_recv() {
        drop(job.written.send(Err(StoreError::unavailable("the database was unavailable a moment ago"))));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, mpsc};

    use super::{QUEUE_BYTES, Queue};

    #[tokio::test]
    async fn a_queue_has_room_until_it_is_full_of_deliveries_or_of_bytes() {
        let (jobs, _waiting) = mpsc::channel(1);
        let queue = Queue { jobs, bytes: Arc::new(Semaphore::new(QUEUE_BYTES as usize)) };
        assert!(queue.has_capacity());
        let place = queue.jobs.reserve().await.unwrap();
        assert!(!queue.has_capacity());
        drop(place);
        assert!(queue.has_capacity());
        let bytes = queue.bytes.acquire_many(QUEUE_BYTES).await.unwrap();
        assert!(!queue.has_capacity());
        drop(bytes);
        assert!(queue.has_capacity());
    }
}
