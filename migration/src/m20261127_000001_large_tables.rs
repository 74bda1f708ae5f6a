//! For tables of many million rows: an index for each way in which rows are looked for, and leases, so that one process at a
//! time does what only one has to do.
//!
//! Each index matches the statements that are written for it and no others. So PostgreSQL has no choice to make, and cannot
//! choose wrongly while its statistics are missing or old.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{text, text_null, timestamp_with_time_zone_null};
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        // On a large table they may have been made before, without blocking writes: see docs/databases.md.
        let external_id = match manager.get_database_backend() {
            DbBackend::Postgres => {
                "CREATE INDEX IF NOT EXISTS users_external_id ON users USING hash (external_id)"
            }
            _ => "CREATE INDEX IF NOT EXISTS users_external_id ON users (external_id)",
        };
        connection.execute_unprepared(external_id).await?;
        // By an expression, so that a lookup by source and external id never takes it for its own index.
        connection
            .execute_unprepared("CREATE INDEX IF NOT EXISTS users_source ON users ((source || ''), id)")
            .await?;
        for index in JOURNAL_INDEXES {
            connection.execute_unprepared(index).await?;
        }
        for replaced in ["journal_user", "journal_payloads", "journal_parked"] {
            manager.drop_index(Index::drop().table("journal").name(replaced).to_owned()).await?;
        }
        manager.create_table(leases()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("leases").to_owned()).await?;
        let index = |name: &'static str| Index::create().table("journal").name(name).take();
        manager.create_index(index("journal_user").col("source").col("external_id").take()).await?;
        let kept = Expr::col("payload").is_not_null();
        manager.create_index(index("journal_payloads").col("received_at").and_where(kept).take()).await?;
        let parked = Expr::cust("outcome = 'parked'");
        manager.create_index(index("journal_parked").col("received_at").and_where(parked).take()).await?;
        for (table, name) in [
            ("journal", "journal_unread"),
            ("journal", "journal_kept"),
            ("journal", "journal_external_id"),
            ("users", "users_source"),
            ("users", "users_external_id"),
        ] {
            manager.drop_index(Index::drop().table(table).name(name).to_owned()).await?;
        }
        Ok(())
    }
}

/// The first begins with another column than the primary key, so that neither is taken for the other. The others have the
/// whole order in which deliveries are read, so that no page has to be sorted.
const JOURNAL_INDEXES: [&str; 3] = [
    "CREATE INDEX IF NOT EXISTS journal_external_id ON journal (external_id, source)",
    "CREATE INDEX IF NOT EXISTS journal_kept ON journal (received_at, source, message_id) WHERE payload IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS journal_unread ON journal (received_at, source, message_id) WHERE outcome = 'parked'",
];

fn leases() -> TableCreateStatement {
    Table::create()
        .table("leases")
        .col(text("name").primary_key())
        .col(text_null("holder"))
        .col(timestamp_with_time_zone_null("held_until"))
        .col(text_null("position"))
        .take()
}
