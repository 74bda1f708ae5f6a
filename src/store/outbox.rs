//! The log of events. The transaction that changes users also adds their events; they are read in the order of the
//! commits.

use entity::outbox::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::value::TextUuid;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement, Value,
};
use uuid::Uuid;

use super::connection::Db;
use super::error::nothing_if_rejected;
use super::pairs::{is_among, past, text_array};
use super::{StoreError, Tx, in_time};
use crate::domain::{Event, EventKind, LoggedEvent, Timestamp, UserId, UserKey};

/// The key of the advisory lock under which events are logged.
const LOG_LOCK: i64 = 0x6f75_7462_6f78_2e31;
/// PostgreSQL disconnects a process that hangs for this time while it holds the lock.
const IDLE_TIMEOUT: &str = "5s";
/// Rows deleted by one statement of the sweep.
const SWEEP_BATCH: u64 = 1_000;

/// The log of events.
#[derive(Debug)]
pub struct Outbox<'a>(pub(super) &'a Db);

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of users of this source.
    pub source: Option<String>,
    /// Only of this kind.
    pub kind: Option<EventKind>,
}

/// A page of the log.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// The events.
    pub events: Vec<LoggedEvent>,
    /// Every event up to this one is on this page or an earlier one, or does not match the filter.
    pub next: i64,
    /// Whether there were no more.
    pub is_last: bool,
}

