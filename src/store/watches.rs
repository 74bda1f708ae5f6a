//! The watch of each source: its deliveries, the results of the last checks, and the position in its event log.
//!
//! Every replica writes here; each writer has its own columns, or adds to the stored values.

use std::collections::BTreeMap;

use entity::watch::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, UpdateMany};

use super::connection::Db;
use super::{StoreError, Tx};
use crate::domain::{Activity, Checks, LogState, Reason, SourceState, Timestamp};

/// The stored state of one source's watch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watched {
    /// When it was first watched.
    pub(crate) started_at: Timestamp,
    pub(crate) activity: Activity,
    pub(crate) checks: Checks,
    /// The position in the event log; `None` before the first event, and after the position was lost.
    pub(crate) cursor: Option<String>,
    pub(crate) log: LogState,
    /// The state that was last logged.
    pub(crate) state: Option<SourceState>,
}

/// The position in an event log, which is written together with the events.
#[derive(Clone, Debug)]
pub(crate) struct LogPosition<'a> {
    pub(crate) source: &'a str,
    pub(crate) cursor: &'a str,
    pub(crate) now: Timestamp,
}

/// Reads and writes the watches of the sources.
#[derive(Debug)]
pub(crate) struct Watches<'a>(pub(super) &'a Db);

type Time = chrono::DateTime<chrono::Utc>;

