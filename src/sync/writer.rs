//! Writing batches of deliveries. One bad delivery never spoils its batch.

use std::collections::BTreeMap;
use std::time::Instant;

use tracing::warn;

use super::deliveries::{Arrival, Deliveries, Written};
use super::transaction::{TRANSACTION_TIMEOUT, Writer};
use crate::domain::{Content, Delivery, UserKey};
use crate::store::{Chain, StoreError};

impl Writer {
    /// Writes a batch in one transaction; the outcomes stand in the order of the deliveries.
    ///
    /// If the database does not take something in it, each delivery is written by itself. So a value that the database
    /// refuses, or a user whose row somebody else has locked, harms only its own delivery.
    pub(super) async fn write_batch(
        &self,
        chain: &mut Chain,
        batch: Vec<Delivery>,
        arrival: Arrival,
    ) -> Vec<Result<Written, StoreError>> {
        self.metrics.batch(batch.len());
        match self.apply_batch(chain, &batch, arrival).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(StoreError::Rejected(_)) => self.write_one_by_one(chain, batch, arrival).await,
            Err(StoreError::Blocked(_)) if batch.len() > 1 => {
                self.write_one_by_one(chain, batch, arrival).await
            }
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn write_one_by_one(
        &self,
        chain: &mut Chain,
        batch: Vec<Delivery>,
        arrival: Arrival,
    ) -> Vec<Result<Written, StoreError>> {
        let started = Instant::now();
        // What was found out need not be found out once more: that the database is away, and which users it blocks.
        let mut away: Option<StoreError> = None;
        let mut blocked: BTreeMap<UserKey, StoreError> = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        for delivery in batch {
            let user = delivery.user().cloned();
            if started.elapsed() > TRANSACTION_TIMEOUT {
                away.get_or_insert_with(|| StoreError::unavailable("one by one took too long"));
            }
            let known = away.as_ref().or_else(|| blocked.get(user.as_ref()?));
            let outcome = match known {
                Some(error) => Err(error.clone()),
                None => self.write_alone(chain, delivery, arrival).await,
            };
            match (&outcome, user) {
                (Err(error @ StoreError::Unavailable(_)), _) => away = Some(error.clone()),
                (Err(error @ StoreError::Blocked(_)), Some(user)) => {
                    blocked.insert(user, error.clone());
                }
                _ => {}
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Writes one delivery. If the database refuses what it says, it is parked.
    async fn write_alone(
        &self,
        chain: &mut Chain,
        mut delivery: Delivery,
        arrival: Arrival,
    ) -> Result<Written, StoreError> {
        let alone = std::slice::from_ref(&delivery);
        let outcomes = match self.apply_batch(chain, alone, arrival).await {
            Err(error @ StoreError::Rejected(_)) => {
                warn!(%error, source = delivery.source, message_id = delivery.message_id, "the database refuses a delivery");
                delivery = Self::rejected(delivery);
                match self.apply_batch(chain, std::slice::from_ref(&delivery), arrival).await {
                    // The database's encoding lacks a letter of it.
                    Err(StoreError::Rejected(_)) => {
                        self.apply_batch(chain, &[delivery.into_ascii()], arrival).await?
                    }
                    outcomes => outcomes?,
                }
            }
            outcomes => outcomes?,
        };
        outcomes.first().copied().ok_or_else(|| StoreError::unavailable("there is no outcome"))
    }

    /// A delivery whose values the database rejected, as one that is parked.
    pub(super) fn rejected(delivery: Delivery) -> Delivery {
        let user = delivery.user().cloned();
        let reason = "the database refused to write it; the log says why".to_owned();
        Delivery { content: Content::Unreadable { user, reason }, ..delivery }
    }

    /// Writes a batch in one transaction, all of it or nothing.
    async fn apply_batch(
        &self,
        chain: &mut Chain,
        batch: &[Delivery],
        arrival: Arrival,
    ) -> Result<Vec<Written>, StoreError> {
        let started = Instant::now();
        let deliveries = Deliveries { sources: &self.sources, batch, arrival };
        let outcomes = self.change_users(chain, &deliveries).await;
        self.metrics.commit(started.elapsed());
        outcomes
    }
}
