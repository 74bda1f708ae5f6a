//! One transaction: the journal, the rows and the tombstones, together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    Change, Delivery, DeliveryKey, IdPolicy, Outcome, Reading, Record, Timestamp, UserId, UserKey,
};
use crate::providers::Sources;
use crate::store::{Store, StoreError, Stored, Tx};

/// How often two transactions may meet before the database counts as away.
const TRIES: u32 = 5;

/// Writes a batch of deliveries; the outcomes stand in the same order.
///
/// After it returns, what was acknowledged is lasting. If it fails, nothing of the batch is there.
pub(super) async fn apply(
    store: &Store,
    sources: &Sources,
    batch: &[Delivery],
    now: Timestamp,
) -> Result<Vec<Outcome>, StoreError> {
    let mut tries = 1;
    loop {
        match apply_once(store, sources, batch, now).await {
            Err(StoreError::Conflict(_)) if tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

async fn apply_once(
    store: &Store,
    sources: &Sources,
    batch: &[Delivery],
    now: Timestamp,
) -> Result<Vec<Outcome>, StoreError> {
    let tx = store.begin().await?;
    let mut unseen = tx.append(batch).await?;
    // Of a message that stands in the batch twice, the second is the duplicate.
    let fresh: Vec<Option<&Delivery>> =
        batch.iter().map(|delivery| unseen.remove(&delivery.key()).then_some(delivery)).collect();
    let outcomes = converge(&tx, sources, fresh.iter().flatten().copied(), now).await?;
    tx.settle(&outcomes).await?;
    tx.commit().await?;
    let outcome = |delivery: &Delivery| outcomes.get(&delivery.key()).copied().unwrap_or(Outcome::Parked);
    Ok(fresh.into_iter().map(|delivery| delivery.map_or(Outcome::Duplicate, outcome)).collect())
}

/// Joins the changes to what is known of their users, and writes what came of it.
async fn converge(
    tx: &Tx,
    sources: &Sources,
    deliveries: impl Iterator<Item = &Delivery> + Clone,
    now: Timestamp,
) -> Result<BTreeMap<DeliveryKey, Outcome>, StoreError> {
    let changes = deliveries.filter_map(|delivery| delivery.change().map(|change| (delivery.key(), change)));
    let keys: BTreeSet<UserKey> = changes.clone().map(|(_, change)| change.user.clone()).collect();
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    tx.lock(&keys).await?;
    let before = tx.load(&keys).await?;
    let mut after = before.clone();
    let mut outcomes = BTreeMap::new();
    let mut ended = BTreeSet::new();
    for (delivery, change) in changes {
        let ids = sources.ids(&change.user.source);
        let stored = after.entry(change.user.clone()).or_default();
        let outcome = advance(stored, change, ids);
        if stored.record.has_ended(change, ids) {
            ended.insert(change.user.clone());
        }
        outcomes.insert(delivery, outcome);
    }
    after.retain(|key, stored| before.get(key) != Some(stored));
    tx.save(&after, now).await?;
    for user in ended {
        let deleted_at = after.get(&user).or_else(|| before.get(&user)).and_then(|it| it.record.deleted_at);
        let until = match sources.ids(&user.source) {
            IdPolicy::Final => None,
            IdPolicy::Reusable => deleted_at,
        };
        tx.forget(&user, until).await?;
    }
    Ok(outcomes)
}

/// Joins one change to what is known of its user.
fn advance(stored: &mut Stored, change: &Change, ids: IdPolicy) -> Outcome {
    let record = stored.record.clone().join(Record::of(change), ids);
    if record == stored.record {
        return Outcome::Stale;
    }
    stored.id = match stored.id {
        _ if record.life.is_none() => None,
        Some(id) if record.continues(&stored.record, ids) => Some(id),
        _ => Some(UserId::fresh()),
    };
    stored.record = record;
    Outcome::Applied
}

/// Keeps a delivery that the database refuses to write as what it says, so that it harms only itself.
pub(super) async fn park(store: &Store, mut delivery: Delivery) -> Result<Outcome, StoreError> {
    delivery.reading = Reading::Unreadable { reason: "the database refused a value of it".to_owned() };
    let tx = store.begin().await?;
    let unseen = tx.append(&[delivery]).await?;
    tx.commit().await?;
    Ok(if unseen.is_empty() { Outcome::Duplicate } else { Outcome::Parked })
}
