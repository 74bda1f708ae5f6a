//! Leases: only one process at a time does a piece of work, and the next one continues where it stopped.

use std::time::Duration;

use entity::lease::{ActiveModel, Column, Entity};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::StoreError;
use super::connection::Db;
use crate::domain::Timestamp;

/// How long a lease lasts if its holder does not renew it.
pub const LEASE: Duration = Duration::from_mins(1);

/// Takes, renews and releases leases.
#[derive(Debug)]
pub struct Leases<'a>(pub(super) &'a Db);

/// A lease that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The position that an earlier holder reached, if it did not finish.
    pub position: Option<String>,
}

impl Leases<'_> {
    /// Takes a lease; `None` if another process has it.
    pub async fn take(&self, name: &str, holder: &str, now: Timestamp) -> Result<Option<Taken>, StoreError> {
        let new = ActiveModel {
            name: Set(name.to_owned()),
            holder: Set(None),
            held_until: Set(None),
            position: Set(None),
        };
        let unless_there = OnConflict::column(Column::Name).do_nothing().to_owned();
        Entity::insert(new).on_conflict(unless_there).exec_without_returning(self.0).await?;
        let free = Condition::any()
            .add(Column::Holder.is_null())
            .add(Column::Holder.eq(holder))
            .add(Column::HeldUntil.lte(chrono::DateTime::from(now)));
        let taken = Entity::update_many()
            .col_expr(Column::Holder, Expr::value(holder))
            .col_expr(Column::HeldUntil, Expr::value(until(now)))
            .filter(Column::Name.eq(name))
            .filter(free)
            .exec(self.0)
            .await?;
        if taken.rows_affected == 0 {
            return Ok(None);
        }
        let row = Entity::find_by_id(name.to_owned()).one(self.0).await?;
        Ok(row.map(|row| Taken { position: row.position }))
    }

    /// Renews a lease, and stores the position; returns whether the holder still has the lease.
    pub async fn renew(
        &self,
        name: &str,
        holder: &str,
        position: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let renewed = Entity::update_many()
            .col_expr(Column::HeldUntil, Expr::value(until(now)))
            .col_expr(Column::Position, Expr::value(position.map(str::to_owned)))
            .filter(Column::Name.eq(name))
            .filter(Column::Holder.eq(holder))
            .exec(self.0)
            .await?;
        Ok(renewed.rows_affected == 1)
    }

    /// Releases a lease. The next holder continues at `position`; `None` is the beginning.
    pub async fn release(&self, name: &str, holder: &str, position: Option<&str>) -> Result<(), StoreError> {
        let never = Option::<chrono::DateTime<chrono::Utc>>::None;
        Entity::update_many()
            .col_expr(Column::Holder, Expr::value(Option::<String>::None))
            .col_expr(Column::HeldUntil, Expr::value(never))
            .col_expr(Column::Position, Expr::value(position.map(str::to_owned)))
            .filter(Column::Name.eq(name))
            .filter(Column::Holder.eq(holder))
            .exec(self.0)
            .await?;
        Ok(())
    }
}

fn until(now: Timestamp) -> chrono::DateTime<chrono::Utc> {
    now.plus(LEASE).into()
}