impl Outbox<'_> {
    /// The last event of the log; 0 if there never was one.
    pub async fn end(&self) -> Result<i64, StoreError> {
        in_time(end(self.0)).await
    }

    /// The sequence number before the first event that was logged at or after `since`.
    pub async fn start(&self, since: Timestamp) -> Result<i64, StoreError> {
        let since: chrono::DateTime<chrono::Utc> = since.into();
        let end = self.end().await?;
        let first = sequences().filter(Column::At.gte(since)).order_by_asc(Column::Sequence).limit(1);
        let first: Option<i64> = in_time(first.into_tuple().one(self.0)).await?;
        Ok(first.map_or(end, |first| (first - 1).min(end)))
    }

    /// Whether a reader that has read up to `after` can continue from there: the next event is still kept.
    ///
    /// The newest of the events that are older than the retention stays in the table, so that a reader that has missed
    /// it is recognised.
    pub async fn has_kept(&self, after: i64, since: Timestamp) -> Result<bool, StoreError> {
        let next = Entity::find().filter(Column::Sequence.gt(after)).order_by_asc(Column::Sequence);
        match in_time(next.one(self.0)).await? {
            Some(next) => Ok(Timestamp::from(next.at) >= since),
            // A cursor past the end is from another database.
            None => Ok(after <= self.end().await?),
        }
    }

    /// At most `limit` events after a sequence number.
    pub async fn page(&self, after: i64, filter: &EventFilter, limit: u64) -> Result<EventPage, StoreError> {
        // Read first: all events up to the end are committed, even if others are logged meanwhile.
        let end = self.end().await?.max(after);
        let wanted = Condition::all()
            .add(Column::Sequence.gt(after))
            .add(Column::Sequence.lte(end))
            .add(Column::Endpoint.is_null())
            .add_option(filter.source.as_ref().map(|source| Column::Source.eq(source)))
            .add_option(filter.kind.map(|kind| Column::Kind.eq(kind.name())));
        let rows = Entity::find().filter(wanted).order_by_asc(Column::Sequence).limit(limit);
        let rows = nothing_if_rejected(in_time(rows.all(self.0)).await)?;
        let is_last = (rows.len() as u64) < limit;
        let events = rows.into_iter().map(logged).collect::<Result<Vec<_>, _>>()?;
        let next = events.last().filter(|_| !is_last).map_or(end, |last| last.sequence);
        Ok(EventPage { events, next, is_last })
    }

    /// The events of the next `limit` users after a user, in the order of the users' keys: those that were logged at or
    /// after `since`, up to the event `up_to`.
    pub async fn of_users(
        &self,
        after: Option<&UserKey>,
        since: Timestamp,
        up_to: i64,
        limit: u64,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let since: chrono::DateTime<chrono::Utc> = since.into();
        let later = after.map(|UserKey { source, external_id }| {
            past([(Column::Source, source.into()), (Column::ExternalId, external_id.into())])
        });
        let wanted = Condition::all()
            .add(Column::At.gte(since))
            .add(Column::Sequence.lte(up_to))
            .add(Column::Endpoint.is_null())
            .add_option(later);
        let keys: Vec<(String, String)> = Entity::find()
            .select_only()
            .columns([Column::Source, Column::ExternalId])
            .distinct()
            .filter(wanted.clone())
            .order_by_asc(Column::Source)
            .order_by_asc(Column::ExternalId)
            .limit(limit)
            .into_tuple()
            .all(self.0)
            .await?;
        let keys: Vec<UserKey> = keys.into_iter().map(|(source, id)| UserKey::new(source, id)).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = Entity::find()
            .filter(wanted)
            .filter(is_among(self.0, keys.iter()))
            .order_by_asc(Column::Source)
            .order_by_asc(Column::ExternalId)
            .order_by_asc(Column::Sequence)
            .all(self.0)
            .await?;
        rows.into_iter().map(logged).collect()
    }

    /// Ends the log, because changes are not logged any more: a reader that continues later gets an expired cursor,
    /// because it has missed changes.
    pub async fn end_log(&self) -> Result<(), StoreError> {
        let epoch: chrono::DateTime<chrono::Utc> = Timestamp::EPOCH.into();
        let last = Entity::find().order_by_desc(Column::Sequence).one(self.0).await?;
        if last.is_none_or(|last| last.at == epoch) {
            return Ok(());
        }
        let tx = self.0.begin().await?;
        Entity::update_many().col_expr(Column::At, Expr::value(epoch)).exec(&tx).await?;
        // An event for no endpoint, older than any retention: a cursor at the end of the log is before it.
        let end = ActiveModel {
            sequence: NotSet,
            event_id: Set(TextUuid(Uuid::nil())),
            user_id: Set(TextUuid(Uuid::nil())),
            source: Set(String::new()),
            external_id: Set(String::new()),
            kind: Set(EventKind::Updated.to_string()),
            changed: Set(String::new()),
            stamp: Set(epoch),
            at: Set(epoch),
            endpoint: Set(Some(String::new())),
        };
        Entity::insert(end).exec_without_returning(&tx).await?;
        Ok(tx.commit().await?)
    }

    /// Deletes a batch of events that were logged before a time; returns how many. The newest of them stays.
    pub async fn sweep(&self, before: Timestamp) -> Result<u64, StoreError> {
        let kept_from = self.start(before).await?;
        let old = sequences()
            .filter(Column::Sequence.lt(kept_from))
            .order_by_asc(Column::Sequence)
            .limit(SWEEP_BATCH);
        let old: Vec<i64> = old.into_tuple().all(self.0).await?;
        let Some(last) = old.last() else { return Ok(0) };
        let swept = Entity::delete_many().filter(Column::Sequence.lte(*last)).exec(self.0).await?;
        Ok(swept.rows_affected)
    }
}

impl Tx {
    /// Logs events, each with its id, in their order; for one endpoint alone, or for all readers.
    ///
    /// On PostgreSQL only one transaction at a time logs events, from this call until it ends: so sequence numbers are
    /// in the order of the commits, and a reader misses none. Call it last, just before the commit. SQLite has one
    /// writer anyway.
    pub async fn log_events(
        &self,
        events: &[(Uuid, Event)],
        endpoint: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        if self.inner.get_database_backend() == DbBackend::Postgres {
            self.inner.execute_raw(postgres_insert(events, endpoint, now)).await?;
            return Ok(());
        }
        let rows = events.iter().map(|(event_id, event)| ActiveModel {
            sequence: NotSet,
            event_id: Set(TextUuid(*event_id)),
            user_id: Set(TextUuid(event.id.0)),
            source: Set(event.user.source.clone()),
            external_id: Set(event.user.external_id.clone()),
            kind: Set(event.kind.to_string()),
            changed: Set(event.changed.join(",")),
            stamp: Set(event.stamp.into()),
            at: Set(now.into()),
            endpoint: Set(endpoint.map(str::to_owned)),
        });
        Entity::insert_many(rows).exec_without_returning(&self.inner).await?;
        Ok(())
    }
}

