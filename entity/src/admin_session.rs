//! `admin_sessions`: who is logged in to the console.

use sea_orm::entity::prelude::*;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "admin_sessions")]
pub struct Model {
    /// SHA-256 of the session's id, which only the cookie has.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub hash: String,
    /// The service key that it was begun with.
    pub key_id: String,
    /// When it was begun.
    pub created_at: DateTimeUtc,
    /// When it was last used, up to a minute ago.
    pub used_at: DateTimeUtc,
    /// When it ends at the latest.
    pub expires_at: DateTimeUtc,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
