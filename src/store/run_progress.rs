//! The progress of a run, which is committed together with the users of a page.

use entity::run::{Column, Entity};
use entity::run_user;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::value::TextUuid;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::Value;
use uuid::Uuid;

use super::runs::{RUN_LEASE, RunCounts, signed};
use super::{StoreError, Tx, bulk};
use crate::domain::Timestamp;

/// The progress of a run after a page.
#[derive(Clone, Debug)]
pub(crate) struct RunProgress<'a> {
    pub(crate) run: Uuid,
    pub(crate) holder: &'a str,
    /// The position of the next page; `None` leaves the stored position unchanged.
    pub(crate) position: Option<&'a Value>,
    pub(crate) total: Option<u64>,
    /// The ids of the users to store as seen, for a reconciliation.
    pub(crate) seen: &'a [String],
    pub(crate) now: Timestamp,
}

impl Tx {
    /// Writes the progress of a run together with the users of the page. Fails if another process has taken the run
    /// over.
    pub(crate) async fn advance_run(
        &self,
        progress: &RunProgress<'_>,
        page: RunCounts,
    ) -> Result<(), StoreError> {
        let RunProgress { run, holder, position, total, seen, now } = progress;
        let rows = seen.iter().map(|external_id| run_user::ActiveModel {
            run_id: Set(run.to_string()),
            external_id: Set(external_id.clone()),
        });
        let key = [run_user::Column::RunId, run_user::Column::ExternalId];
        let unless_seen = OnConflict::columns(key).do_nothing().to_owned();
        for insert in bulk::inserts(self, rows.collect(), unless_seen, None)? {
            self.inner.execute_raw(insert).await?;
        }
        let [time, until] = [*now, now.plus(RUN_LEASE)].map(chrono::DateTime::<chrono::Utc>::from);
        let plus = |column: Column, count: u64| Expr::col(column).add(signed(count));
        let mut update = Entity::update_many()
            .col_expr(Column::Seen, plus(Column::Seen, page.seen))
            .col_expr(Column::Applied, plus(Column::Applied, page.applied))
            .col_expr(Column::Unchanged, plus(Column::Unchanged, page.unchanged))
            .col_expr(Column::Parked, plus(Column::Parked, page.parked))
            .col_expr(Column::UpdatedAt, Expr::value(time))
            .col_expr(Column::HeldUntil, Expr::value(until))
            .filter(Column::Id.eq(TextUuid(*run)))
            .filter(Column::Holder.eq(*holder));
        if let Some(position) = position {
            update = update.col_expr(Column::Position, Expr::value(position.to_string()));
        }
        if let Some(total) = total {
            update = update.col_expr(Column::Total, Expr::value(signed(*total)));
        }
        if update.exec(&self.inner).await?.rows_affected == 1 {
            return Ok(());
        }
        Err(StoreError::unavailable("another process has taken this run over"))
    }
}
