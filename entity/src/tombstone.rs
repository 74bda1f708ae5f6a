//! `tombstones`: that a user was deleted, and when; no personal data, kept for good.

use sea_orm::entity::prelude::*;

/// One deleted user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "tombstones")]
pub struct Model {
    /// Name of the configured source.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    /// The provider's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub external_id: String,
    /// The highest stamp of a deletion.
    pub deleted_at: DateTimeUtc,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
