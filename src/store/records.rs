//! What is known of users, loaded to be changed and saved within one transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use entity::{tombstone, user};
use sea_orm::sea_query::OnConflict;
use sea_orm::value::TextUuid;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, Iterable, QueryFilter,
    QueryResult, TryIntoModel,
};

use super::error::nothing_if_rejected;
use super::pairs::{TableOfUsers, is_one_of};
use super::users::{Users, find_rows};
use super::{StoreError, Tx, bulk, in_time};
use crate::domain::{Life, Profile, Record, StoredUser, Timestamp, UserId, UserKey};

/// What a transaction changes of one user.
#[derive(Clone, Copy, Debug)]
pub struct UserUpdate<'a> {
    /// The user.
    pub key: &'a UserKey,
    /// What was loaded, if anything was known.
    pub before: Option<&'a StoredUser>,
    /// What is known now.
    pub now: &'a StoredUser,
    /// Whether the row is written even if nothing about the user changed.
    pub is_rewritten: bool,
}

impl UserUpdate<'_> {
    /// Whether there is anything to write.
    pub fn changes_anything(&self) -> bool {
        self.is_rewritten || self.before != Some(self.now)
    }

    /// The row to write. A deletion of an earlier lifetime changes the tombstone alone, and leaves the row as it is.
    fn written_row(&self) -> Option<(UserId, &Life)> {
        let is_same =
            |before: &StoredUser| before.id == self.now.id && before.record.life == self.now.record.life;
        let is_written = self.is_rewritten || !self.before.is_some_and(is_same);
        self.now.id.zip(self.now.record.life.as_ref()).filter(|_| is_written)
    }

    /// Whether the row that was loaded has to go. A row with another id is another row, and the old one is deleted
    /// first, so that what an application hangs on it goes with it.
    fn deletes_row(&self) -> bool {
        let id_before = self.before.and_then(|before| before.id);
        id_before.is_some() && id_before != self.now.id
    }

    /// The date of the tombstone, if it is a new one.
    fn written_tombstone(&self) -> Option<Timestamp> {
        let before = self.before.and_then(|before| before.record.deleted_at);
        self.now.record.deleted_at.filter(|deleted_at| before != Some(*deleted_at))
    }
}

impl Users<'_> {
    /// What is known of one user: nothing of an unknown one.
    pub async fn stored(&self, key: &UserKey) -> Result<StoredUser, StoreError> {
        let columns = [user::Column::Id, user::Column::Record];
        let found = in_time(find_rows(self.0, std::iter::once(key), columns.into_iter())).await;
        let found = nothing_if_rejected(found)?.pop();
        Ok(found.map(|(_, row)| stored(&row)).transpose()?.flatten().unwrap_or_default())
    }
}

/// What a row of `find_rows` has of a user; `None` if nothing is known.
fn stored(row: &QueryResult) -> Result<Option<StoredUser>, StoreError> {
    let id: Option<String> = row.try_get("", "id")?;
    let record: Option<String> = row.try_get("", "record")?;
    let deleted_at: Option<DateTime<Utc>> = row.try_get("", "deleted_at")?;
    let row = id.zip(record);
    if row.is_none() && deleted_at.is_none() {
        return Ok(None);
    }
    let (id, life) = row.map(|(id, record)| id_and_life(&id, &record)).transpose()?.unzip();
    Ok(Some(StoredUser { id, record: Record { deleted_at: deleted_at.map(Into::into), life } }))
}

impl Tx {
    /// What is known of these users; unknown users are not in the result.
    pub async fn load(&self, keys: &BTreeSet<UserKey>) -> Result<BTreeMap<UserKey, StoredUser>, StoreError> {
        let mut known = BTreeMap::new();
        let columns = [user::Column::Id, user::Column::Record];
        for (key, row) in find_rows(&self.inner, keys.iter(), columns.into_iter()).await? {
            known.extend(stored(&row)?.map(|user| (key, user)));
        }
        Ok(known)
    }

