//! The runs of a source, to be shown.

use entity::run::{Column, Entity};
use sea_orm::value::TextUuid;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::runs::{Run, RunKind, Runs, run};
use super::{StoreError, in_time};
use crate::domain::Timestamp;

impl Runs<'_> {
    /// The newest runs of a source and kind before one, newest first.
    pub(crate) async fn page(
        &self,
        source: &str,
        kind: RunKind,
        before: Option<Uuid>,
        limit: u64,
        now: Timestamp,
    ) -> Result<Vec<Run>, StoreError> {
        let mut select = Entity::find()
            .filter(Column::Source.eq(source))
            .filter(Column::Kind.eq(kind.to_string()))
            .order_by_desc(Column::Id)
            .limit(limit);
        if let Some(before) = before {
            select = select.filter(Column::Id.lt(TextUuid(before)));
        }
        Ok(in_time(select.all(self.0)).await?.into_iter().map(|row| run(row, now)).collect())
    }
}
