//! `leases`: which process does what only one at a time has to do.

use sea_orm::entity::prelude::*;

/// One lease.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "leases")]
pub struct Model {
    /// What it is for.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub name: String,
    /// The process that has the lease; null while it is free.
    pub holder: Option<String>,
    /// Until when that process has it.
    pub held_until: Option<DateTimeUtc>,
    /// How far the work has come, where it is not at its beginning.
    pub position: Option<String>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