impl Watches<'_> {
    /// All watches, by source.
    pub(crate) async fn all(&self) -> Result<BTreeMap<String, Watched>, StoreError> {
        let rows = super::in_time(Entity::find().all(self.0)).await?;
        Ok(rows.into_iter().map(watched).collect())
    }

    /// The watch of a source.
    pub(crate) async fn find(&self, source: &str) -> Result<Option<Watched>, StoreError> {
        let row = super::in_time(Entity::find_by_id(source).one(self.0)).await?;
        Ok(row.map(|row| watched(row).1))
    }

    /// Creates the watch of a source, unless it exists.
    pub(crate) async fn begin(
        &self,
        source: &str,
        activity: &Activity,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let unless_exists = OnConflict::column(Column::Source).do_nothing().to_owned();
        let row = row(source, activity, now);
        Entity::insert(row).on_conflict(unless_exists).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// Adds deliveries that were accepted or refused to the stored ones.
    pub(crate) async fn add_activity(
        &self,
        source: &str,
        new: &Activity,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let tx = self.0.begin().await?;
        let known = Entity::find_by_id(source).lock_exclusive().one(&tx).await?;
        let is_known = known.is_some();
        let activity = known.map(activity).unwrap_or_default().and(*new);
        if is_known {
            let ActiveModel { last_delivery_at, last_refused_at, refused_since, refused, .. } =
                row(source, &activity, now);
            let changes = ActiveModel {
                last_delivery_at,
                last_refused_at,
                refused_since,
                refused,
                ..ActiveModel::default()
            };
            of(source).set(changes).exec(&tx).await?;
        } else {
            Entity::insert(row(source, &activity, now)).exec_without_returning(&tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Stores the results of the checks.
    pub(crate) async fn save_checks(&self, source: &str, checks: &Checks) -> Result<(), StoreError> {
        // Plain data always has a JSON form.
        let checks = serde_json::to_string(checks).unwrap_or_default();
        of(source).col_expr(Column::Checks, Expr::value(checks)).exec(self.0).await?;
        Ok(())
    }

    /// Stores whether the event log can be read.
    pub(crate) async fn note_log(
        &self,
        source: &str,
        failure: Option<Reason>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let failed = failure.map(|reason| reason.as_str().to_owned());
        let mut update = of(source).col_expr(Column::LogFailure, Expr::value(failed));
        if failure.is_none() {
            update = update.col_expr(Column::LogReadAt, Expr::value(Time::from(now)));
        }
        update.exec(self.0).await?;
        Ok(())
    }

    /// Deletes the failure of the event log. When the log was read stays as it is.
    pub(crate) async fn clear_log_failure(&self, source: &str) -> Result<(), StoreError> {
        let none = Expr::value(Option::<String>::None);
        of(source).col_expr(Column::LogFailure, none).exec(self.0).await?;
        Ok(())
    }

    /// Deletes the position in the event log: events before `now` may be lost, and reading starts again at `now`.
    pub(crate) async fn lose_position(&self, source: &str, now: Timestamp) -> Result<(), StoreError> {
        of(source)
            .col_expr(Column::Cursor, Expr::value(Option::<String>::None))
            .col_expr(Column::GapAt, Expr::value(Time::from(now)))
            .col_expr(Column::LogReadAt, Expr::value(Time::from(now)))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Replaces the state that was last logged, if it is still `from`; returns whether it was, so that only one replica
    /// logs a change.
    pub(crate) async fn change_state(
        &self,
        source: &str,
        from: Option<SourceState>,
        to: SourceState,
    ) -> Result<bool, StoreError> {
        let as_expected = match from {
            Some(state) => Column::State.eq(state.as_str()),
            None => Column::State.is_null(),
        };
        let changed = of(source)
            .col_expr(Column::State, Expr::value(to.as_str()))
            .filter(Condition::all().add(as_expected))
            .exec(self.0)
            .await?;
        Ok(changed.rows_affected == 1)
    }
}

impl Tx {
    /// Writes the position in an event log. `has_news` is whether it had events that no webhook had delivered.
    pub(crate) async fn advance_log(
        &self,
        position: &LogPosition<'_>,
        has_news: bool,
    ) -> Result<(), StoreError> {
        let now = Time::from(position.now);
        let update = of(position.source)
            .col_expr(Column::Cursor, Expr::value(position.cursor))
            .col_expr(Column::LogReadAt, Expr::value(now))
            .col_expr(Column::LogFailure, Expr::value(Option::<String>::None));
        update.exec(&self.inner).await?;
        if has_news {
            // The first one since the last delivery counts, or a lost webhook a minute would always be too young.
            let is_first = Condition::any()
                .add(Column::OnlyInLogAt.is_null())
                .add(Expr::col(Column::LastDeliveryAt).gte(Expr::col(Column::OnlyInLogAt)));
            let first = of(position.source).col_expr(Column::OnlyInLogAt, Expr::value(now)).filter(is_first);
            first.exec(&self.inner).await?;
        }
        Ok(())
    }
}

fn of(source: &str) -> UpdateMany<Entity> {
    Entity::update_many().filter(Column::Source.eq(source))
}

fn row(source: &str, activity: &Activity, now: Timestamp) -> ActiveModel {
    let Activity { last_delivery_at, last_refused_at, refused_since, refused } = *activity;
    let time = |moment: Option<Timestamp>| Set(moment.map(Time::from));
    ActiveModel {
        source: Set(source.to_owned()),
        started_at: Set(now.into()),
        last_delivery_at: time(last_delivery_at),
        last_refused_at: time(last_refused_at),
        refused_since: time(refused_since),
        refused: Set(i64::try_from(refused).unwrap_or(i64::MAX)),
        checks: Set(None),
        cursor: Set(None),
        log_read_at: Set(None),
        log_failure: Set(None),
        gap_at: Set(None),
        only_in_log_at: Set(None),
        state: Set(None),
    }
}

fn activity(row: Model) -> Activity {
    watched(row).1.activity
}

fn watched(row: Model) -> (String, Watched) {
    let Model {
        source,
        started_at,
        last_delivery_at,
        last_refused_at,
        refused_since,
        refused,
        checks,
        cursor,
        log_read_at,
        log_failure,
        gap_at,
        only_in_log_at,
        state,
    } = row;
    let activity = Activity {
        last_delivery_at: last_delivery_at.map(Timestamp::from),
        last_refused_at: last_refused_at.map(Timestamp::from),
        refused_since: refused_since.map(Timestamp::from),
        refused: u64::try_from(refused).unwrap_or_default(),
    };
    let log = LogState {
        read_at: log_read_at.map(Timestamp::from),
        failure: log_failure.and_then(|name| name.parse().ok()),
        gap_at: gap_at.map(Timestamp::from),
        only_in_log_at: only_in_log_at.map(Timestamp::from),
    };
    // Checks that another version has written in an unknown format count as not made.
    let checks = checks.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let state = state.and_then(|name| name.parse().ok());
    (source, Watched { started_at: started_at.into(), activity, checks, cursor, log, state })
}
