//! Events: the log of events, the endpoints that they are sent to, and the pending events of each endpoint.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, integer_null, text, text_null, timestamp_with_time_zone,
    timestamp_with_time_zone_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(outbox()).await?;
        manager.create_table(endpoints()).await?;
        manager.create_table(endpoint_events()).await?;
        // Whether an earlier event of the same user waits as well.
        let of_user = Index::create()
            .table("endpoint_events")
            .name("endpoint_events_user")
            .col("endpoint")
            .col("source")
            .col("external_id")
            .take();
        manager.create_index(of_user).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["endpoint_events", "endpoints", "outbox"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn outbox() -> TableCreateStatement {
    Table::create()
        .table("outbox")
        // On SQLite AUTOINCREMENT: a number is never given twice, also after its row was swept.
        .col(big_integer("sequence").primary_key().auto_increment())
        .col(text("event_id"))
        .col(text("user_id"))
        .col(text("source"))
        .col(text("external_id"))
        .col(text("kind"))
        .col(text("changed"))
        .col(timestamp_with_time_zone("stamp"))
        .col(timestamp_with_time_zone("at"))
        .col(text_null("endpoint"))
        .take()
}

fn endpoints() -> TableCreateStatement {
    Table::create()
        .table("endpoints")
        .col(text("name").primary_key())
        .col(big_integer("position"))
        .col(text("state"))
        .col(timestamp_with_time_zone("changed_at"))
        .col(integer("failures"))
        .col(timestamp_with_time_zone_null("failing_since"))
        .col(integer("probes"))
        .col(timestamp_with_time_zone_null("resume_at"))
        .col(timestamp_with_time_zone_null("last_attempt_at"))
        .col(integer_null("last_status"))
        .col(big_integer_null("last_latency_ms"))
        .take()
}

fn endpoint_events() -> TableCreateStatement {
    Table::create()
        .table("endpoint_events")
        .col(text("endpoint"))
        .col(big_integer("sequence"))
        .col(text("event_id"))
        .col(text("user_id"))
        .col(text("source"))
        .col(text("external_id"))
        .col(text("kind"))
        .col(text("changed"))
        .col(timestamp_with_time_zone("stamp"))
        .col(timestamp_with_time_zone("at"))
        .col(integer("attempts"))
        .col(timestamp_with_time_zone("next_at"))
        .col(text_null("holder"))
        .col(timestamp_with_time_zone_null("held_until"))
        .primary_key(Index::create().col("endpoint").col("sequence"))
        .take()
}
