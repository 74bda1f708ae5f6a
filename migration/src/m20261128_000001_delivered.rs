//! An index for the newest deliveries of a source. After an import there are millions of newer entries, of its users.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // On a large table it may have been made before, without blocking writes: see docs/databases.md.
        manager.get_connection().execute_unprepared(DELIVERED).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().table("journal").name("journal_delivered").to_owned()).await
    }
}

/// Deliveries whose payload is kept, without the users of a list. `NULLIF` and `COALESCE` are there so that no other
/// statement takes this index, and its statements take no other.
const DELIVERED: &str = "CREATE INDEX IF NOT EXISTS journal_delivered ON journal (NULLIF(source, ''), received_at) \
     WHERE COALESCE(payload, '') <> '' AND COALESCE(event_type, '') NOT LIKE 'usersync.%'";
