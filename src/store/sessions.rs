//! The sessions of the console, stored by the hash of their id.

use entity::admin_session::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::connection::Db;
use super::{StoreError, in_time};
use crate::domain::Timestamp;

/// The sessions of the console.
#[derive(Debug)]
pub struct AdminSessions<'a>(pub(super) &'a Db);

/// Who is logged in, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSession {
    /// The hash of its id.
    pub hash: String,
    /// The service key that it was begun with.
    pub key_id: Uuid,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last used, up to a minute ago.
    pub used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

type Time = chrono::DateTime<chrono::Utc>;

impl AdminSessions<'_> {
    /// Stores a new session.
    pub async fn insert(&self, session: AdminSession) -> Result<(), StoreError> {
        let AdminSession { hash, key_id, created_at, used_at, expires_at } = session;
        let row = ActiveModel {
            hash: Set(hash),
            key_id: Set(key_id.to_string()),
            created_at: Set(created_at.into()),
            used_at: Set(used_at.into()),
            expires_at: Set(expires_at.into()),
        };
        Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// The session with that hash, ended or not.
    pub async fn find(&self, hash: &str) -> Result<Option<AdminSession>, StoreError> {
        Ok(in_time(Entity::find_by_id(hash).one(self.0)).await?.and_then(session))
    }

    /// Records that a session is used now.
    pub async fn record_use(&self, hash: &str, now: Timestamp) -> Result<(), StoreError> {
        Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(Time::from(now)))
            .filter(Column::Hash.eq(hash))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// Deletes one session.
    pub async fn delete(&self, hash: &str) -> Result<(), StoreError> {
        Entity::delete_by_id(hash).exec(self.0).await?;
        Ok(())
    }

    /// Deletes the sessions that have expired, or that were last used before `idle_since`.
    pub async fn delete_ended(&self, now: Timestamp, idle_since: Timestamp) -> Result<(), StoreError> {
        let ended = Condition::any()
            .add(Column::ExpiresAt.lte(Time::from(now)))
            .add(Column::UsedAt.lte(Time::from(idle_since)));
        Entity::delete_many().filter(ended).exec(self.0).await?;
        Ok(())
    }
}

/// `None` if the id of its key cannot be read: then nobody is logged in by it.
fn session(row: Model) -> Option<AdminSession> {
    let Model { hash, key_id, created_at, used_at, expires_at } = row;
    Some(AdminSession {
        hash,
        key_id: key_id.parse().ok()?,
        created_at: created_at.into(),
        used_at: used_at.into(),
        expires_at: expires_at.into(),
    })
}
