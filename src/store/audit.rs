//! What was done in the console, and by whom.

use entity::audit::{ActiveModel, Column, Entity, Model};
use sea_orm::value::TextUuid;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::connection::Db;
use super::{StoreError, in_time};
use crate::domain::Timestamp;

/// The audit of the console.
#[derive(Debug)]
pub struct Audit<'a>(pub(super) &'a Db);

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// A `UUIDv7`, so that entries sort by when they were made.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// The service key of whoever did it; `None` in `usersync dev`.
    pub key_id: Option<Uuid>,
    /// The name and the prefix of that key.
    pub actor: String,
    /// What was done, in one word.
    pub action: String,
    /// What it was done to.
    pub target: Option<String>,
}

impl Audit<'_> {
    /// Stores an entry.
    pub async fn insert(&self, entry: AuditEntry) -> Result<(), StoreError> {
        let AuditEntry { id, at, key_id, actor, action, target } = entry;
        let row = ActiveModel {
            id: Set(TextUuid(id)),
            at: Set(at.into()),
            key_id: Set(key_id.map(|id| id.to_string())),
            actor: Set(actor),
            action: Set(action),
            target: Set(target),
        };
        Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// The newest entries before one, newest first.
    pub async fn page(&self, before: Option<Uuid>, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
        let mut select = Entity::find().order_by_desc(Column::Id).limit(limit);
        if let Some(before) = before {
            select = select.filter(Column::Id.lt(TextUuid(before)));
        }
        Ok(in_time(select.all(self.0)).await?.into_iter().map(entry).collect())
    }
}

fn entry(row: Model) -> AuditEntry {
    let Model { id, at, key_id, actor, action, target } = row;
    let key_id = key_id.and_then(|id| id.parse().ok());
    AuditEntry { id: id.0, at: at.into(), key_id, actor, action, target }
}
