//! The endpoints: the health of each, and its position in the log. The events that each has yet to be sent are in
//! `pending`.

use std::time::Duration;

use entity::endpoint::{ActiveModel, Column, Entity, Model};
use entity::{endpoint_event, outbox};
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityName, EntityTrait,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::connection::Db;
use super::outbox::end;
use super::{StoreError, Tx, in_time};
use crate::domain::{EndpointState, EventKind, Health, Timestamp};

/// How many events one statement copies to an endpoint, at most.
const FAN_OUT: u64 = 1_000;

/// The status of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEndpoint {
    /// Its configured name.
    pub name: String,
    /// Events up to this one were copied to it.
    pub position: i64,
    /// Whether it accepts events.
    pub health: Health,
    /// The last attempt.
    pub last: Option<LastAttempt>,
}

/// The last attempt to send to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastAttempt {
    /// When it began.
    pub at: Timestamp,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// How long it took.
    pub latency: Duration,
}

/// Which events an endpoint is sent.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Only events of these kinds.
    pub kinds: Vec<EventKind>,
    /// Only events of users of these sources; of all sources if the list is empty.
    pub sources: Vec<String>,
}

/// The pending events of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many events.
    pub events: u64,
    /// When the oldest of them was logged.
    pub oldest: Option<Timestamp>,
}

/// Reads the endpoints.
#[derive(Debug)]
pub struct Endpoints<'a>(pub(super) &'a Db);

impl Endpoints<'_> {
    /// The status of an endpoint; `None` if it is not registered yet.
    pub async fn find(&self, name: &str) -> Result<Option<StoredEndpoint>, StoreError> {
        in_time(Entity::find_by_id(name).one(self.0)).await?.map(endpoint).transpose()
    }

    /// The pending events of an endpoint.
    pub async fn backlog(&self, of: &StoredEndpoint, wanted: &Wanted) -> Result<Backlog, StoreError> {
        use endpoint_event::Column as Pending;
        let pending = || endpoint_event::Entity::find().filter(Pending::Endpoint.eq(&of.name));
        let copied = in_time(pending().count(self.0)).await?;
        let first = in_time(pending().order_by_asc(Pending::Sequence).limit(1).one(self.0)).await?;
        let ahead = || outbox::Entity::find().filter(ahead_of(of, wanted));
        let not_copied = in_time(ahead().count(self.0)).await?;
        let next = in_time(ahead().order_by_asc(outbox::Column::Sequence).limit(1).one(self.0)).await?;
        let oldest = first.map(|first| first.at).into_iter().chain(next.map(|next| next.at)).min();
        Ok(Backlog { events: copied + not_copied, oldest: oldest.map(Timestamp::from) })
    }

    /// The same, but counting stops at a limit.
    pub async fn backlog_up_to(
        &self,
        of: &StoredEndpoint,
        wanted: &Wanted,
        limit: u64,
    ) -> Result<Backlog, StoreError> {
        use endpoint_event::Column as Pending;
        let copied = endpoint_event::Entity::find()
            .select_only()
            .columns([Pending::Sequence, Pending::At])
            .filter(Pending::Endpoint.eq(&of.name))
            .order_by_asc(Pending::Sequence)
            .limit(limit)
            .into_tuple::<(i64, chrono::DateTime<chrono::Utc>)>();
        let ahead = outbox::Entity::find()
            .select_only()
            .columns([outbox::Column::Sequence, outbox::Column::At])
            .filter(ahead_of(of, wanted))
            .order_by_asc(outbox::Column::Sequence)
            .limit(limit)
            .into_tuple::<(i64, chrono::DateTime<chrono::Utc>)>();
        let mut found = in_time(copied.all(self.0)).await?;
        found.extend(in_time(ahead.all(self.0)).await?);
        let oldest = found.iter().map(|(_, at)| Timestamp::from(*at)).min();
        Ok(Backlog { events: (found.len() as u64).min(limit), oldest })
    }

    /// Whether there are events to copy to the endpoint, or one of its own is due.
    pub async fn has_work(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        use endpoint_event::Column as Pending;
        let Some(endpoint) = self.find(name).await? else { return Ok(true) };
        if endpoint.health.state == EndpointState::Disabled {
            return Ok(false);
        }
        if in_time(end(self.0)).await? > endpoint.position {
            return Ok(true);
        }
        if endpoint.health.resume_at.is_some_and(|resume_at| now < resume_at) {
            return Ok(false);
        }
        let now: chrono::DateTime<chrono::Utc> = now.into();
        let due = endpoint_event::Entity::find()
            .filter(Pending::Endpoint.eq(name))
            .filter(Pending::NextAt.lte(now))
            .filter(Condition::any().add(Pending::HeldUntil.is_null()).add(Pending::HeldUntil.lte(now)));
        Ok(in_time(due.limit(1).one(self.0)).await?.is_some())
    }
}

/// The events that were not copied to an endpoint yet.
fn ahead_of(endpoint: &StoredEndpoint, wanted: &Wanted) -> Condition {
    use outbox::Column as Logged;
    let kinds = wanted.kinds.iter().map(|kind| kind.name());
    let sources = (!wanted.sources.is_empty()).then(|| Logged::Source.is_in(&wanted.sources));
    Condition::all()
        .add(Logged::Sequence.gt(endpoint.position))
        .add(Condition::any().add(Logged::Endpoint.is_null()).add(Logged::Endpoint.eq(&endpoint.name)))
        .add(Logged::Kind.is_in(kinds))
        .add_option(sources)
}

