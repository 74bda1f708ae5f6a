//! Runs: backfills and reconciliations.

use std::time::Duration;

use entity::run::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::value::TextUuid;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, Statement,
};
use serde_json::Value;
use strum::{Display, EnumString, IntoStaticStr};
use uuid::Uuid;

use super::StoreError;
use super::connection::{Db, Transaction};
use crate::clock::Clock;
use crate::domain::Timestamp;

/// How long the lease of a run lasts if its process does not renew it. After a process was killed, the next one waits
/// at most this long.
pub(crate) const RUN_LEASE: Duration = Duration::from_secs(15);
/// An unfinished run that is older starts from the beginning: the provider's own state of it may be deleted.
const RESUMABLE_FOR: Duration = Duration::from_hours(24);

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RunKind {
    Backfill,
    Reconcile,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RunState {
    /// It is not complete, whether or not a process is working on it.
    Running,
    /// It reached the documented end of the provider's list.
    Complete,
    /// It will not be continued: another run has replaced it, or its list could not be read to the end.
    Abandoned,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) source: String,
    pub(crate) kind: RunKind,
    pub(crate) state: RunState,
    /// The position in the provider's list, in the provider's own format; `None` at the beginning.
    pub(crate) position: Option<Value>,
    pub(crate) counts: RunCounts,
    pub(crate) total: Option<u64>,
    pub(crate) started_at: Timestamp,
    /// When it began, according to the provider's clock.
    pub(crate) provider_time: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) error: Option<String>,
    /// What a reconciliation found.
    pub(crate) report: Option<Value>,
    /// Whether a process is working on it now.
    pub(crate) is_held: bool,
}

/// The number of users that a run has read, and what was done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunCounts {
    pub(crate) seen: u64,
    pub(crate) applied: u64,
    pub(crate) unchanged: u64,
    pub(crate) parked: u64,
}

impl std::ops::Add for RunCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            applied: self.applied + other.applied,
            unchanged: self.unchanged + other.unchanged,
            parked: self.parked + other.parked,
        }
    }
}

/// Which run to begin or to continue.
#[derive(Clone, Debug)]
pub(crate) struct RunRequest<'a> {
    pub(crate) source: &'a str,
    pub(crate) kind: RunKind,
    /// A run with other parameters is not continued.
    pub(crate) parameters: &'a str,
    /// Whether to start from the beginning even if there is an unfinished or finished run.
    pub(crate) restart: bool,
    /// The process that starts it.
    pub(crate) holder: &'a str,
}

/// The result of a request for a run.
#[derive(Debug)]
pub(crate) enum RunStart {
    /// A new run, or an unfinished one to continue.
    Started(Run),
    /// The last run is complete, and is not repeated.
    AlreadyComplete(Run),
    /// Another process is working on this source.
    LeasedByOther { until: Timestamp },
}

/// How a process ends its work on a run.
#[derive(Clone, Debug)]
pub(crate) struct RunEnd<'a> {
    pub(crate) state: RunState,
    /// Why it could not be completed.
    pub(crate) error: Option<&'a str>,
    /// What a reconciliation found, as JSON.
    pub(crate) report: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// Reads and writes the runs.
#[derive(Debug)]
pub(crate) struct Runs<'a>(pub(super) &'a Db);

