//! `runs`: walks through a provider's list of users.

use sea_orm::entity::prelude::*;
use sea_orm::value::TextUuid;

/// One walk: a backfill, a reconciliation, or the reading of a provider's event log.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "runs")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: TextUuid,
    /// The source whose users are walked through.
    pub source: String,
    /// `backfill`, `reconcile` or `events`.
    pub kind: String,
    /// What the run was asked for; one with other parameters does not continue it.
    pub parameters: String,
    /// `running`, `stopped` or `complete`.
    pub state: String,
    /// How far it has come, as JSON, in the provider's own terms.
    pub position: Option<String>,
    /// The users that it has read.
    pub seen: i64,
    /// Those of them that changed something.
    pub applied: i64,
    /// Those that changed nothing.
    pub unchanged: i64,
    /// Those that could not be understood.
    pub parked: i64,
    /// How many users there are in all, where the provider tells.
    pub total: Option<i64>,
    /// When it began, by our clock.
    pub started_at: DateTimeUtc,
    /// When it began, by the provider's clock.
    pub provider_time: Option<DateTimeUtc>,
    /// When it last made progress.
    pub updated_at: DateTimeUtc,
    /// When it came to its end.
    pub finished_at: Option<DateTimeUtc>,
    /// Why it stopped before its end.
    pub error: Option<String>,
    /// What a reconciliation found, as JSON.
    pub report: Option<String>,
    /// Which process works on it.
    pub holder: Option<String>,
    /// Until when that process has the run for itself.
    pub held_until: Option<DateTimeUtc>,
}

/// None.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
