//! The door: a message is verified, read and written, and only then answered.

use std::sync::Arc;

use http::HeaderMap;
use tracing::{info, warn};

use super::apply;
use crate::clock::Clock;
use crate::domain::{Delivery, Outcome, Reading};
use crate::providers::{NotJson, Read, Sources};
use crate::signature::SignatureError;
use crate::store::{Store, StoreError};

/// Takes messages in.
#[derive(Clone, Debug)]
pub struct Intake {
    sources: Arc<Sources>,
    store: Store,
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
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Intake {
    /// An intake for these sources.
    pub fn new(sources: Arc<Sources>, store: Store, clock: Clock) -> Self {
        Self { sources, store, clock }
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

    async fn write(&self, delivery: Delivery) -> Result<Receipt, ReceiveError> {
        let now = self.clock.now();
        let outcome =
            match apply::apply(&self.store, &self.sources, std::slice::from_ref(&delivery), now).await {
                Err(StoreError::Refused(error)) => {
                    warn!(%error, "the database refuses a delivery");
                    apply::park(&self.store, delivery.clone()).await?
                }
                outcomes => outcomes?.first().copied().unwrap_or(Outcome::Parked),
            };
        log(&delivery, outcome);
        Ok(Receipt { outcome, message_id: delivery.message_id })
    }
}

fn log(delivery: &Delivery, outcome: Outcome) {
    let Delivery { source, message_id, event_type, reading, .. } = delivery;
    let outcome = outcome.as_str();
    match reading {
        Reading::Change(change) => {
            let external_id = &change.user.external_id;
            info!(source, message_id, event_type, external_id, outcome, "delivery");
        }
        Reading::Unreadable { reason } => warn!(source, message_id, event_type, reason, outcome, "delivery"),
    }
}
