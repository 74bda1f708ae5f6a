//! Reading the journal in pages, for a replay and for the sweep.
//!
//! A page costs the same wherever it is: it begins in an index, right after the last row of the page before it, and
//! reads on in the order of that index. Conditions are written so that no other index fits.

use std::collections::BTreeMap;

use entity::journal::{Column, Entity};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Statement,
};

use super::StoreError;
use super::connection::Db;
use super::error::nothing_if_rejected;
use super::journal::{JournalEntry, journaled};
use super::pairs::{is_of_source, past};
use crate::domain::{DeliveryKey, Timestamp, UserKey};

/// The journal.
#[derive(Debug)]
pub struct Journal<'a>(pub(super) &'a Db);

/// Which deliveries to read. With `parked` or `since`, those without a payload are not among them.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// Only those that are parked.
    pub parked: bool,
    /// Only of this source.
    pub source: Option<String>,
    /// Only those received at or after this.
    pub since: Option<Timestamp>,
    /// Only those parked for this reason; without effect if others are read too.
    pub reason: Option<String>,
}

/// A delivery's place in the order in which deliveries are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// When it was received.
    pub received_at: Timestamp,
    /// Which delivery it is.
    pub key: DeliveryKey,
}

impl JournalEntry {
    /// Its place in the order in which deliveries are read.
    pub fn position(&self) -> Position {
        Position { received_at: self.received_at, key: self.key.clone() }
    }
}

/// What one step of the sweep has cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// How many payloads.
    pub payloads: u64,
    /// When the latest of them was received.
    pub latest: Option<Timestamp>,
}

impl Which {
    /// Whether the order is that of the time, oldest first, and not that of the keys.
    fn is_in_order_of_time(&self) -> bool {
        self.parked || self.since.is_some()
    }

    fn condition(&self) -> Condition {
        if !self.is_in_order_of_time() {
            let source = self.source.as_ref().map(|source| Column::Source.eq(source));
            return Condition::all().add_option(source);
        }
        let since = self.since.map(chrono::DateTime::<chrono::Utc>::from);
        Condition::all()
            .add(if self.parked { is_parked() } else { Condition::all().add(Column::Payload.is_not_null()) })
            .add_option(self.source.as_deref().map(is_of_source))
            .add_option(self.reason.as_ref().filter(|_| self.parked).map(|reason| Column::Reason.eq(reason)))
            .add_option(since.map(|since| Column::ReceivedAt.gte(since)))
    }

    /// The deliveries after one.
    fn select(&self, after: Option<&Position>, limit: u64) -> Select<Entity> {
        let mut select = Entity::find().filter(self.condition()).limit(limit);
        if self.is_in_order_of_time() {
            select = select.order_by_asc(Column::ReceivedAt);
        }
        select = select.order_by_asc(Column::Source).order_by_asc(Column::MessageId);
        let Some(Position { received_at, key: DeliveryKey { source, message_id } }) = after else {
            return select;
        };
        let [by_source, by_id] = [Column::Source, Column::MessageId];
        let after = if self.is_in_order_of_time() {
            let time: chrono::DateTime<chrono::Utc> = (*received_at).into();
            past([(Column::ReceivedAt, time.into()), (by_source, source.into()), (by_id, message_id.into())])
        } else if self.source.is_some() {
            by_id.gt(message_id)
        } else {
            past([(by_source, source.into()), (by_id, message_id.into())])
        };
        select.filter(after)
    }
}

