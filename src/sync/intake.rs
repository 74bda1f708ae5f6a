//! Where messages come in: each is verified, read and written, and only then answered.
//!
//! The source is looked up, and the message logged and counted, here and nowhere else.

use std::sync::Arc;

use http::HeaderMap;
use tracing::{info, warn};

use super::activity::Activities;
use super::claims::ClaimsStored;
use super::deliveries::Written;
use super::feed::Feed;
use super::queue::{Queue, WriteError};
use super::transaction::Writer;
use crate::clock::Clock;
use crate::domain::{Change, Content, Delivery, Outcome, StaleReason, UserKey};
use crate::jobs::Jobs;
use crate::providers::{NotJson, ReadMessage, Source, Sources};
use crate::signature::SignatureError;
use crate::store::{Chain, StoreError};
use crate::telemetry::{Metrics, Span};

/// Takes messages in.
#[derive(Clone, Debug)]
pub struct Intake {
    sources: Arc<Sources>,
    queue: Queue,
    writer: Writer,
    feed: Feed,
    activities: Activities,
    clock: Clock,
    metrics: Metrics,
    jobs: Jobs,
}

/// The answer for the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The outcome of the delivery.
    pub outcome: Outcome,
    /// The provider's id of it.
    pub message_id: String,
}

/// A message was not accepted; nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// No source has that name.
    ///
    /// The name itself is not repeated: it can be any text from the URL.
    #[error("no source has the name in the URL; the sources are {known}")]
    UnknownSource {
        /// The names of the configured sources.
        known: String,
    },
    /// It does not come from the source.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It comes from the source, but is not JSON.
    #[error(transparent)]
    NotJson(#[from] NotJson),
    /// It was not written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// How a caller refuses a message: with a stable code, by which refusals are counted.
pub trait Refusal: From<ReceiveError> {
    /// The code, such as `invalid_signature`.
    fn code(&self) -> &'static str;
}

impl Intake {
    /// An intake for the writer's sources, which writes in the background. Must be called within a tokio runtime.
    pub fn start(jobs: Jobs, writer: Writer, feed: Feed, activities: Activities) -> Self {
        let Writer { sources, clock, metrics, .. } = writer.clone();
        let queue = Queue::start(&jobs, writer.clone(), feed.clone());
        Self { sources, queue, writer, feed, activities, clock, metrics, jobs }
    }

    /// Processes one message. When this returns a receipt, the message is stored.
    ///
    /// The body is read only if the source is known. `span` is that of the request.
    pub async fn receive<E: Refusal>(
        &self,
        source: &str,
        headers: &HeaderMap,
        body: impl Future<Output = Result<Vec<u8>, E>>,
        span: &Span,
    ) -> Result<Receipt, E> {
        let Some(source) = self.sources.get(source) else {
            let refusal = E::from(ReceiveError::UnknownSource { known: self.sources.names().join(", ") });
            // With names that senders invent, the number of labels would be unlimited.
            self.metrics.delivery_refused("unknown", refusal.code());
            return Err(refusal);
        };
        let received = match body.await {
            Ok(body) => self.receive_from(source, headers, body, span).await.map_err(E::from),
            Err(refusal) => Err(refusal),
        };
        match &received {
            Ok(receipt) => self.metrics.delivery(source.name(), receipt.outcome.as_str()),
            Err(refusal) => self.metrics.delivery_refused(source.name(), refusal.code()),
        }
        received
    }

    async fn receive_from(
        &self,
        source: &Source,
        headers: &HeaderMap,
        body: Vec<u8>,
        span: &Span,
    ) -> Result<Receipt, ReceiveError> {
        let now = self.clock.now();
        span.set("usersync.source", source.name());
        let verifying = span.child("verify");
        let message =
            source.verify(headers, body, now).inspect_err(|_| self.activities.refused(source.name(), now))?;
        let message = source.read(message, now)?;
        verifying.end();
        let receipt = self.write(message, source, span).await?;
        self.activities.accepted(source.name(), now);
        Ok(receipt)
    }

    async fn write(
        &self,
        message: ReadMessage,
        source: &Source,
        span: &Span,
    ) -> Result<Receipt, ReceiveError> {
        match message {
            ReadMessage::NotAboutUsers { message_id, event_type } => {
                info!(source = source.name(), message_id, event_type, outcome = "ignored", "delivery");
                Ok(Receipt { outcome: Outcome::Ignored, message_id })
            }
            ReadMessage::Delivery(delivery) => {
                let message_id = delivery.message_id.clone();
                let line = Line::of(&delivery);
                let Written { outcome, stale } = self.queue.write(delivery, span).await?;
                line.log(outcome, stale);
                Ok(Receipt { outcome, message_id })
            }
        }
    }

    /// Stores what a token's claims contain about its user; values from the provider take precedence; returns whether
    /// that made the row.
    pub async fn store_claims(&self, claims: &Change) -> Result<bool, StoreError> {
        let (intake, claims) = (self.clone(), claims.clone());
        let storing = async move {
            let mut chain = Chain::for_request(intake.writer.store.clone());
            let stored = intake.writer.write_claims(&mut chain, &claims).await;
            // After any result: another replica may have been first, or the answer to a commit may be lost.
            intake.feed.wake(&[claims.user.fingerprint()]);
            let ClaimsStored { outcome, is_new } = stored?;
            if outcome == Outcome::Applied {
                let UserKey { source, external_id } = &claims.user;
                info!(source, external_id, is_new, "stored a user from token claims");
            }
            Ok(is_new)
        };
        // A task of its own, so that a change is notified even if the caller does not wait for the answer.
        let stored = self.jobs.spawn_task(storing).await;
        stored.unwrap_or_else(|panicked| Err(StoreError::unavailable(&panicked.to_string())))
    }

    /// Whether another delivery would be queued now, and not be refused because too many wait.
    pub fn has_capacity(&self) -> bool {
        self.queue.has_capacity()
    }

    /// Returns when every accepted delivery is written, whether or not its sender still waits.
    pub async fn drain(&self) {
        self.queue.drain().await;
    }
}

/// The fields of a delivery's log line, kept while the delivery itself is being written.
struct Line {
    source: String,
    message_id: String,
    event_type: Option<String>,
    external_id: Option<String>,
    reason: Option<String>,
}

impl Line {
    fn of(delivery: &Delivery) -> Self {
        let Delivery { source, message_id, event_type, content, .. } = delivery;
        let reason = match content {
            Content::Change(_) => None,
            Content::Unreadable { reason, .. } => Some(reason.clone()),
        };
        Self {
            source: source.clone(),
            message_id: message_id.clone(),
            event_type: event_type.clone(),
            external_id: delivery.user().map(|user| user.external_id.clone()),
            reason,
        }
    }

    fn log(self, outcome: Outcome, stale: Option<StaleReason>) {
        let Self { source, message_id, event_type, external_id, reason } = self;
        let outcome = outcome.as_str();
        if let Some(reason) = reason {
            warn!(source, message_id, event_type, external_id, reason, outcome, "delivery");
        } else if let Some(reason) = stale.map(StaleReason::as_str) {
            info!(source, message_id, event_type, external_id, reason, outcome, "delivery");
        } else {
            info!(source, message_id, event_type, external_id, outcome, "delivery");
        }
    }
}
