//! `admin_audit`: what was done in the console.

use sea_orm::entity::prelude::*;
use sea_orm::value::TextUuid;

/// One action.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "admin_audit")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: TextUuid,
    /// When.
    pub at: DateTimeUtc,
    /// The service key of whoever did it; null in `usersync dev`.
    pub key_id: Option<String>,
    /// The name and the prefix of that key, as they were then.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub target: Option<String>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