impl Tx {
    /// Reads and locks the status of an endpoint until the transaction ends. A new endpoint is registered at the end of
    /// the log.
    pub async fn lock_endpoint(&self, name: &str, now: Timestamp) -> Result<StoredEndpoint, StoreError> {
        let found = || Entity::find_by_id(name).lock_exclusive().one(&self.inner);
        if let Some(row) = found().await? {
            return endpoint(row);
        }
        let registered = StoredEndpoint {
            name: name.to_owned(),
            position: end(&self.inner).await?,
            health: Health::healthy(now),
            last: None,
        };
        let unless_there = sea_orm::sea_query::OnConflict::column(Column::Name).do_nothing().to_owned();
        Entity::insert(row(&registered))
            .on_conflict(unless_there)
            .exec_without_returning(&self.inner)
            .await?;
        found().await?.map_or(Ok(registered), endpoint)
    }

    /// Writes the status of an endpoint.
    pub async fn save_endpoint(&self, endpoint: &StoredEndpoint) -> Result<(), StoreError> {
        row(endpoint).reset_all().update(&self.inner).await?;
        Ok(())
    }

    /// Copies the next events of the log to an endpoint; returns whether there were no more.
    pub async fn fan_out(
        &self,
        endpoint: &mut StoredEndpoint,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        use endpoint_event::Column as Pending;
        use outbox::Column as Logged;
        let next: Vec<i64> = outbox::Entity::find()
            .select_only()
            .column(Logged::Sequence)
            .filter(Logged::Sequence.gt(endpoint.position))
            .order_by_asc(Logged::Sequence)
            .limit(FAN_OUT)
            .into_tuple()
            .all(&self.inner)
            .await?;
        let Some(last) = next.last() else { return Ok(true) };
        let now: chrono::DateTime<chrono::Utc> = now.into();
        let select = Query::select()
            .expr(Expr::value(endpoint.name.as_str()))
            .columns([
                Logged::Sequence,
                Logged::EventId,
                Logged::UserId,
                Logged::Source,
                Logged::ExternalId,
                Logged::Kind,
                Logged::Changed,
                Logged::Stamp,
                Logged::At,
            ])
            .expr(Expr::value(0))
            .expr(Expr::value(now))
            .from(outbox::Entity.table_ref())
            .cond_where(ahead_of(endpoint, wanted).add(Logged::Sequence.lte(*last)))
            .take();
        let columns = [
            Pending::Endpoint,
            Pending::Sequence,
            Pending::EventId,
            Pending::UserId,
            Pending::Source,
            Pending::ExternalId,
            Pending::Kind,
            Pending::Changed,
            Pending::Stamp,
            Pending::At,
            Pending::Attempts,
            Pending::NextAt,
        ];
        let mut insert = Query::insert();
        insert.into_table(endpoint_event::Entity.table_ref()).columns(columns);
        insert.select_from(select).map_err(|error| sea_orm::DbErr::Type(error.to_string()))?;
        self.inner.execute(&insert).await?;
        endpoint.position = *last;
        Ok((next.len() as u64) < FAN_OUT)
    }
}

fn row(endpoint: &StoredEndpoint) -> ActiveModel {
    let StoredEndpoint { name, position, health, last } = endpoint;
    let Health { state, changed_at, failures, failing_since, probes, resume_at } = *health;
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    ActiveModel {
        name: Set(name.clone()),
        position: Set(*position),
        state: Set(state.to_string()),
        changed_at: Set(changed_at.into()),
        failures: Set(number(failures)),
        failing_since: Set(failing_since.map(Into::into)),
        probes: Set(number(probes)),
        resume_at: Set(resume_at.map(Into::into)),
        last_attempt_at: Set(last.map(|last| last.at.into())),
        last_status: Set(last.and_then(|last| last.status).map(i32::from)),
        last_latency_ms: Set(last.map(|last| i64::try_from(last.latency.as_millis()).unwrap_or(i64::MAX))),
    }
}

fn endpoint(row: Model) -> Result<StoredEndpoint, StoreError> {
    let Model {
        name,
        position,
        state,
        changed_at,
        failures,
        failing_since,
        probes,
        resume_at,
        last_attempt_at,
        last_status,
        last_latency_ms,
    } = row;
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    let state = state.parse();
    let health = Health {
        state: state.map_err(|_| StoreError::unavailable("an endpoint's state is of a later version"))?,
        changed_at: changed_at.into(),
        failures: number(failures),
        failing_since: failing_since.map(Timestamp::from),
        probes: number(probes),
        resume_at: resume_at.map(Timestamp::from),
    };
    let last = last_attempt_at.map(|at| LastAttempt {
        at: at.into(),
        status: last_status.and_then(|status| u16::try_from(status).ok()),
        latency: Duration::from_millis(last_latency_ms.and_then(|it| it.try_into().ok()).unwrap_or_default()),
    });
    Ok(StoredEndpoint { name, position, health, last })
}
