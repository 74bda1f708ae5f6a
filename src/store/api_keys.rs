//! Service keys, stored by the hash of their secret.

use entity::api_key::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::value::TextUuid;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::connection::Db;
use super::{StoreError, in_time};
use crate::clock::Clock;
use crate::domain::{Scopes, Timestamp};

/// The service keys.
#[derive(Debug)]
pub struct ApiKeys<'a>(pub(super) &'a Db);

/// A service key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The row's own id: a `UUIDv7`, so that keys sort by when they were made.
    pub id: Uuid,
    /// The name that its owner gave it.
    pub name: String,
    /// The first characters of the key.
    pub prefix: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, up to a minute ago.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// A key that has not been used yet.
    pub fn new(name: impl Into<String>, prefix: impl Into<String>, scopes: Scopes, clock: &Clock) -> Self {
        let (name, prefix) = (name.into(), prefix.into());
        let (id, created_at) = (clock.fresh_id(), clock.now());
        Self { id, name, prefix, scopes, created_at, last_used_at: None, revoked_at: None }
    }
}

impl ApiKeys<'_> {
    /// Stores a new key by the hash of its secret.
    pub async fn insert(&self, key: ApiKey, hash: String) -> Result<(), StoreError> {
        let ApiKey { id, name, prefix, scopes, created_at, last_used_at, revoked_at } = key;
        let row = ActiveModel {
            id: Set(TextUuid(id)),
            name: Set(name),
            prefix: Set(prefix),
            hash: Set(hash),
            scopes: Set(scopes.to_string()),
            created_at: Set(created_at.into()),
            last_used_at: Set(last_used_at.map(Into::into)),
            revoked_at: Set(revoked_at.map(Into::into)),
        };
        Entity::insert(row).exec_without_returning(self.0).await?;
        Ok(())
    }

    /// The key with that hash, revoked or not.
    pub async fn find(&self, hash: &str) -> Result<Option<ApiKey>, StoreError> {
        Ok(in_time(Entity::find().filter(Column::Hash.eq(hash)).one(self.0)).await?.map(key))
    }

    /// Records that the key with that hash was used, unless that was recorded after `since`.
    pub async fn record_use(&self, hash: &str, now: Timestamp, since: Timestamp) -> Result<(), StoreError> {
        let [now, since] = [now, since].map(chrono::DateTime::<chrono::Utc>::from);
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Hash.eq(hash))
            .filter(Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lte(since)))
            .exec(self.0)
            .await?;
        Ok(())
    }

    /// The key with that id, revoked or not.
    pub async fn by_id(&self, id: Uuid) -> Result<Option<ApiKey>, StoreError> {
        Ok(in_time(Entity::find_by_id(TextUuid(id)).one(self.0)).await?.map(key))
    }

    /// Every key, oldest first.
    pub async fn list(&self) -> Result<Vec<ApiKey>, StoreError> {
        Ok(Entity::find().order_by_asc(Column::Id).all(self.0).await?.into_iter().map(key).collect())
    }

    /// Revokes the keys with that name or prefix that are not revoked yet; returns how many.
    pub async fn revoke(&self, name_or_prefix: &str, now: Timestamp) -> Result<u64, StoreError> {
        let now: chrono::DateTime<chrono::Utc> = now.into();
        let result = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now))
            .filter(
                Condition::any().add(Column::Name.eq(name_or_prefix)).add(Column::Prefix.eq(name_or_prefix)),
            )
            .filter(Column::RevokedAt.is_null())
            .exec(self.0)
            .await?;
        Ok(result.rows_affected)
    }
}

fn key(row: Model) -> ApiKey {
    let Model { id, name, prefix, hash: _, scopes, created_at, last_used_at, revoked_at } = row;
    ApiKey {
        id: id.0,
        name,
        prefix,
        scopes: Scopes::parse(&scopes),
        created_at: created_at.into(),
        last_used_at: last_used_at.map(Timestamp::from),
        revoked_at: revoked_at.map(Timestamp::from),
    }
}
