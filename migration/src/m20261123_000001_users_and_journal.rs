//! The users, their tombstones, the journal of deliveries and the service keys.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    boolean_null, json_binary_null, text, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(users()).await?;
        manager.create_index(unique("users", "users_key", &["source", "external_id"])).await?;
        // A hash index has no limit on the length of a value; SQLite has only one kind of index.
        manager
            .create_index(index("users", "users_email", &["email"]).index_type(IndexType::Hash).take())
            .await?;
        manager.create_table(tombstones()).await?;
        manager.create_table(journal()).await?;
        manager.create_index(index("journal", "journal_user", &["source", "external_id"])).await?;
        manager.create_index(index("journal", "journal_outcome", &["outcome", "received_at"])).await?;
        // Small however long the journal is: the payloads that are still kept, oldest first.
        let kept = Expr::col("payload").is_not_null();
        manager
            .create_index(index("journal", "journal_payloads", &["received_at"]).and_where(kept).take())
            .await?;
        manager.create_table(api_keys()).await?;
        manager.create_index(unique("api_keys", "api_keys_hash", &["hash"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["api_keys", "journal", "tombstones", "users"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(text("id").primary_key())
        .col(text("source"))
        .col(text("external_id"))
        .col(text_null("name"))
        .col(text_null("given_name"))
        .col(text_null("family_name"))
        .col(text_null("nickname"))
        .col(text_null("email"))
        .col(boolean_null("email_verified"))
        .col(text_null("phone_number"))
        .col(boolean_null("phone_number_verified"))
        .col(text_null("picture_url"))
        .col(json_binary_null("metadata"))
        .col(timestamp_with_time_zone_null("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(timestamp_with_time_zone("synced_at"))
        .col(text("record"))
        .take()
}

fn tombstones() -> TableCreateStatement {
    Table::create()
        .table("tombstones")
        .col(text("source"))
        .col(text("external_id"))
        .col(timestamp_with_time_zone("deleted_at"))
        .primary_key(Index::create().col("source").col("external_id"))
        .take()
}

fn journal() -> TableCreateStatement {
    Table::create()
        .table("journal")
        .col(text("source"))
        .col(text("message_id"))
        .col(timestamp_with_time_zone("received_at"))
        .col(text_null("event_type"))
        .col(text_null("external_id"))
        .col(timestamp_with_time_zone_null("stamp"))
        .col(timestamp_with_time_zone_null("lifetime"))
        .col(text("outcome"))
        .col(text_null("reason"))
        .col(text_null("payload"))
        .primary_key(Index::create().col("source").col("message_id"))
        .take()
}

fn api_keys() -> TableCreateStatement {
    Table::create()
        .table("api_keys")
        .col(text("id").primary_key())
        .col(text("name"))
        .col(text("prefix"))
        .col(text("hash"))
        .col(text("scopes"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("last_used_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .take()
}

fn index(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().table(table).name(name).take();
    for column in columns {
        index.col(*column);
    }
    index
}

fn unique(table: &'static str, name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    index(table, name, columns).unique().take()
}
