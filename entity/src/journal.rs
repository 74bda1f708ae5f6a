//! `journal`: every verified delivery with a change, its payload and its outcome.

use sea_orm::entity::prelude::*;

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "journal")]
pub struct Model {
    /// Name of the configured source.
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
    /// The provider's message id, the same over retries.
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: String,
    /// When it was received here.
    pub received_at: DateTimeUtc,
    /// The provider's own name of the event, where it could be read.
    pub event_type: Option<String>,
    /// The provider's id of its user, if it could be read.
    pub external_id: Option<String>,
    /// The provider's time of the change, where it could be read.
    pub stamp: Option<DateTimeUtc>,
    /// The user's `created_at` at the provider, where it names one.
    pub lifetime: Option<DateTimeUtc>,
    /// `applied`, `stale` or `parked`.
    pub outcome: String,
    /// Why it is parked.
    pub reason: Option<String>,
    /// The body as received; null once the user is deleted or the retention is over.
    pub payload: Option<String>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
