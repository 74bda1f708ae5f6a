//! The console: its sessions, its audit, and an index for the list of deliveries.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{text, text_null, timestamp_with_time_zone};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(sessions()).await?;
        manager.create_table(audit()).await?;
        // On a large table it may have been made before, without blocking writes: see docs/databases.md.
        manager.get_connection().execute_unprepared(LISTED).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().table("journal").name("journal_listed").to_owned()).await?;
        manager.drop_table(Table::drop().table("admin_audit").to_owned()).await?;
        manager.drop_table(Table::drop().table("admin_sessions").to_owned()).await
    }
}

/// Every delivery in the order of time. The condition is true for every row: it makes the index one that only the list of
/// deliveries uses, because no other statement has this condition.
const LISTED: &str = "CREATE INDEX IF NOT EXISTS journal_listed ON journal (received_at, source, message_id) WHERE message_id >= ''";

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("admin_sessions")
        .col(text("hash").primary_key())
        .col(text("key_id"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("used_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .take()
}

fn audit() -> TableCreateStatement {
    Table::create()
        .table("admin_audit")
        .col(text("id").primary_key())
        .col(timestamp_with_time_zone("at"))
        .col(text_null("key_id"))
        .col(text("actor"))
        .col(text("action"))
        .col(text_null("target"))
        .take()
}
