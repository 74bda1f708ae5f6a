//! Cheaper writes: an index of parked deliveries alone instead of all deliveries; on PostgreSQL free space on each page
//! for new versions of a row, and a faster compression of payloads.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().table("journal").name("journal_outcome").to_owned()).await?;
        let parked = Index::create()
            .table("journal")
            .name("journal_parked")
            .col("received_at")
            .and_where(Expr::cust("outcome = 'parked'"))
            .take();
        manager.create_index(parked).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            let connection = manager.get_connection();
            connection.execute_unprepared(FREE_SPACE).await?;
            connection.execute_unprepared(FAST_COMPRESSION).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            let connection = manager.get_connection();
            connection.execute_unprepared("ALTER TABLE users RESET (fillfactor)").await?;
            connection.execute_unprepared(DEFAULT_COMPRESSION).await?;
        }
        manager.drop_index(Index::drop().table("journal").name("journal_parked").to_owned()).await?;
        let outcome =
            Index::create().table("journal").name("journal_outcome").col("outcome").col("received_at").take();
        manager.create_index(outcome).await
    }
}

/// A changed row stays on its page, and no index has to be updated.
const FREE_SPACE: &str = "ALTER TABLE users SET (fillfactor = 60)";

/// Servers built without lz4, or from before version 14, keep theirs.
const FAST_COMPRESSION: &str = "
DO $$ BEGIN
    EXECUTE 'ALTER TABLE journal ALTER payload SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error THEN
    NULL;
END $$";

const DEFAULT_COMPRESSION: &str = "
DO $$ BEGIN
    EXECUTE 'ALTER TABLE journal ALTER payload SET COMPRESSION default';
EXCEPTION WHEN syntax_error THEN
    NULL;
END $$";