    /// Those of these users whose columns are not what their record makes of them.
    pub async fn rows_out_of_sync(
        &self,
        known: &BTreeMap<UserKey, StoredUser>,
    ) -> Result<BTreeSet<UserKey>, StoreError> {
        let rows = user::Entity::find()
            .filter(is_one_of(&self.inner, TableOfUsers::Users, known.keys()))
            .all(&self.inner)
            .await?;
        let mut out_of_sync = BTreeSet::new();
        for found in rows {
            let key = UserKey::new(&found.source, &found.external_id);
            let Some(StoredUser { id: Some(id), record: Record { life: Some(life), .. } }) = known.get(&key)
            else {
                continue;
            };
            let made = row(*id, &key, life, found.synced_at.into())?.try_into_model()?;
            // An earlier version may have written the record in another form.
            let made = user::Model { record: found.record.clone(), ..made };
            if made != found {
                out_of_sync.insert(key);
            }
        }
        Ok(out_of_sync)
    }

    /// Writes what changed of these users: a row until they are deleted, then a tombstone.
    pub async fn save(&self, updates: &[UserUpdate<'_>], now: Timestamp) -> Result<(), StoreError> {
        let gone: BTreeSet<&UserKey> =
            updates.iter().filter(|update| update.deletes_row()).map(|update| update.key).collect();
        let mut living = Vec::new();
        let mut deleted = Vec::new();
        for update in updates {
            if let Some((id, life)) = update.written_row() {
                living.push(row(id, update.key, life, now)?);
            }
            if let Some(deleted_at) = update.written_tombstone() {
                deleted.push(tombstone::ActiveModel {
                    source: Set(update.key.source.clone()),
                    external_id: Set(update.key.external_id.clone()),
                    deleted_at: Set(deleted_at.into()),
                });
            }
        }
        if !gone.is_empty() {
            user::Entity::delete_many()
                .filter(is_one_of(&self.inner, TableOfUsers::Users, gone.into_iter()))
                .exec(&self.inner)
                .await?;
        }
        let key = [user::Column::Source, user::Column::ExternalId];
        let facts = user::Column::iter().filter(|column| {
            !matches!(column, user::Column::Id | user::Column::Source | user::Column::ExternalId)
        });
        self.upsert(living, OnConflict::columns(key).update_columns(facts).to_owned()).await?;
        let key = [tombstone::Column::Source, tombstone::Column::ExternalId];
        let date = tombstone::Column::DeletedAt;
        self.upsert(deleted, OnConflict::columns(key).update_column(date).to_owned()).await
    }

    async fn upsert<A: ActiveModelTrait>(&self, rows: Vec<A>, over: OnConflict) -> Result<(), StoreError> {
        for upsert in bulk::inserts(self, rows, over, None)? {
            self.inner.execute_raw(upsert).await?;
        }
        Ok(())
    }
}

/// From the columns of a row.
///
/// A record that cannot be read is rejected, so that it affects only the delivery about this user.
fn id_and_life(id: &str, record: &str) -> Result<(UserId, Life), StoreError> {
    let unreadable = |error: String| StoreError::Rejected(DbErr::Type(error));
    let id = id.parse().map_err(|error: uuid::Error| unreadable(error.to_string()))?;
    // The parser's own message may quote the record.
    let invalid = |error: serde_json::Error| format!("the record is invalid at column {}", error.column());
    let life = serde_json::from_str(record).map_err(|error| unreadable(invalid(error)))?;
    Ok((UserId(id), life))
}

fn row(id: UserId, key: &UserKey, life: &Life, now: Timestamp) -> Result<user::ActiveModel, StoreError> {
    let record = serde_json::to_string(life).map_err(|error| DbErr::Json(error.to_string()))?;
    let Profile {
        name,
        given_name,
        family_name,
        nickname,
        email,
        email_verified,
        phone_number,
        phone_number_verified,
        picture_url,
        metadata,
    } = life.profile();
    Ok(user::ActiveModel {
        id: Set(TextUuid(id.0)),
        source: Set(key.source.clone()),
        external_id: Set(key.external_id.clone()),
        name: Set(name),
        given_name: Set(given_name),
        family_name: Set(family_name),
        nickname: Set(nickname),
        email: Set(email),
        email_verified: Set(email_verified),
        phone_number: Set(phone_number),
        phone_number_verified: Set(phone_number_verified),
        picture_url: Set(picture_url),
        metadata: Set(metadata),
        created_at: Set(life.created_at().map(Into::into)),
        updated_at: Set(life.updated_at().into()),
        synced_at: Set(now.into()),
        record: Set(record),
    })
}
