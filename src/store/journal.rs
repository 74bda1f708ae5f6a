//! The journal of deliveries, written with every batch. `journal_pages` reads it again.

use std::collections::{BTreeMap, BTreeSet};

use entity::journal::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};

use super::pairs::{TableOfUsers, is_one_of};
use super::{StoreError, Tx, bulk};
use crate::domain::{Change, Content, Delivery, DeliveryKey, Outcome, Timestamp, UserKey};

/// The new outcome of a delivery that is in the journal.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// Its outcome.
    pub outcome: Outcome,
    /// Whether its payload is stored: not if it belongs to a lifetime that has ended.
    pub keep_payload: bool,
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEntry {
    /// Which delivery.
    pub key: DeliveryKey,
    /// When it was received.
    pub received_at: Timestamp,
    /// The provider's own name of the event, where it could be read.
    pub event_type: Option<String>,
    /// The provider's id of its user, if it could be read.
    pub external_id: Option<String>,
    /// The lifetime that it names.
    pub lifetime: Option<Timestamp>,
    /// Whether it is parked.
    pub is_parked: bool,
    /// Why it is parked.
    pub reason: Option<String>,
    /// The body as received, while it is kept.
    pub payload: Option<String>,
}

impl Tx {
    /// Journals those of these deliveries that it has not seen, with the outcome that most will have, and returns which
    /// these are.
    ///
    /// The insert itself finds what was seen, so nothing has to be looked up, and there is no gap for another
    /// transaction.
    pub async fn append(&self, deliveries: &[Delivery]) -> Result<BTreeSet<DeliveryKey>, StoreError> {
        let mut fresh = BTreeSet::new();
        let returning = Query::returning().columns(KEY);
        for append in bulk::inserts(self, in_order(deliveries.iter()), unless_seen(), Some(returning))? {
            for row in self.inner.query_all_raw(append).await? {
                let (source, message_id) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                fresh.insert(DeliveryKey { source, message_id });
            }
        }
        Ok(fresh)
    }

    /// The same, without returning which of them are new.
    pub async fn append_unseen<'a>(
        &self,
        deliveries: impl Iterator<Item = &'a Delivery>,
    ) -> Result<(), StoreError> {
        for append in bulk::inserts(self, in_order(deliveries), unless_seen(), None)? {
            self.inner.execute_raw(append).await?;
        }
        Ok(())
    }

    /// Writes the outcomes of these deliveries that differ from those that `append` has assumed.
    pub async fn record_outcomes(&self, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        for Entry { delivery, outcome, keep_payload } in entries {
            if *outcome == expected(delivery) && *keep_payload {
                continue;
            }
            let mut update = Entity::update_many()
                .col_expr(Column::Outcome, Expr::value(outcome.as_str()))
                .filter(Column::Source.eq(&delivery.source))
                .filter(Column::MessageId.eq(&delivery.message_id));
            if !keep_payload {
                update = update.col_expr(Column::Payload, Expr::value(Option::<String>::None));
            }
            update.exec(&self.inner).await?;
        }
        Ok(())
    }

    /// Updates the content and the outcome of replayed deliveries: of those that were parked, and of
    /// those that changed something now.
    pub async fn update_outcomes(&self, entries: &[Entry<'_>]) -> Result<(), StoreError> {
        for entry in entries {
            let ActiveModel { event_type, external_id, stamp, lifetime, reason, .. } = row(entry.delivery);
            let outcome = Set(entry.outcome.as_str().to_owned());
            let mut changes = ActiveModel {
                event_type,
                external_id,
                stamp,
                lifetime,
                reason,
                outcome,
                ..Default::default()
            };
            // A payload that is kept is the one that was read.
            if !entry.keep_payload {
                changes.payload = Set(None);
            }
            let DeliveryKey { source, message_id } = entry.delivery.key();
            let mut update = Entity::update_many()
                .set(changes)
                .filter(Column::Source.eq(source))
                .filter(Column::MessageId.eq(message_id));
            if entry.outcome != Outcome::Applied {
                update = update.filter(Column::Outcome.eq(Outcome::Parked.as_str()));
            }
            update.exec(&self.inner).await?;
        }
        Ok(())
    }

    /// Erases the payloads of these users' deliveries, of all lifetimes.
    pub async fn erase_payloads(&self, users: &BTreeSet<UserKey>) -> Result<(), StoreError> {
        self.erase_payloads_of(users, Condition::all()).await
    }

    /// Erases the payloads of these users' deliveries that belong to lifetimes which their tombstone has ended.
    pub async fn erase_payloads_of_ended_lifetimes(
        &self,
        users: &BTreeSet<UserKey>,
    ) -> Result<(), StoreError> {
        let tombstone = "(SELECT deleted_at FROM \"usersync\".tombstones AS t \
                         WHERE t.source = journal.source AND t.external_id = journal.external_id)";
        let ended = Condition::any()
            .add(Column::Lifetime.is_null())
            .add(Expr::col(Column::Lifetime).lte(Expr::cust(tombstone)));
        self.erase_payloads_of(users, ended).await
    }

    async fn erase_payloads_of(&self, users: &BTreeSet<UserKey>, which: Condition) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        Entity::update_many()
            .col_expr(Column::Payload, Expr::value(Option::<String>::None))
            .filter(is_one_of(&self.inner, TableOfUsers::Journal, users.iter()))
            .filter(Column::Payload.is_not_null())
            .filter(which)
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    /// Everything that the journal has of these users.
    pub async fn history(
        &self,
        users: &BTreeSet<UserKey>,
    ) -> Result<BTreeMap<UserKey, Vec<JournalEntry>>, StoreError> {
        let rows = Entity::find()
            .filter(is_one_of(&self.inner, TableOfUsers::Journal, users.iter()))
            .all(&self.inner)
            .await?;
        let mut history: BTreeMap<UserKey, Vec<JournalEntry>> = BTreeMap::new();
        for row in rows {
            let external_id = row.external_id.clone().unwrap_or_default();
            history.entry(UserKey::new(&row.source, external_id)).or_default().push(journaled(row));
        }
        Ok(history)
    }
}

