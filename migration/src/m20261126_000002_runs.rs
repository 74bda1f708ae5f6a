//! Runs through a provider's list of users, and the ids that they have seen.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(runs()).await?;
        let newest =
            Index::create().table("runs").name("runs_source").col("source").col("kind").col("id").take();
        manager.create_index(newest).await?;
        manager.create_table(run_users()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("run_users").to_owned()).await?;
        manager.drop_table(Table::drop().table("runs").to_owned()).await
    }
}

fn runs() -> TableCreateStatement {
    Table::create()
        .table("runs")
        .col(text("id").primary_key())
        .col(text("source"))
        .col(text("kind"))
        .col(text("parameters"))
        .col(text("state"))
        .col(text_null("position"))
        .col(big_integer("seen"))
        .col(big_integer("applied"))
        .col(big_integer("unchanged"))
        .col(big_integer("parked"))
        .col(big_integer_null("total"))
        .col(timestamp_with_time_zone("started_at"))
        .col(timestamp_with_time_zone_null("provider_time"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(timestamp_with_time_zone_null("finished_at"))
        .col(text_null("error"))
        .col(text_null("report"))
        .col(text_null("holder"))
        .col(timestamp_with_time_zone_null("held_until"))
        .take()
}

fn run_users() -> TableCreateStatement {
    Table::create()
        .table("run_users")
        .col(text("run_id"))
        .col(text("external_id"))
        .primary_key(Index::create().col("run_id").col("external_id"))
        .take()
}
