//! One transaction: the journal, the rows and the tombstones, together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use crate::clock::Clock;
use crate::domain::{Change, Delivery, IdPolicy, Outcome, Record, UserId, UserKey};
use crate::providers::Sources;
use crate::store::{Chain, Entry, StoreError, Stored};

/// How often two transactions may meet before the database counts as away.
pub(super) const TRIES: u32 = 5;
/// After the first meeting; longer after each further one.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// Whether deliveries come from their source or from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// From the source: the journal may have seen them, and then they are duplicates.
    First,
    /// From the journal: they are read anew, and their entries are brought up to date.
    Again,
}

/// Writes a batch of deliveries; the outcomes stand in the same order.
///
/// After it returns, what was acknowledged is lasting. If it fails, nothing of the batch is there.
pub(super) async fn apply(
    chain: &mut Chain,
    sources: &Sources,
    batch: &[Delivery],
    arrival: Arrival,
    clock: &Clock,
) -> Result<Vec<Outcome>, StoreError> {
    let mut tries = 1;
    loop {
        match apply_once(chain, sources, batch, arrival, clock).await {
            Err(StoreError::Conflict(_)) if tries < TRIES => {
                tokio::time::sleep(PAUSE * tries).await;
                tries += 1;
            }
            other => return other,
        }
    }
}

async fn apply_once(
    chain: &mut Chain,
    sources: &Sources,
    batch: &[Delivery],
    arrival: Arrival,
    clock: &Clock,
) -> Result<Vec<Outcome>, StoreError> {
    let keys: BTreeSet<UserKey> = batch.iter().filter_map(|delivery| delivery.user().cloned()).collect();
    let tx = chain.begin().await?;
    tx.lock(&keys).await?;
    let mut fresh = match arrival {
        Arrival::First => tx.append(batch).await?,
        Arrival::Again => batch.iter().map(Delivery::key).collect(),
    };
    let before = tx.load(&keys).await?;

    let mut known = Known { sources, clock, after: before.clone(), ended: BTreeSet::new() };
    let mut outcomes = Vec::with_capacity(batch.len());
    for delivery in batch {
        // Of a message that stands in the batch twice, the second is the duplicate.
        outcomes.push(if fresh.remove(&delivery.key()) {
            known.advance(delivery)
        } else {
            Outcome::Duplicate
        });
    }

    let entries: Vec<Entry<'_>> = batch
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome != Outcome::Duplicate)
        .map(|(delivery, outcome)| Entry {
            delivery,
            outcome: *outcome,
            keep_payload: !known.is_over(delivery),
        })
        .collect();
    let Known { mut after, ended, .. } = known;
    after.retain(|key, stored| before.get(key) != Some(stored));
    tx.save(&before, &after, clock.now()).await?;
    let (finally, reusable) = ended.into_iter().partition(|user| sources.ids(&user.source).is_final());
    tx.forget(&finally).await?;
    tx.forget_ended(&reusable).await?;
    match arrival {
        Arrival::First => tx.settle(&entries).await?,
        Arrival::Again => tx.amend(&entries).await?,
    }
    // What came alone is seldom followed at once, nor is a page of the journal.
    if arrival == Arrival::First && batch.len() > 1 {
        chain.commit_and_go_on(tx).await?;
    } else {
        tx.commit().await?;
    }
    Ok(outcomes)
}

/// What is known of the users of a batch while it is worked out.
struct Known<'a> {
    sources: &'a Sources,
    clock: &'a Clock,
    after: BTreeMap<UserKey, Stored>,
    /// Users of whom a life has ended in this batch.
    ended: BTreeSet<UserKey>,
}

impl Known<'_> {
    /// Joins what a delivery says to what is known.
    fn advance(&mut self, delivery: &Delivery) -> Outcome {
        let Some(change) = delivery.change() else { return Outcome::Parked };
        if change.is_delete() {
            self.ended.insert(change.user.clone());
        }
        let ids = self.sources.ids(&change.user.source);
        advance(self.after.entry(change.user.clone()).or_default(), change, ids, self.clock)
    }

    /// Whether a delivery speaks of a life that has ended, so that its payload is not kept. What could not be
    /// understood speaks of no other life where ids are final.
    fn is_over(&self, delivery: &Delivery) -> bool {
        let Some(user) = delivery.user() else { return false };
        let ids = self.sources.ids(&user.source);
        let record = self.after.get(user).map(|stored| &stored.record);
        record.is_some_and(|record| match delivery.change() {
            Some(change) => record.has_ended(change, ids),
            None => ids.is_final() && record.deleted_at.is_some(),
        })
    }
}

/// Joins one change to what is known of its user.
fn advance(stored: &mut Stored, change: &Change, ids: IdPolicy, clock: &Clock) -> Outcome {
    let record = stored.record.clone().join(Record::of(change), ids);
    if record == stored.record {
        return Outcome::Stale;
    }
    become_known(stored, record, ids, clock);
    Outcome::Applied
}

/// Puts a record in the place of an earlier one; the row's id lasts as long as the life it stands for.
pub(super) fn become_known(stored: &mut Stored, record: Record, ids: IdPolicy, clock: &Clock) {
    stored.id = match stored.id {
        _ if record.life.is_none() => None,
        Some(id) if record.continues(&stored.record, ids) => Some(id),
        _ => Some(UserId(clock.fresh_id())),
    };
    stored.record = record;
}
