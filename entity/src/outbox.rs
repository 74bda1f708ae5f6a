//! `outbox`: the log of events; no personal data.

use sea_orm::entity::prelude::*;
use sea_orm::value::TextUuid;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "outbox")]
pub struct Model {
    /// Its place in the log, in the order of the commits.
    #[sea_orm(primary_key)]
    pub sequence: i64,
    /// UUIDv7: the id of the event's message.
    #[sea_orm(column_type = "Text")]
    pub event_id: TextUuid,
    /// The id of the user's row.
    #[sea_orm(column_type = "Text")]
    pub user_id: TextUuid,
    /// Name of the configured source.
    pub source: String,
    /// The provider's id.
    pub external_id: String,
    /// `user.created`, `user.updated` or `user.deleted`.
    pub kind: String,
    /// The names of the changed fields, with commas between them.
    pub changed: String,
    /// The provider's time of the change.
    pub stamp: DateTimeUtc,
    /// When it was logged.
    pub at: DateTimeUtc,
    /// The only endpoint that the event is sent to, if a replay has logged it.
    pub endpoint: Option<String>,
}

/// No relations.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
