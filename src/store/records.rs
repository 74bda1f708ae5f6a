//! What is known of users, loaded to be changed and saved within one transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use entity::{tombstone, user};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::value::TextUuid;
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DbBackend, DbErr, EntityTrait, Iterable, QueryFilter, Statement,
};

use super::pairs::{is_one_of, json_of, listed};
use super::{StoreError, Tx};
use crate::domain::{Life, Profile, Record, Timestamp, UserId, UserKey};

/// A record as it stands in the database, and the row's id while the user lives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// The row's id.
    pub id: Option<UserId>,
    /// What is known.
    pub record: Record,
}

impl Tx {
    /// Keeps every other transaction from changing these users until this one ends.
    ///
    /// A user without a row is locked as well. All replicas take the locks in one order, so they never wait
    /// for each other in a ring. SQLite has one writer anyway.
    pub async fn lock(&self, keys: &BTreeSet<UserKey>) -> Result<(), StoreError> {
        if self.tx.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let locks: BTreeSet<i64> = keys.iter().map(UserKey::fingerprint).collect();
        let locks: serde_json::Value = locks.into_iter().collect();
        // Taken in the order of the list: a function in the select list runs as its row is read.
        let sql = "SELECT pg_advisory_xact_lock(CAST(value AS bigint)) FROM json_array_elements_text(CAST($1 AS json))";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [locks.to_string().into()]);
        self.tx.execute_raw(statement).await?;
        Ok(())
    }

    /// What is known of these users; who is not in the answer was never heard of.
    pub async fn load(&self, keys: &BTreeSet<UserKey>) -> Result<BTreeMap<UserKey, Stored>, StoreError> {
        let listed = listed(&self.tx);
        // Each looked up by itself: a join is planned for the table as it was when the statement was
        // prepared, and reads all of one that was still small then.
        let sql = format!(
            "SELECT value ->> 0, value ->> 1, \
             (SELECT id FROM users WHERE source = value ->> 0 AND external_id = value ->> 1), \
             (SELECT record FROM users WHERE source = value ->> 0 AND external_id = value ->> 1), \
             (SELECT deleted_at FROM tombstones WHERE source = value ->> 0 AND external_id = value ->> 1) \
             FROM {listed}"
        );
        let pairs = json_of(keys.iter().map(|key| (&*key.source, &*key.external_id)));
        let backend = self.tx.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, [pairs.into()]);
        let mut known = BTreeMap::new();
        for row in self.tx.query_all_raw(statement).await? {
            let (source, external_id) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            // A `TextUuid` cannot be absent; its text can.
            let id: Option<String> = row.try_get_by_index(2)?;
            let record: Option<String> = row.try_get_by_index(3)?;
            let deleted_at: Option<DateTime<Utc>> = row.try_get_by_index(4)?;
            let id = id.as_deref().map(str::parse::<TextUuid>).transpose();
            let id = id.map_err(|error| DbErr::Type(error.to_string()))?.map(|id| UserId(id.0));
            let life = record.as_deref().map(serde_json::from_str::<Life>).transpose();
            // Refused, so that it harms only the delivery about this user.
            let life = life.map_err(|error| StoreError::Refused(DbErr::Json(error.to_string())))?;
            if life.is_none() && deleted_at.is_none() {
                continue;
            }
            let record = Record { deleted_at: deleted_at.map(Into::into), life };
            known.insert(UserKey { source, external_id }, Stored { id, record });
        }
        Ok(known)
    }

    /// Writes what is now known of these users: a row while they live, a tombstone once they were deleted.
    ///
    /// `before` is what was loaded: a row that gets another id is another row, and the old one is deleted
    /// first, so that what an application hangs on it goes with it.
    pub async fn save(
        &self,
        before: &BTreeMap<UserKey, Stored>,
        known: &BTreeMap<UserKey, Stored>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut living = Vec::new();
        let mut gone = BTreeSet::new();
        let mut deleted = Vec::new();
        for (key, Stored { id, record }) in known {
            match (id, &record.life) {
                (Some(id), Some(life)) => {
                    if before.get(key).is_some_and(|earlier| earlier.id.is_some_and(|it| it != *id)) {
                        gone.insert(key.clone());
                    }
                    living.push(row(*id, key, life, now)?);
                }
                _ => {
                    gone.insert(key.clone());
                }
            }
            if let Some(deleted_at) = record.deleted_at {
                deleted.push(tombstone::ActiveModel {
                    source: Set(key.source.clone()),
                    external_id: Set(key.external_id.clone()),
                    deleted_at: Set(deleted_at.into()),
                });
            }
        }
        if !gone.is_empty() {
            user::Entity::delete_many().filter(any_of(&self.tx, &gone)).exec(&self.tx).await?;
        }
        let key = [user::Column::Source, user::Column::ExternalId];
        let facts = user::Column::iter().filter(|column| {
            !matches!(column, user::Column::Id | user::Column::Source | user::Column::ExternalId)
        });
        user::Entity::insert_many(living)
            .on_conflict(OnConflict::columns(key).update_columns(facts).to_owned())
            .exec_without_returning(&self.tx)
            .await?;
        let key = [tombstone::Column::Source, tombstone::Column::ExternalId];
        tombstone::Entity::insert_many(deleted)
            .on_conflict(OnConflict::columns(key).update_column(tombstone::Column::DeletedAt).to_owned())
            .exec_without_returning(&self.tx)
            .await?;
        Ok(())
    }
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
