//! A batch of deliveries as one transaction: the journal, the rows and the tombstones, together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::transaction::{Ending, LoadedUsers, TransactionWork};
use crate::domain::{Delivery, DeliveryKey, Outcome, StaleReason, Timestamp, UserKey};
use crate::providers::{NotJson, ReadMessage, Source, Sources};
use crate::signature::{Message, Verified};
use crate::store::{Entry, StoreError, Tx};
use crate::telemetry::Span;

/// The spans in which users are changed. Empty while traces are off.
pub(super) type Causes = BTreeMap<UserKey, Span>;

/// Whether deliveries come from their source or from the journal.
#[derive(Clone, Copy, Debug)]
pub(super) enum DeliveryOrigin<'a> {
    /// From the source: the journal may have seen them, and then they are duplicates.
    Received(&'a Causes),
    /// From the journal: they are read again, and their entries are updated.
    Replayed,
}

impl DeliveryOrigin<'_> {
    /// From the source, but not in a request of it.
    pub(super) const UNTRACED: DeliveryOrigin<'static> = DeliveryOrigin::Received(&NO_CAUSES);
}

static NO_CAUSES: Causes = Causes::new();

/// The result for one delivery of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) outcome: Outcome,
    /// Why, if it is stale.
    pub(super) stale: Option<StaleReason>,
}

impl From<Outcome> for Written {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, stale: None }
    }
}

/// A batch to be written; the outcomes are in the order of the deliveries.
pub(super) struct Deliveries<'a> {
    pub(super) sources: &'a Sources,
    pub(super) batch: &'a [Delivery],
    pub(super) origin: DeliveryOrigin<'a>,
}

impl TransactionWork for Deliveries<'_> {
    /// The deliveries that were not received before.
    type Prepared = BTreeSet<DeliveryKey>;
    type Output = Vec<Written>;

    fn users(&self) -> BTreeSet<UserKey> {
        self.batch.iter().filter_map(|delivery| delivery.user().cloned()).collect()
    }

    async fn prepare(&self, tx: &Tx, _: &LoadedUsers<'_>) -> Result<BTreeSet<DeliveryKey>, StoreError> {
        match self.origin {
            DeliveryOrigin::Received(_) => tx.append(self.batch).await,
            DeliveryOrigin::Replayed => Ok(self.batch.iter().map(Delivery::key).collect()),
        }
    }

    fn change(&self, mut unseen: BTreeSet<DeliveryKey>, users: &mut LoadedUsers<'_>) -> Vec<Written> {
        let written = |delivery: &Delivery| match delivery.change() {
            // If a message is in the batch twice, the second one is the duplicate.
            _ if !unseen.remove(&delivery.key()) => Outcome::Duplicate.into(),
            Some(change) => match users.apply(change) {
                Outcome::Stale => Written { outcome: Outcome::Stale, stale: users.stale_reason(change) },
                outcome => outcome.into(),
            },
            None => Outcome::Parked.into(),
        };
        self.batch.iter().map(written).collect()
    }

    async fn finish(
        &self,
        tx: &Tx,
        users: &LoadedUsers<'_>,
        written: &Vec<Written>,
    ) -> Result<(), StoreError> {
        let outcomes = written.iter().map(|written| written.outcome);
        let written = self.batch.iter().zip(outcomes).filter(|(_, outcome)| *outcome != Outcome::Duplicate);
        let mut deleted = BTreeSet::new();
        let mut entries = Vec::new();
        for (delivery, outcome) in written {
            deleted.extend(delivery.change().filter(|change| change.is_delete()).map(|it| it.user.clone()));
            let keep_payload = !self.has_ended(delivery, users);
            entries.push(Entry { delivery, outcome, keep_payload });
        }
        let (with_final_ids, with_reusable_ids) =
            deleted.into_iter().partition(|user| self.has_final_id(user));
        tx.erase_payloads(&with_final_ids).await?;
        tx.erase_payloads_of_ended_lifetimes(&with_reusable_ids).await?;
        match self.origin {
            DeliveryOrigin::Received(_) => tx.record_outcomes(&entries).await,
            DeliveryOrigin::Replayed => tx.update_outcomes(&entries).await,
        }
    }

    fn ending(&self, _: &LoadedUsers<'_>) -> Ending {
        // A delivery that came alone is seldom followed at once, nor is a page of the journal.
        if matches!(self.origin, DeliveryOrigin::Received(_)) && self.batch.len() > 1 {
            Ending::CommitAndContinue
        } else {
            Ending::Commit
        }
    }

    fn cause(&self, user: &UserKey) -> Option<&Span> {
        match self.origin {
            DeliveryOrigin::Received(causes) => causes.get(user),
            DeliveryOrigin::Replayed => None,
        }
    }
}

impl Deliveries<'_> {
    fn has_final_id(&self, user: &UserKey) -> bool {
        self.sources.ids(&user.source).is_final()
    }

    /// Whether a delivery belongs to a lifetime that has ended, so that its payload is not stored.
    ///
    /// A delivery that could not be read names no lifetime. Where ids are final there is only one.
    fn has_ended(&self, delivery: &Delivery, users: &LoadedUsers<'_>) -> bool {
        let Some(user) = delivery.user() else { return false };
        users.get(user).is_some_and(|stored| match delivery.change() {
            Some(change) => stored.record.has_ended(change, self.sources.ids(&user.source)),
            None => self.has_final_id(user) && stored.record.deleted_at.is_some(),
        })
    }
}

/// Reads a journaled payload again; `None` if it is not about a user.
pub(crate) fn read_again(
    source: &Source,
    message_id: String,
    payload: String,
    received_at: Timestamp,
) -> Option<Delivery> {
    let message = Verified::trusted(Message { id: Some(message_id.clone()), body: payload.into_bytes() });
    match source.read(message, received_at) {
        // Under the id of its entry, wherever this version of the provider would look for one.
        Ok(ReadMessage::Delivery(delivery)) => Some(Delivery { message_id, ..delivery }),
        // It was journaled as something about a user; if it is nothing of the kind now, there is nothing to
        // apply.
        Ok(ReadMessage::NotAboutUsers { .. }) | Err(NotJson) => None,
    }
}
