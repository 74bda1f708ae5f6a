//! Reading the log of events, as `GET /v1/events` does.

use std::time::Duration;

use super::body::{EventBody, bodies};
use crate::clock::Clock;
use crate::domain::collapse;
use crate::store::{EventFilter, Store, StoreError};

/// The log of events, for readers with a cursor.
#[derive(Clone, Debug)]
pub struct EventLog {
    /// The database with the log.
    pub store: Store,
    /// How long an event is kept.
    pub retention: Duration,
    /// To find out which events are older than the retention, whether or not they are deleted yet.
    pub clock: Clock,
}

/// A page of the log, as it is sent to a reader.
#[derive(Debug)]
pub struct EventBodies {
    /// The events in order, those of one user collapsed.
    pub events: Vec<EventBody>,
    /// The cursor to continue from.
    pub next: i64,
}

/// Why the log cannot be read from a cursor.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Events after the cursor are not kept any more.
    #[error("events after the cursor are no longer stored, or the cursor is from another database")]
    Expired {
        /// The cursor to continue from, after the users were listed.
        next: i64,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EventLog {
    /// The cursor before the first event that is kept.
    pub async fn start(&self) -> Result<i64, StoreError> {
        self.store.outbox().start(self.clock.now().minus(self.retention)).await
    }

    /// At most `limit` events after a cursor. The answer is empty only if there are no more.
    pub async fn read(&self, after: i64, filter: &EventFilter, limit: u64) -> Result<EventBodies, ReadError> {
        let since = self.clock.now().minus(self.retention);
        if !self.store.outbox().has_kept(after, since).await? {
            return Err(ReadError::Expired { next: self.store.outbox().end().await? });
        }
        let mut next = after;
        loop {
            let page = self.store.outbox().page(next, filter, limit).await?;
            let events = bodies(&self.store, &collapse(page.events)).await?;
            next = page.next;
            // A user who was created and deleted meanwhile has no event.
            if !events.is_empty() || page.is_last {
                return Ok(EventBodies { events, next });
            }
        }
    }
}
