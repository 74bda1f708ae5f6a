//! The door: a message is verified, read and written, and only then answered.

use std::sync::Arc;

use http::HeaderMap;
use tracing::{Instrument, info, warn};

use super::batcher::{Batcher, TIMEOUT, WriteError, Writer};
use super::feed::Feed;
use crate::clock::Clock;
use crate::domain::{Change, Delivery, Outcome, Reading};
use crate::providers::{NotJson, Read, Sources};
use crate::signature::SignatureError;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// Takes messages in.
#[derive(Clone, Debug)]
pub struct Intake {
    sources: Arc<Sources>,
    batcher: Batcher,
    writer: Writer,
    clock: Clock,
}

/// What the sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What became of the message.
    pub outcome: Outcome,
    /// The provider's id of it.
    pub message_id: String,
}

/// A message was not taken in; nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// No source has that name.
    #[error("no source has this name")]
    UnknownSource,
    /// It does not come from the source.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It comes from the source, but is no JSON.
    #[error(transparent)]
    NotJson(#[from] NotJson),
    /// It was not written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Intake {
    /// An intake for these sources, which writes in the background. Must be called within a tokio runtime.
    pub fn start(sources: Arc<Sources>, store: Store, clock: Clock, metrics: Metrics, feed: Feed) -> Self {
        let writer = Writer { store, sources: Arc::clone(&sources), clock: clock.clone(), metrics, feed };
        Self { sources, batcher: Batcher::start(writer.clone()), writer, clock }
    }

    /// Takes one message in. Once this returns a receipt, what it says is lasting.
    pub async fn receive(
        &self,
        source: &str,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Result<Receipt, ReceiveError> {
        let source = self.sources.get(source).ok_or(ReceiveError::UnknownSource)?;
        let now = self.clock.now();
        let message = source.verify(headers, body, now)?;
        match source.read(message, now)? {
            Read::NothingOfUsers { message_id, event_type } => {
                info!(source = source.name(), message_id, event_type, outcome = "ignored", "delivery");
                Ok(Receipt { outcome: Outcome::Ignored, message_id })
            }
            Read::Delivery(delivery) => self.write(delivery).await,
        }
    }

    /// Stores what a token's claims say of its user, below what the provider says; tells whether that made
    /// the row.
    pub async fn store_claims(&self, claims: &Change) -> Result<bool, StoreError> {
        let (writer, claims) = (self.writer.clone(), claims.clone());
        let writing = async move {
            let late = |_| Err(StoreError::away("the transaction took too long"));
            let stored =
                tokio::time::timeout(TIMEOUT, writer.store_claims(&claims)).await.unwrap_or_else(late);
            // Whatever came of it: another replica may have been first, or the answer to a commit may be lost.
            writer.feed.wake(&[claims.user.fingerprint()]);
            stored
        };
        // Of its own, so that a change is told of even if the caller has not waited for the answer.
        let stored = tokio::spawn(writing.in_current_span()).await;
        stored.unwrap_or_else(|panicked| Err(StoreError::away(&panicked.to_string())))
    }

    /// Returns once everything that was taken in is written, whether or not its sender still waits.
    pub async fn drain(&self) {
        self.batcher.drain().await;
    }

    async fn write(&self, delivery: Delivery) -> Result<Receipt, ReceiveError> {
        let message_id = delivery.message_id.clone();
        let line = Line::of(&delivery);
        let outcome = self.batcher.write(delivery).await?;
        line.log(outcome);
        Ok(Receipt { outcome, message_id })
    }
}

/// What the log says of a delivery, kept while the delivery itself is being written.
struct Line {
    source: String,
    message_id: String,
    event_type: Option<String>,
    external_id: Option<String>,
    reason: Option<String>,
}

impl Line {
    fn of(delivery: &Delivery) -> Self {
        let Delivery { source, message_id, event_type, reading, .. } = delivery;
        let reason = match reading {
            Reading::Change(_) => None,
            Reading::Unreadable { reason, .. } => Some(reason.clone()),
        };
        Self {
            source: source.clone(),
            message_id: message_id.clone(),
            event_type: event_type.clone(),
            external_id: delivery.user().map(|user| user.external_id.clone()),
            reason,
        }
    }

    fn log(self, outcome: Outcome) {
        let Self { source, message_id, event_type, external_id, reason } = self;
        let outcome = outcome.as_str();
        if let Some(reason) = reason {
            warn!(source, message_id, event_type, external_id, reason, outcome, "delivery");
        } else {
            info!(source, message_id, event_type, external_id, outcome, "delivery");
        }
    }
}