impl Runs<'_> {
    /// Begins a run, or continues an unfinished one. One process at a time works on a source.
    pub(crate) async fn begin(
        &self,
        request: &RunRequest<'_>,
        clock: &Clock,
    ) -> Result<RunStart, StoreError> {
        let now = clock.now();
        let tx = self.0.begin().await?;
        lock(&tx, request.source).await?;
        let held = Entity::find()
            .filter(Column::Source.eq(request.source))
            .filter(Column::HeldUntil.gt(chrono::DateTime::from(now)))
            .filter(Column::Holder.ne(request.holder))
            .order_by_desc(Column::HeldUntil)
            .one(&tx)
            .await?;
        if let Some(until) = held.and_then(|run| run.held_until) {
            tx.rollback().await?;
            return Ok(RunStart::LeasedByOther { until: until.into() });
        }
        take_from_others(&tx, request).await?;
        if let Some(last) = last_of(&tx, request).await? {
            if is_complete(&last) {
                return Ok(RunStart::AlreadyComplete(run(last, now)));
            }
            if last.state == RunState::Running.to_string()
                && now.since(last.started_at.into()) < RESUMABLE_FOR
            {
                self.hold_in(&tx, last.id.0, request.holder, now).await?;
                tx.commit().await?;
                return Ok(RunStart::Started(run(Model { error: None, ..last }, now)));
            }
        }
        abandon(&tx, request).await?;
        let begun = Entity::insert(new_run(request, clock)).exec_with_returning(&tx).await?;
        tx.commit().await?;
        Ok(RunStart::Started(run(begun, now)))
    }

    /// Whether nothing would be done, because the last run is complete and is not repeated.
    pub(crate) async fn is_complete(&self, request: &RunRequest<'_>) -> Result<bool, StoreError> {
        Ok(last_of(self.0, request).await?.is_some_and(|last| is_complete(&last)))
    }

    /// Renews the lease of a process on a run; returns whether the process still has it.
    pub(crate) async fn hold(&self, id: Uuid, holder: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.hold_in(self.0, id, holder, now).await
    }

    async fn hold_in(
        &self,
        db: &impl ConnectionTrait,
        id: Uuid,
        holder: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let [now, until] = [now, now.plus(RUN_LEASE)].map(chrono::DateTime::<chrono::Utc>::from);
        let free = Condition::any()
            .add(Column::Holder.is_null())
            .add(Column::Holder.eq(holder))
            .add(Column::HeldUntil.lte(now));
        let held = Entity::update_many()
            .col_expr(Column::Holder, Expr::value(holder))
            .col_expr(Column::HeldUntil, Expr::value(until))
            // A run in progress has none; one that is continued has that of its last end.
            .col_expr(Column::Error, Expr::value(Option::<String>::None))
            .filter(Column::Id.eq(TextUuid(id)))
            .filter(free)
            .exec(db)
            .await?;
        Ok(held.rows_affected == 1)
    }

    /// Releases a run, finished or not, unless another process has taken it over.
    pub(crate) async fn end(&self, id: Uuid, holder: &str, end: &RunEnd<'_>) -> Result<(), StoreError> {
        let RunEnd { state, error, report, now } = end;
        let finished = (*state == RunState::Complete).then(|| chrono::DateTime::<chrono::Utc>::from(*now));
        Entity::update_many()
            .col_expr(Column::State, Expr::value(state.to_string()))
            .col_expr(Column::Error, Expr::value(error.map(str::to_owned)))
            .col_expr(Column::Report, Expr::value(report.map(str::to_owned)))
            .col_expr(Column::FinishedAt, Expr::value(finished))
            .col_expr(Column::Holder, Expr::value(Option::<String>::None))
            .col_expr(Column::HeldUntil, Expr::value(Option::<chrono::DateTime<chrono::Utc>>::None))
            .filter(Column::Id.eq(TextUuid(id)))
            .filter(Column::Holder.eq(holder))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Stores the total and the provider's time of a run before its first page.
    pub(crate) async fn describe(
        &self,
        id: Uuid,
        total: Option<u64>,
        provider_time: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let time = provider_time.map(chrono::DateTime::<chrono::Utc>::from);
        Entity::update_many()
            .col_expr(Column::Total, Expr::value(total.map(signed)))
            .col_expr(Column::ProviderTime, Expr::value(time))
            .filter(Column::Id.eq(TextUuid(id)))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// The newest run of a source and kind; with `state`, the newest in that state.
    pub(crate) async fn newest(
        &self,
        source: &str,
        kind: RunKind,
        state: Option<RunState>,
        now: Timestamp,
    ) -> Result<Option<Run>, StoreError> {
        let mut query = Entity::find()
            .filter(Column::Source.eq(source))
            .filter(Column::Kind.eq(kind.to_string()))
            .order_by_desc(Column::Id);
        if let Some(state) = state {
            query = query.filter(Column::State.eq(state.to_string()));
        }
        Ok(query.one(self.0).await?.map(|row| run(row, now)))
    }

    /// Releases the run that a process has of a source, although it is not complete.
    pub(crate) async fn release(&self, source: &str, holder: &str) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(Column::Holder, Expr::value(Option::<String>::None))
            .col_expr(Column::HeldUntil, Expr::value(Option::<chrono::DateTime<chrono::Utc>>::None))
            .filter(Column::Source.eq(source))
            .filter(Column::Holder.eq(holder))
            .exec(self.0)
            .await?;
        Ok(())
    }
}

