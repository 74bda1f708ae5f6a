//! The journal of deliveries: written with every batch, and read again in pages by a replay.
//!
//! Pages are in the order of the keys, so that a replay can stop and go on anywhere.

use std::collections::{BTreeMap, BTreeSet};

use entity::journal::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};

use super::connection::Db;
use super::pairs::is_one_of;
use super::{StoreError, Tx, bulk};
use crate::domain::{Change, Content, Delivery, DeliveryKey, Outcome, Timestamp, UserKey};

/// The journal.
#[derive(Debug)]
pub struct Journal<'a>(pub(super) &'a Db);

/// What became of a delivery that is in the journal.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The delivery.
    pub delivery: &'a Delivery,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether its payload is kept: not if it speaks of a life that has ended.
    pub keep_payload: bool,
}

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
    /// How many deliveries wait, parked.
    pub async fn parked(&self) -> Result<u64, StoreError> {
        Ok(Entity::find().filter(is_parked()).count(self.0).await?)
    }

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
            // In the order of their index, so that it is used whatever the statistics say.
            .order_by_asc(Column::ReceivedAt)
            .limit(limit)
            // Rows that another transaction is changing are left for the next time.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .into_query();
        let cleared = Entity::update_many()
            .col_expr(Column::Payload, Expr::value(Option::<String>::None))
            .filter(Expr::tuple(key.map(Expr::col)).in_subquery(old))
            .exec(self.0)
            .await?;
        Ok(cleared.rows_affected)
    }

    /// The payloads of a source's newest deliveries, newest first.
    pub(crate) async fn newest_payloads(&self, source: &str, limit: u64) -> Result<Vec<String>, StoreError> {
        let payloads: Vec<Option<String>> = Entity::find()
            .select_only()
            .column(Column::Payload)
            .filter(Column::Payload.is_not_null())
            .filter(Column::Source.eq(source))
            // Along the index of the payloads that are kept.
            .order_by_desc(Column::ReceivedAt)
            .limit(limit)
            .into_tuple()
            .all(self.0)
            .await?;
        Ok(payloads.into_iter().flatten().collect())
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
    /// Journals those of these deliveries that it has not seen, as what they will mostly be, and tells which
    /// these are.
    ///
    /// The insert itself finds what was seen, so nothing has to be looked up, and there is no gap for another
    /// transaction.
    pub async fn append(&self, deliveries: &[Delivery]) -> Result<BTreeSet<DeliveryKey>, StoreError> {
        // In one order everywhere: two transactions that journal the same deliveries never wait for each
        // other in a ring.
        let rows: BTreeMap<_, _> =
            deliveries.iter().map(|one| ((&one.source, &one.message_id), one)).collect();
        let key = [Column::Source, Column::MessageId];
        let unless_seen = OnConflict::columns(key).do_nothing().to_owned();
        let rows = rows.into_values().map(row).collect();
        let mut fresh = BTreeSet::new();
        for append in bulk::inserts(self, rows, unless_seen, Some(Query::returning().columns(key)))? {
            for row in self.inner.query_all_raw(append).await? {
                let (source, message_id) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                fresh.insert(DeliveryKey { source, message_id });
            }
        }
        Ok(fresh)
    }

    /// Writes what became of these deliveries, if that is something else than `append` took it for.
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

    /// Writes anew what replayed deliveries say and what became of them: of those that were parked, and of
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

    /// Clears the payloads of these users' deliveries, whatever life they speak of.
    pub async fn erase_payloads(&self, users: &BTreeSet<UserKey>) -> Result<(), StoreError> {
        self.clear_payloads(users, Condition::all()).await
    }

    /// Clears the payloads of these users' deliveries that speak of lives which their tombstone has ended.
    pub async fn erase_payloads_of_ended_lifetimes(
        &self,
        users: &BTreeSet<UserKey>,
    ) -> Result<(), StoreError> {
        let tombstone = "(SELECT deleted_at FROM \"usersync\".tombstones AS t \
                         WHERE t.source = journal.source AND t.external_id = journal.external_id)";
        let ended = Condition::any()
            .add(Column::Lifetime.is_null())
            .add(Expr::col(Column::Lifetime).lte(Expr::cust(tombstone)));
        self.clear_payloads(users, ended).await
    }

    async fn clear_payloads(&self, users: &BTreeSet<UserKey>, which: Condition) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        Entity::update_many()
            .col_expr(Column::Payload, Expr::value(Option::<String>::None))
            .filter(is_one_of(&self.inner, users.iter()))
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
    ) -> Result<BTreeMap<UserKey, Vec<Journaled>>, StoreError> {
        let rows = Entity::find().filter(is_one_of(&self.inner, users.iter())).all(&self.inner).await?;
        let mut history: BTreeMap<UserKey, Vec<Journaled>> = BTreeMap::new();
        for row in rows {
            let external_id = row.external_id.clone().unwrap_or_default();
            history.entry(UserKey::new(&row.source, external_id)).or_default().push(journaled(row));
        }
        Ok(history)
    }
}

/// What mostly becomes of a delivery.
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

/// Parked, and with a payload that could be read again: without one there is nothing to wait for.
fn is_parked() -> Condition {
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
