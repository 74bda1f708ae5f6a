//! `runs`: backfills and reconciliations.

use sea_orm::entity::prelude::*;
use sea_orm::value::TextUuid;

/// One run: a backfill or a reconciliation.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "runs")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: TextUuid,
    /// The source whose users are read.
    pub source: String,
    /// `backfill` or `reconcile`.
    pub kind: String,
    /// The parameters of the run; only a run with the same parameters continues it.
    pub parameters: String,
    /// `running`, `complete` or `abandoned`.
    pub state: String,
    /// The position in the list, as JSON in a form of the provider's own.
    pub position: Option<String>,
    /// The users that it has read.
    pub seen: i64,
    /// Those of them that changed something.
    pub applied: i64,
    /// Those that changed nothing.
    pub unchanged: i64,
    /// Those that could not be understood.
    pub parked: i64,
    /// The total number of users, if the provider reports it.
    pub total: Option<i64>,
    /// When it began, by our clock.
    pub started_at: DateTimeUtc,
    /// When it began, by the provider's clock.
    pub provider_time: Option<DateTimeUtc>,
    /// When it last made progress.
    pub updated_at: DateTimeUtc,
    /// When it was completed.
    pub finished_at: Option<DateTimeUtc>,
    /// Why it stopped before its end.
    pub error: Option<String>,
    /// What a reconciliation found, as JSON.
    pub report: Option<String>,
    /// Which process works on it.
    pub holder: Option<String>,
    /// When the lease of that process ends.
    pub held_until: Option<DateTimeUtc>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
