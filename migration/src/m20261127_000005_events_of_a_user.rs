//! The index by which the pending events of a user are found is of no use to any other statement: it does not begin with
//! the endpoint, so PostgreSQL cannot read all events of an endpoint by it.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace_index(manager, &["external_id", "source"]).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace_index(manager, &["endpoint", "source", "external_id"]).await
    }
}

async fn replace_index(manager: &SchemaManager<'_>, columns: &[&'static str]) -> Result<(), DbErr> {
    let name = "endpoint_events_user";
    manager.drop_index(Index::drop().table("endpoint_events").name(name).to_owned()).await?;
    let mut index = Index::create().table("endpoint_events").name(name).take();
    for column in columns {
        index.col(*column);
    }
    manager.create_index(index).await
}