/// One statement, whose text is the same for any number of events. Each row gets its sequence number when it is read,
/// and no row is read before the lock is taken.
fn postgres_insert(events: &[(Uuid, Event)], endpoint: Option<&str>, now: Timestamp) -> Statement {
    let column = |value: &dyn Fn(&(Uuid, Event)) -> String| {
        text_array(events.iter().map(|row| Value::from(value(row))).collect())
    };
    let sql = format!(
        "INSERT INTO \"usersync\".outbox (event_id, user_id, source, external_id, kind, changed, stamp, at, endpoint) \
         SELECT event_id, user_id, source, external_id, kind, changed, CAST(stamp AS timestamptz), $8, $9 \
         FROM (SELECT pg_advisory_xact_lock({LOG_LOCK}), \
         set_config('idle_in_transaction_session_timeout', '{IDLE_TIMEOUT}', true) OFFSET 0) AS alone, \
         unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS text[]), CAST($5 AS text[]), \
         CAST($6 AS text[]), CAST($7 AS text[])) WITH ORDINALITY \
         AS events (event_id, user_id, source, external_id, kind, changed, stamp, place) ORDER BY place"
    );
    let at: chrono::DateTime<chrono::Utc> = now.into();
    let values = [
        column(&|(event_id, _)| event_id.to_string()),
        column(&|(_, event)| event.id.to_string()),
        column(&|(_, event)| event.user.source.clone()),
        column(&|(_, event)| event.user.external_id.clone()),
        column(&|(_, event)| event.kind.to_string()),
        column(&|(_, event)| event.changed.join(",")),
        column(&|(_, event)| event.stamp.to_string()),
        at.into(),
        endpoint.map(str::to_owned).into(),
    ];
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

fn sequences() -> sea_orm::Select<Entity> {
    Entity::find().select_only().column(Column::Sequence)
}

/// The last event of the log.
pub(super) async fn end(db: &impl ConnectionTrait) -> Result<i64, sea_orm::DbErr> {
    let last: Option<i64> = sequences().order_by_desc(Column::Sequence).limit(1).into_tuple().one(db).await?;
    Ok(last.unwrap_or_default())
}

/// The last event that was logged before a time, if any of these events comes after the sequence number `after`.
pub(super) async fn expired_after(
    db: &impl ConnectionTrait,
    after: i64,
    before: Timestamp,
) -> Result<Option<i64>, sea_orm::DbErr> {
    let next =
        Entity::find().filter(Column::Sequence.gt(after)).order_by_asc(Column::Sequence).one(db).await?;
    if next.is_none_or(|next| Timestamp::from(next.at) >= before) {
        return Ok(None);
    }
    let before: chrono::DateTime<chrono::Utc> = before.into();
    let kept = sequences().filter(Column::At.gte(before)).order_by_asc(Column::Sequence).limit(1);
    let kept: Option<i64> = kept.into_tuple().one(db).await?;
    Ok(Some(match kept {
        Some(kept) => kept - 1,
        None => end(db).await?,
    }))
}

/// An event from its columns.
pub(super) fn event(
    key: UserKey,
    id: TextUuid,
    kind: EventKind,
    changed: &str,
    stamp: chrono::DateTime<chrono::Utc>,
) -> Event {
    let changed = changed.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Event { user: key, id: UserId(id.0), kind, changed, stamp: stamp.into() }
}

/// A kind of event that only a later version knows is an error.
pub(super) fn kind_of(text: &str) -> Result<EventKind, StoreError> {
    text.parse().map_err(|_| StoreError::unavailable("an event was logged by a later version"))
}

fn logged(row: Model) -> Result<LoggedEvent, StoreError> {
    let Model { sequence, event_id, user_id, source, external_id, kind, changed, stamp, at, endpoint: _ } =
        row;
    let event = event(UserKey { source, external_id }, user_id, kind_of(&kind)?, &changed, stamp);
    Ok(LoggedEvent { sequence, event_id: event_id.0, event, at: at.into() })
}
