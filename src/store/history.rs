//! The journal as replay reads it: in pages, in the order of its keys, so that a replay can stop and go on
//! anywhere.

use std::collections::{BTreeMap, BTreeSet};

use entity::journal::{Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::journal::USER;
use super::pairs::is_one_of;
use super::{Journal, StoreError, Tx};
use crate::domain::{DeliveryKey, Outcome, Timestamp, UserKey};

/// A delivery as the journal remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Journaled {
    /// Which delivery.
    pub key: DeliveryKey,
    /// When it was received.
    pub received_at: Timestamp,
    /// The provider's own name of the event, where it could be read.
    pub event_type: Option<String>,
    /// Whom it speaks of, where that could be read.
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

/// Which deliveries to read.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only those that are parked.
    pub parked: bool,
    /// Only of this source.
    pub source: Option<String>,
    /// Only those received at or after this.
    pub since: Option<Timestamp>,
}

impl Which {
    fn condition(&self) -> Condition {
        let since = self.since.map(chrono::DateTime::<chrono::Utc>::from);
        Condition::all()
            .add_option(self.parked.then(is_parked))
            .add_option(self.source.as_ref().map(|source| Column::Source.eq(source)))
            .add_option(since.map(|since| Column::ReceivedAt.gte(since)))
    }
}

impl Journal<'_> {
    /// How many deliveries there are of these.
    pub async fn count(&self, which: &Which) -> Result<u64, StoreError> {
        Ok(Entity::find().filter(which.condition()).count(self.0).await?)
    }

    /// The next of these deliveries after one.
    pub async fn page(
        &self,
        which: &Which,
        after: Option<&DeliveryKey>,
        limit: u64,
    ) -> Result<Vec<Journaled>, StoreError> {
        let after = after.map(|key| past([Column::Source, Column::MessageId], &key.source, &key.message_id));
        let rows = Entity::find()
            .filter(which.condition().add_option(after))
            .order_by_asc(Column::Source)
            .order_by_asc(Column::MessageId)
            .limit(limit)
            .all(self.0)
            .await?;
        Ok(rows.into_iter().map(journaled).collect())
    }

    /// Clears so many of the payloads that were received before a moment; tells how many.
    pub async fn clear_payloads_before(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let before: chrono::DateTime<chrono::Utc> = before.into();
        let key = [Column::Source, Column::MessageId];
        let old = Entity::find()
            .select_only()
            .columns(key)
            .filter(Column::Payload.is_not_null())
            .filter(Column::ReceivedAt.lt(before))
            .limit(limit)
            .into_query();
        let cleared = Entity::update_many()
            .col_expr(Column::Payload, Expr::value(Option::<String>::None))
            .filter(Expr::tuple(key.map(Expr::col)).in_subquery(old))
            .exec(self.0)
            .await?;
        Ok(cleared.rows_affected)
    }

    /// How many users the journal speaks of.
    pub async fn count_users(&self) -> Result<u64, StoreError> {
        let users = Entity::find().select_only().columns([Column::Source, Column::ExternalId]).distinct();
        Ok(users.filter(Column::ExternalId.is_not_null()).count(self.0).await?)
    }

    /// The next users that the journal speaks of, after one, in the database's own order, which the next page
    /// goes on from.
    pub async fn users(&self, after: Option<&UserKey>, limit: u64) -> Result<Vec<UserKey>, StoreError> {
        let after =
            after.map(|key| past([Column::Source, Column::ExternalId], &key.source, &key.external_id));
        let rows: Vec<(String, String)> = Entity::find()
            .select_only()
            .columns([Column::Source, Column::ExternalId])
            .distinct()
            .filter(Condition::all().add(Column::ExternalId.is_not_null()).add_option(after))
            .order_by_asc(Column::Source)
            .order_by_asc(Column::ExternalId)
            .limit(limit)
            .into_tuple()
            .all(self.0)
            .await?;
        Ok(rows.into_iter().map(|(source, external_id)| UserKey { source, external_id }).collect())
    }
}

impl Tx {
    /// Everything that the journal has of these users.
    pub async fn history(
        &self,
        users: &BTreeSet<UserKey>,
    ) -> Result<BTreeMap<UserKey, Vec<Journaled>>, StoreError> {
        let keys = users.iter().map(|user| (&*user.source, &*user.external_id));
        let rows = Entity::find().filter(is_one_of(&self.inner, USER, keys)).all(&self.inner).await?;
        let mut history: BTreeMap<UserKey, Vec<Journaled>> = BTreeMap::new();
        for row in rows {
            let external_id = row.external_id.clone().unwrap_or_default();
            history.entry(UserKey::new(&row.source, external_id)).or_default().push(journaled(row));
        }
        Ok(history)
    }
}

/// Parked, and with a payload that could be read again: without one there is nothing to wait for.
pub(super) fn is_parked() -> Condition {
    // Spelled out as in the index of them: neither database finds it by a parameter.
    let is_parked = Expr::cust("outcome = 'parked'");
    Condition::all().add(is_parked).add(Column::Payload.is_not_null())
}

/// Whether a pair of columns stands after a pair of values in the order of both.
fn past([first, second]: [Column; 2], after: &str, and: &str) -> Condition {
    let same = Expr::col(first).eq(after).and(Expr::col(second).gt(and));
    Condition::any().add(first.gt(after)).add(same)
}

fn journaled(row: Model) -> Journaled {
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
    Journaled {
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