/// The primary key.
const KEY: [Column; 2] = [Column::Source, Column::MessageId];

/// The rows in one order everywhere: two transactions that journal the same deliveries never deadlock.
fn in_order<'a>(deliveries: impl Iterator<Item = &'a Delivery>) -> Vec<ActiveModel> {
    let rows: BTreeMap<_, _> = deliveries.map(|one| ((&one.source, &one.message_id), one)).collect();
    rows.into_values().map(row).collect()
}

fn unless_seen() -> OnConflict {
    OnConflict::columns(KEY).do_nothing().to_owned()
}

/// The most likely outcome of a delivery.
fn expected(delivery: &Delivery) -> Outcome {
    match delivery.content {
        Content::Change(_) => Outcome::Applied,
        Content::Unreadable { .. } => Outcome::Parked,
    }
}

fn row(delivery: &Delivery) -> ActiveModel {
    let Delivery { source, message_id, received_at, payload, event_type, content } = delivery;
    let (change, reason) = match content {
        Content::Change(change) => (Some(change), None),
        Content::Unreadable { reason, .. } => (None, Some(reason.clone())),
    };
    ActiveModel {
        source: Set(source.clone()),
        message_id: Set(message_id.clone()),
        received_at: Set((*received_at).into()),
        event_type: Set(event_type.clone()),
        external_id: Set(delivery.user().map(|user| user.external_id.clone())),
        stamp: Set(change.map(|change| change.stamp.into())),
        lifetime: Set(change.and_then(Change::lifetime).map(Into::into)),
        outcome: Set(expected(delivery).as_str().to_owned()),
        reason: Set(reason),
        payload: Set(Some(payload.clone())),
    }
}

pub(super) fn journaled(row: Model) -> JournalEntry {
    let Model {
        source,
        message_id,
        received_at,
        event_type,
        external_id,
        stamp: _,
        lifetime,
        outcome,
        reason,
        payload,
    } = row;
    JournalEntry {
        key: DeliveryKey { source, message_id },
        received_at: received_at.into(),
        event_type,
        external_id,
        lifetime: lifetime.map(Timestamp::from),
        is_parked: outcome == Outcome::Parked.as_str(),
        reason,
        payload,
    }
}
