//! `endpoints`: how each endpoint stands, and how far in the log it has come.

use sea_orm::entity::prelude::*;

/// One endpoint. What it is sent, and where, is configured.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "endpoints")]
pub struct Model {
    /// Its configured name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Events up to this one were given to it.
    pub position: i64,
    /// `healthy`, `failing` or `disabled`.
    pub state: String,
    /// Since when it has this state.
    pub changed_at: DateTimeUtc,
    /// Failures in a row.
    pub failures: i32,
    /// When the first of them was.
    pub failing_since: Option<DateTimeUtc>,
    /// Failed attempts since it is failing.
    pub probes: i32,
    /// Nothing is sent before this.
    pub resume_at: Option<DateTimeUtc>,
    /// When the last attempt began.
    pub last_attempt_at: Option<DateTimeUtc>,
    /// The status of the last answer; null if there was none.
    pub last_status: Option<i32>,
    /// How long the last attempt took.
    pub last_latency_ms: Option<i64>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
