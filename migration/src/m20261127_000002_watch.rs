//! The watch over sources: what is known of each, and of its provider's answers.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(watches()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("watches").to_owned()).await
    }
}

fn watches() -> TableCreateStatement {
    Table::create()
        .table("watches")
        .col(text("source").primary_key())
        .col(timestamp_with_time_zone("started_at"))
        .col(timestamp_with_time_zone_null("last_delivery_at"))
        .col(timestamp_with_time_zone_null("last_refused_at"))
        .col(timestamp_with_time_zone_null("refused_since"))
        .col(big_integer("refused"))
        .col(text_null("checks"))
        .col(text_null("cursor"))
        .col(timestamp_with_time_zone_null("log_read_at"))
        .col(text_null("log_failure"))
        .col(timestamp_with_time_zone_null("gap_at"))
        .col(timestamp_with_time_zone_null("only_in_log_at"))
        .col(text_null("state"))
        .take()
}