impl Journal<'_> {
    /// When the newest deliveries of a source were received, newest first, as far as their payloads are kept. Users of
    /// a list are not among them.
    pub async fn newest_times(
        &self,
        source: &str,
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let since: chrono::DateTime<chrono::Utc> = since.into();
        let times: Vec<chrono::DateTime<chrono::Utc>> = newest_delivered(source, Column::ReceivedAt, limit)
            .filter(Column::ReceivedAt.gte(since))
            .into_tuple()
            .all(self.0)
            .await?;
        Ok(times.into_iter().map(Timestamp::from).collect())
    }

    /// How many deliveries of each source are parked; a source with none is not there.
    pub(crate) async fn parked_by_source(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let counts: Vec<(String, i64)> = Entity::find()
            .select_only()
            .column(Column::Source)
            .column_as(Expr::cust("count(*)"), "parked")
            .filter(is_parked())
            .group_by(Column::Source)
            .into_tuple()
            .all(self.0)
            .await?;
        Ok(counts.into_iter().map(|(source, count)| (source, count.try_into().unwrap_or(0))).collect())
    }

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
        after: Option<&Position>,
        limit: u64,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let rows = which.select(after, limit).all(self.0).await.map_err(StoreError::from);
        Ok(nothing_if_rejected(rows)?.into_iter().map(journaled).collect())
    }

    /// The places of the next of these deliveries, without what the deliveries are.
    pub async fn positions(
        &self,
        which: &Which,
        after: Option<&Position>,
        limit: u64,
    ) -> Result<Vec<Position>, StoreError> {
        let columns = [Column::ReceivedAt, Column::Source, Column::MessageId];
        let rows: Vec<(chrono::DateTime<chrono::Utc>, String, String)> =
            which.select(after, limit).select_only().columns(columns).into_tuple().all(self.0).await?;
        let position = |(received_at, source, message_id): (chrono::DateTime<chrono::Utc>, _, _)| Position {
            received_at: received_at.into(),
            key: DeliveryKey { source, message_id },
        };
        Ok(rows.into_iter().map(position).collect())
    }

    /// The next users with entries in the journal, after `after`: those of at most `deliveries` entries, each user
    /// once.
    pub async fn users(&self, after: Option<&UserKey>, deliveries: u64) -> Result<Vec<UserKey>, StoreError> {
        let after = after.map(|UserKey { source, external_id }| {
            past([(Column::ExternalId, external_id.into()), (Column::Source, source.into())])
        });
        let rows: Vec<(String, String)> = Entity::find()
            .select_only()
            .columns([Column::Source, Column::ExternalId])
            .filter(Condition::all().add(Column::ExternalId.is_not_null()).add_option(after))
            .order_by_asc(Column::ExternalId)
            .order_by_asc(Column::Source)
            .limit(deliveries)
            .into_tuple()
            .all(self.0)
            .await?;
        // DISTINCT would be the database's reason to read and sort everything.
        let mut users: Vec<UserKey> =
            rows.into_iter().map(|(source, external_id)| UserKey { source, external_id }).collect();
        users.dedup();
        Ok(users)
    }

    /// The payloads of a source's newest deliveries, newest first. Users of a list are not among them.
    pub async fn newest_payloads(&self, source: &str, limit: u64) -> Result<Vec<String>, StoreError> {
        let payloads: Vec<Option<String>> =
            newest_delivered(source, Column::Payload, limit).into_tuple().all(self.0).await?;
        Ok(payloads.into_iter().flatten().collect())
    }

    /// How many payloads the sweep clears in one transaction. On PostgreSQL few: deliveries are written at the same time,
    /// and take longer meanwhile. On SQLite more: each transaction has to wait for the write lock.
    pub fn payloads_at_once(&self) -> u64 {
        match self.0.get_database_backend() {
            DbBackend::Postgres => 50,
            _ => 200,
        }
    }

    /// Clears the oldest payloads that were received before a time, up to a limit.
    ///
    /// `from` is when the latest payload of the step before was received: until PostgreSQL has cleaned up, cleared rows
    /// are still in the index, and to read them again would make each step slower than the one before.
    pub async fn erase_payloads_before(
        &self,
        from: Option<Timestamp>,
        before: Timestamp,
        limit: u64,
    ) -> Result<Cleared, StoreError> {
        let [from, before] =
            [from.unwrap_or(Timestamp::EPOCH), before].map(chrono::DateTime::<chrono::Utc>::from);
        let old = |row: &str, limit: &str| {
            format!(
                "SELECT {row} FROM \"usersync\".journal WHERE payload IS NOT NULL \
                 AND received_at >= $1 AND received_at < $2 ORDER BY received_at LIMIT {limit}"
            )
        };
        let is_old = match self.0.get_database_backend() {
            // Rows that another transaction is changing are left for the next time.
            DbBackend::Postgres => {
                format!("ctid = ANY(ARRAY({} FOR UPDATE SKIP LOCKED))", old("ctid", "CAST($3 AS bigint)"))
            }
            _ => format!("rowid IN ({})", old("rowid", "$3")),
        };
        let sql =
            format!("UPDATE \"usersync\".journal SET payload = NULL WHERE {is_old} RETURNING received_at");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [from.into(), before.into(), limit.into()];
        let statement = Statement::from_sql_and_values(self.0.get_database_backend(), sql, values);
        let rows = self.0.query_all_raw(statement).await?;
        let mut cleared = Cleared { payloads: rows.len() as u64, latest: None };
        for row in rows {
            let received_at: chrono::DateTime<chrono::Utc> = row.try_get_by_index(0)?;
            cleared.latest = cleared.latest.max(Some(received_at.into()));
        }
        Ok(cleared)
    }
}

/// A column of the newest deliveries of a source, newest first: those that the provider has sent, and whose payload is
/// kept.
fn newest_delivered(source: &str, column: Column, limit: u64) -> Select<Entity> {
    Entity::find()
        .select_only()
        .column(column)
        .filter(is_of_source(source))
        // As in the index of these deliveries, with the prefix spelled out: neither database finds it by a parameter.
        .filter(Expr::cust("COALESCE(payload, '') <> ''"))
        .filter(Expr::cust("COALESCE(event_type, '') NOT LIKE 'usersync.%'"))
        .order_by_desc(Column::ReceivedAt)
        .limit(limit)
}

/// Parked, and with a payload that could be read again: without one there is nothing to wait for.
pub(super) fn is_parked() -> Condition {
    // The outcome is spelled out as in the index of parked deliveries: neither database finds it by a parameter. The
    // payload is not tested as in the index of payloads, which is far larger.
    Condition::all().add(Expr::cust("outcome = 'parked'")).add(Expr::cust("COALESCE(payload, '') <> ''"))
}
