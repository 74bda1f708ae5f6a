//! `run_users`: the ids of the users that a reconciliation has seen.

use sea_orm::entity::prelude::*;

/// One user in one run.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "run_users")]
pub struct Model {
    /// The run.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub run_id: String,
    /// The provider's id of the user.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub external_id: String,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
