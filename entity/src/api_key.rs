//! `api_keys`: service keys, by the hash of their secret.

use sea_orm::entity::prelude::*;
use sea_orm::value::TextUuid;

/// One service key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "api_keys")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: TextUuid,
    /// The name that its owner gave it; unique among the keys that are not revoked.
    pub name: String,
    /// The first characters of the key, enough to recognise it by.
    pub prefix: String,
    /// SHA-256 of the whole key, in hexadecimal.
    #[sea_orm(unique)]
    pub hash: String,
    /// What it may do: scopes, separated by spaces.
    pub scopes: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last used, up to a minute ago.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTimeUtc>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
