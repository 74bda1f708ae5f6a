//! `endpoint_events`: the pending events of each endpoint; no personal data.

use sea_orm::entity::prelude::*;
use sea_orm::value::TextUuid;

/// One event that waits for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "endpoint_events")]
pub struct Model {
    /// Name of the endpoint.
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint: String,
    /// The event's place in the log.
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    /// UUIDv7: the id of the event's message.
    #[sea_orm(column_type = "Text")]
    pub event_id: TextUuid,
    /// The id of the user's row; zero of `users.resync`.
    #[sea_orm(column_type = "Text")]
    pub user_id: TextUuid,
    /// Name of the configured source.
    pub source: String,
    /// The provider's id.
    pub external_id: String,
    /// As in `outbox`, or `users.resync`.
    pub kind: String,
    /// The names of the changed fields, with commas between them.
    pub changed: String,
    /// The provider's time of the change.
    pub stamp: DateTimeUtc,
    /// When it was logged.
    pub at: DateTimeUtc,
    /// How often it was attempted, or an event that was merged into it. Counted before the request is sent.
    pub attempts: i32,
    /// Not before this.
    pub next_at: DateTimeUtc,
    /// Which process is sending it.
    pub holder: Option<String>,
    /// Until when that process has it for itself.
    pub held_until: Option<DateTimeUtc>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
