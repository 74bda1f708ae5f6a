//! Writing batches of deliveries. One rejected delivery does not affect the others of its batch.

use std::collections::BTreeMap;
use std::time::Instant;

use tracing::warn;

use super::deliveries::{Deliveries, DeliveryOrigin, Written};
use super::transaction::{TRANSACTION_TIMEOUT, Writer};
use crate::domain::{Content, Delivery, UserKey};
use crate::store::{Chain, StoreError};

impl Writer {
    /// Writes a batch in one transaction; the outcomes are in the order of the deliveries.
    ///
    /// If the database rejects the batch, each delivery is written alone. So a value that the database
    /// rejects, or a user whose row another program has locked, affects only its own delivery.
    pub(super) async fn write_batch(
        &self,
        chain: &mut Chain,
        batch: Vec<Delivery>,
        origin: DeliveryOrigin<'_>,
    ) -> Vec<Result<Written, StoreError>> {
        self.metrics.batch(batch.len());
        match self.apply_batch(chain, &batch, origin).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(StoreError::Rejected(_)) => self.write_one_by_one(chain, batch, origin).await,
            Err(StoreError::Blocked(_)) if batch.len() > 1 => {
                self.write_one_by_one(chain, batch, origin).await
            }
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn write_one_by_one(
        &self,
        chain: &mut Chain,
        batch: Vec<Delivery>,
        origin: DeliveryOrigin<'_>,
    ) -> Vec<Result<Written, StoreError>> {
        let started = Instant::now();
        // Remembers that the database is unavailable and which users are blocked, so that later deliveries fail at
        // once.
        let mut away: Option<StoreError> = None;
        let mut blocked: BTreeMap<UserKey, StoreError> = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        for delivery in batch {
            let user = delivery.user().cloned();
            if started.elapsed() > TRANSACTION_TIMEOUT {
                away.get_or_insert_with(|| {
                    StoreError::unavailable("writing the deliveries one by one took too long")
                });
            }
            let known = away.as_ref().or_else(|| blocked.get(user.as_ref()?));
            let outcome = match known {
                Some(error) => Err(error.clone()),
                None => self.write_alone(chain, delivery, origin).await,
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

    /// Writes one delivery. If the database rejects its content, it is parked.
    async fn write_alone(
        &self,
        chain: &mut Chain,
        mut delivery: Delivery,
        origin: DeliveryOrigin<'_>,
    ) -> Result<Written, StoreError> {
        let alone = std::slice::from_ref(&delivery);
        let outcomes = match self.apply_batch(chain, alone, origin).await {
            Err(error @ StoreError::Rejected(_)) => {
                warn!(%error, source = delivery.source, message_id = delivery.message_id, "the database rejected a delivery");
                delivery = Self::rejected(delivery);
                match self.apply_batch(chain, std::slice::from_ref(&delivery), origin).await {
                    // The database's encoding lacks a letter of it.
                    Err(StoreError::Rejected(_)) => {
                        self.apply_batch(chain, &[delivery.into_ascii()], origin).await?
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
        let reason = "the database rejected it; the log has the reason".to_owned();
        Delivery { content: Content::Unreadable { user, reason }, ..delivery }
    }

    /// Writes a batch in one transaction, all of it or nothing.
    async fn apply_batch(
        &self,
        chain: &mut Chain,
        batch: &[Delivery],
        origin: DeliveryOrigin<'_>,
    ) -> Result<Vec<Written>, StoreError> {
        let started = Instant::now();
        let deliveries = Deliveries { sources: &self.sources, batch, origin };
        let outcomes = self.change_users(chain, &deliveries).await;
        self.metrics.commit(started.elapsed());
        outcomes
    }
}
