//! What is known of users, loaded to be changed and saved within one transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use entity::{tombstone, user};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::value::TextUuid;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, Iterable, QueryFilter,
    Statement, TryIntoModel,
};
use uuid::fmt::Hyphenated;

use super::pairs::{is_one_of, listed};
use super::{StoreError, Tx, bulk};
use crate::domain::{Life, Profile, Record, StoredUser, Timestamp, UserId, UserKey};

/// What a transaction changes of one user.
#[derive(Clone, Copy, Debug)]
pub struct UserUpdate<'a> {
    /// Whom.
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

impl Tx {
    /// What is known of these users; who is not in the answer was never heard of.
    pub async fn load(&self, keys: &BTreeSet<UserKey>) -> Result<BTreeMap<UserKey, StoredUser>, StoreError> {
        let (listed, parameters) =
            listed(&self.inner, keys.iter().map(|key| (&*key.source, &*key.external_id)));
        // Each looked up by itself: a join is planned for the table as it was when the statement was
        // prepared, and reads all of one that was still small then. Id and record come as one text, for two
        // columns would be two look-ups.
        let sql = format!(
            "SELECT listed.one, listed.two, \
             (SELECT id || record FROM users WHERE source = listed.one AND external_id = listed.two), \
             (SELECT deleted_at FROM tombstones WHERE source = listed.one AND external_id = listed.two) \
             FROM {listed}"
        );
        let statement = Statement::from_sql_and_values(self.inner.get_database_backend(), sql, parameters);
        let mut known = BTreeMap::new();
        for row in self.inner.query_all_raw(statement).await? {
            let (source, external_id) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let living: Option<String> = row.try_get_by_index(2)?;
            let deleted_at: Option<DateTime<Utc>> = row.try_get_by_index(3)?;
            if living.is_none() && deleted_at.is_none() {
                continue;
            }
            let (id, life) = living.as_deref().map(id_and_life).transpose()?.unzip();
            let record = Record { deleted_at: deleted_at.map(Into::into), life };
            known.insert(UserKey { source, external_id }, StoredUser { id, record });
        }
        Ok(known)
    }

    /// Those of these users whose columns are not what their record makes of them.
    pub async fn rows_out_of_sync(
        &self,
        known: &BTreeMap<UserKey, StoredUser>,
    ) -> Result<BTreeSet<UserKey>, StoreError> {
        let rows = user::Entity::find().filter(any_of(&self.inner, known.keys())).all(&self.inner).await?;
        let mut out_of_sync = BTreeSet::new();
        for found in rows {
            let key = UserKey::new(&found.source, &found.external_id);
            let Some(StoredUser { id: Some(id), record: Record { life: Some(life), .. } }) = known.get(&key)
            else {
                continue;
            };
            let made = row(*id, &key, life, found.synced_at.into())?.try_into_model()?;
            // PostgreSQL writes numbers in JSON its own way, so that what is the same may look different.
            let made = user::Model { metadata: found.metadata.clone(), record: found.record.clone(), ..made };
            if made != found {
                out_of_sync.insert(key);
            }
        }
        Ok(out_of_sync)
    }

    /// Writes what changed of these users: a row while they live, a tombstone once they were deleted.
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
            user::Entity::delete_many().filter(any_of(&self.inner, gone)).exec(&self.inner).await?;
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

/// Of a row, from its id and its record behind each other.
///
/// What cannot be read is refused, so that it harms only the delivery about this user.
fn id_and_life(text: &str) -> Result<(UserId, Life), StoreError> {
    let (id, record) = text.split_at_checked(Hyphenated::LENGTH).unwrap_or_default();
    let unreadable = |error: String| StoreError::Refused(DbErr::Type(error));
    let id = id.parse().map_err(|error: uuid::Error| unreadable(error.to_string()))?;
    // Its words may quote the record.
    let nonsense = |error: serde_json::Error| format!("no record, at its column {}", error.column());
    let life = serde_json::from_str(record).map_err(|error| unreadable(nonsense(error)))?;
    Ok((UserId(id), life))
}

/// Whether a row is of one of these users.
fn any_of<'a>(db: &impl ConnectionTrait, keys: impl IntoIterator<Item = &'a UserKey>) -> Expr {
    let keys = keys.into_iter().map(|key| (&*key.source, &*key.external_id));
    is_one_of(db, ["source", "external_id"], keys)
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