/// The last run, if this request may continue it.
async fn last_of(db: &impl ConnectionTrait, request: &RunRequest<'_>) -> Result<Option<Model>, StoreError> {
    let last = Entity::find()
        .filter(Column::Source.eq(request.source))
        .filter(Column::Kind.eq(request.kind.to_string()))
        .order_by_desc(Column::Id)
        .one(db)
        .await?;
    Ok(last.filter(|last| !request.restart && last.parameters == request.parameters))
}

/// Whether a run is not repeated. A list that was empty may have users now.
fn is_complete(run: &Model) -> bool {
    run.state == RunState::Complete.to_string() && run.kind == RunKind::Backfill.to_string() && run.seen > 0
}

/// Prevents other processes from beginning a run of this source until the transaction ends. SQLite has one writer
/// anyway.
async fn lock(tx: &Transaction, source: &str) -> Result<(), StoreError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let name = format!("usersync: runs of {source}");
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [name.into()])).await?;
    }
    Ok(())
}

/// Takes the runs of this source from processes whose leases have expired, even if these processes still run.
async fn take_from_others(tx: &Transaction, request: &RunRequest<'_>) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::Holder, Expr::value(Option::<String>::None))
        .col_expr(Column::HeldUntil, Expr::value(Option::<chrono::DateTime<chrono::Utc>>::None))
        .filter(Column::Source.eq(request.source))
        .filter(Column::Holder.ne(request.holder))
        .exec(tx)
        .await?;
    Ok(())
}

/// Marks unfinished runs as abandoned, before another one replaces them.
async fn abandon(tx: &Transaction, request: &RunRequest<'_>) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(RunState::Abandoned.to_string()))
        .filter(Column::Source.eq(request.source))
        .filter(Column::Kind.eq(request.kind.to_string()))
        .filter(Column::State.eq(RunState::Running.to_string()))
        .exec(tx)
        .await?;
    Ok(())
}

fn new_run(request: &RunRequest<'_>, clock: &Clock) -> ActiveModel {
    let now = clock.now();
    ActiveModel {
        id: Set(TextUuid(clock.fresh_id())),
        source: Set(request.source.to_owned()),
        kind: Set(request.kind.to_string()),
        parameters: Set(request.parameters.to_owned()),
        state: Set(RunState::Running.to_string()),
        position: Set(None),
        seen: Set(0),
        applied: Set(0),
        unchanged: Set(0),
        parked: Set(0),
        total: Set(None),
        started_at: Set(now.into()),
        provider_time: Set(None),
        updated_at: Set(now.into()),
        finished_at: Set(None),
        error: Set(None),
        report: Set(None),
        holder: Set(Some(request.holder.to_owned())),
        held_until: Set(Some(now.plus(RUN_LEASE).into())),
    }
}

pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

pub(super) fn run(row: Model, now: Timestamp) -> Run {
    let Model {
        id,
        source,
        kind,
        parameters: _,
        state,
        position,
        seen,
        applied,
        unchanged,
        parked,
        total,
        started_at,
        provider_time,
        updated_at: _,
        finished_at,
        error,
        report,
        holder: _,
        held_until,
    } = row;
    let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    Run {
        id: id.0,
        source,
        kind: kind.parse().unwrap_or(RunKind::Backfill),
        state: state.parse().unwrap_or(RunState::Abandoned),
        position: json(position),
        counts: RunCounts {
            seen: unsigned(seen),
            applied: unsigned(applied),
            unchanged: unsigned(unchanged),
            parked: unsigned(parked),
        },
        total: total.map(unsigned),
        started_at: started_at.into(),
        provider_time: provider_time.map(Timestamp::from),
        finished_at: finished_at.map(Timestamp::from),
        error,
        report: json(report),
        is_held: held_until.is_some_and(|until| Timestamp::from(until) > now),
    }
}
