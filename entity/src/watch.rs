//! `watches`: what is known of each source: its deliveries, what its provider was last asked, and how far its event log
//! was read.

use sea_orm::entity::prelude::*;

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "watches")]
pub struct Model {
    /// Name of the configured source.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub source: String,
    /// When it was first watched.
    pub started_at: DateTimeUtc,
    /// When a delivery was last accepted.
    pub last_delivery_at: Option<DateTimeUtc>,
    /// When a delivery was last refused because of its signature or token.
    pub last_refused_at: Option<DateTimeUtc>,
    /// The first of the refusals since the last delivery that was accepted.
    pub refused_since: Option<DateTimeUtc>,
    /// How many these are.
    pub refused: i64,
    /// What the last checks found, as JSON.
    pub checks: Option<String>,
    /// How far the provider's event log was read, in the provider's own terms.
    pub cursor: Option<String>,
    /// When the event log was last read without an error.
    pub log_read_at: Option<DateTimeUtc>,
    /// Why the event log cannot be read now.
    pub log_failure: Option<String>,
    /// When events were lost, because the cursor was not known any more.
    pub gap_at: Option<DateTimeUtc>,
    /// When the first event since the last delivery was read that no webhook had delivered.
    pub only_in_log_at: Option<DateTimeUtc>,
    /// The state that was last logged.
    pub state: Option<String>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
