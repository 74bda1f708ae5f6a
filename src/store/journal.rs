//! The journal of deliveries.

use std::collections::{BTreeMap, BTreeSet};

use entity::journal::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter,
};

use super::{StoreError, Tx};
use crate::domain::{Change, Delivery, DeliveryKey, Outcome, Reading, Timestamp, UserKey};

/// The journal.
#[derive(Debug)]
pub struct Journal<'a>(pub(super) &'a DatabaseConnection);

impl Journal<'_> {
    /// How many deliveries wait, parked.
    pub async fn parked(&self) -> Result<u64, StoreError> {
        Ok(Entity::find().filter(Column::Outcome.eq(Outcome::Parked.as_str())).count(self.0).await?)
    }
}

impl Tx {
    /// Journals the deliveries that were never received before, and tells which those are.
    ///
    /// Every one is `parked` until it is settled. Written in the order of their keys, so that two transactions which
    /// carry the same deliveries never wait for each other in a ring.
    pub async fn append(&self, deliveries: &[Delivery]) -> Result<BTreeSet<DeliveryKey>, StoreError> {
        let rows: BTreeMap<DeliveryKey, ActiveModel> =
            deliveries.iter().rev().map(|delivery| (delivery.key(), row(delivery))).collect();
        let inserted = Entity::insert_many(rows.into_values())
            .on_conflict(OnConflict::columns([Column::Source, Column::MessageId]).do_nothing().to_owned())
            .exec_with_returning_keys(&self.tx)
            .await?;
        Ok(inserted.into_iter().map(|(source, message_id)| DeliveryKey { source, message_id }).collect())
    }

    /// Writes what became of deliveries of this transaction.
    pub async fn settle(&self, outcomes: &BTreeMap<DeliveryKey, Outcome>) -> Result<(), StoreError> {
        for outcome in [Outcome::Applied, Outcome::Stale] {
            let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (DeliveryKey { source, message_id }, _) in outcomes.iter().filter(|(_, one)| **one == outcome)
            {
                by_source.entry(source).or_default().push(message_id);
            }
            for (source, message_ids) in by_source {
                Entity::update_many()
                    .col_expr(Column::Outcome, Expr::value(outcome.as_str()))
                    .filter(Column::Source.eq(source))
                    .filter(Column::MessageId.is_in(message_ids))
                    .exec(&self.tx)
                    .await?;
            }
        }
        Ok(())
    }

    /// Clears the payloads of deliveries about a user up to a deletion: of those lifetimes that had begun by
    /// `until`, or of all where `until` is `None`.
    pub async fn forget(&self, user: &UserKey, until: Option<Timestamp>) -> Result<(), StoreError> {
        let mut ended = Condition::all();
        if let Some(until) = until {
            let begun: chrono::DateTime<chrono::Utc> = until.into();
            ended =
                ended.add(Condition::any().add(Column::Lifetime.lte(begun)).add(Column::Lifetime.is_null()));
        }
        Entity::update_many()
            .col_expr(Column::Payload, Expr::value(Option::<String>::None))
            .filter(Column::Source.eq(&user.source))
            .filter(Column::ExternalId.eq(&user.external_id))
            .filter(ended)
            .exec(&self.tx)
            .await?;
        Ok(())
    }
}

fn row(delivery: &Delivery) -> ActiveModel {
    let Delivery { source, message_id, received_at, payload, event_type, reading } = delivery;
    let (change, reason) = match reading {
        Reading::Change(change) => (Some(change), None),
        Reading::Unreadable { reason } => (None, Some(reason.clone())),
    };
    ActiveModel {
        source: Set(source.clone()),
        message_id: Set(message_id.clone()),
        received_at: Set((*received_at).into()),
        event_type: Set(event_type.clone()),
        external_id: Set(change.map(|change| change.user.external_id.clone())),
        stamp: Set(change.map(|change| change.stamp.into())),
        lifetime: Set(change.and_then(Change::lifetime).map(Into::into)),
        outcome: Set(Outcome::Parked.as_str().to_owned()),
        reason: Set(reason),
        payload: Set(Some(payload.clone())),
    }
}
