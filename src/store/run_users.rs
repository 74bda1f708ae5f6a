//! The ids of the users that the runs have seen.

use std::collections::BTreeSet;

use entity::run::{Column, Entity};
use entity::run_user;
use sea_orm::value::TextUuid;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::StoreError;
use super::pairs::is_any_of;
use super::runs::{RunState, Runs};

impl Runs<'_> {
    /// How many users a run has seen.
    pub(crate) async fn count_seen(&self, id: Uuid) -> Result<u64, StoreError> {
        Ok(run_user::Entity::find().filter(run_user::Column::RunId.eq(id.to_string())).count(self.0).await?)
    }

    /// The id of one user that a run has seen.
    pub(crate) async fn any_seen(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        let of_run = run_user::Entity::find().filter(run_user::Column::RunId.eq(id.to_string()));
        // Along the primary key.
        let newest = of_run.order_by_desc(run_user::Column::ExternalId).one(self.0).await?;
        Ok(newest.map(|user| user.external_id))
    }

    /// Which of these users a run has seen.
    pub(crate) async fn seen(
        &self,
        id: Uuid,
        external_ids: &[String],
    ) -> Result<BTreeSet<String>, StoreError> {
        let rows: Vec<String> = run_user::Entity::find()
            .select_only()
            .column(run_user::Column::ExternalId)
            .filter(run_user::Column::RunId.eq(id.to_string()))
            .filter(is_any_of(self.0, run_user::Column::ExternalId, external_ids.iter().cloned()))
            .into_tuple()
            .all(self.0)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// Deletes the ids that the finished runs of a source have seen.
    pub(crate) async fn forget_seen(&self, source: &str) -> Result<(), StoreError> {
        let runs: Vec<TextUuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Source.eq(source))
            .filter(Column::State.ne(RunState::Running.to_string()))
            .into_tuple()
            .all(self.0)
            .await?;
        let ids = runs.into_iter().map(|id| id.0.to_string());
        run_user::Entity::delete_many().filter(run_user::Column::RunId.is_in(ids)).exec(self.0).await?;
        Ok(())
    }
}
