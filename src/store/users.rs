//! The users table as it is read.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use entity::user::{Column, Entity, Model};
use sea_orm::value::TextUuid;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, FromQueryResult,
    IdenStatic, Iterable, QueryFilter, QueryOrder, QueryResult, QuerySelect, Statement,
};

use super::pairs::listed;
use super::{StoreError, in_time};
use crate::domain::{Profile, Timestamp, User, UserId, UserKey};

/// The users table.
#[derive(Debug)]
pub struct Users<'a>(pub(super) &'a DatabaseConnection);

/// What the tables say of a user at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LookedUp {
    /// The user, if it lives.
    pub user: Option<User>,
    /// The highest stamp of a deletion, of this life's id or of an earlier life.
    pub deleted_at: Option<Timestamp>,
}

impl LookedUp {
    /// From a row of `users` and the tombstone's date, either of which may be missing.
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let id: Option<String> = row.try_get("", Column::Id.as_str())?;
        let user = id.map(|_| Model::from_query_result(row, "")).transpose()?.map(user);
        let deleted_at: Option<DateTime<Utc>> = row.try_get("", "deleted_at")?;
        Ok(Self { user, deleted_at: deleted_at.map(Timestamp::from) })
    }
}

/// Which users to list, in order of creation here.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only of this source.
    pub source: Option<String>,
    /// Only with this external id.
    pub external_id: Option<String>,
    /// Only with exactly this address.
    pub email: Option<String>,
    /// Only after this row.
    pub after: Option<UserId>,
    /// At most so many.
    pub limit: u64,
}

/// A page of users.
#[derive(Clone, Debug)]
pub struct Page {
    /// The users.
    pub users: Vec<User>,
    /// The row to go on after, if there are more.
    pub next: Option<UserId>,
}

impl Users<'_> {
    /// What the tables say of each of these users, all at one moment. A row that cannot be read harms its user alone.
    pub async fn look_up(
        &self,
        keys: &BTreeSet<&UserKey>,
    ) -> Result<BTreeMap<UserKey, Result<LookedUp, StoreError>>, StoreError> {
        let (listed, parameters) = listed(self.0, keys.iter().map(|key| (&*key.source, &*key.external_id)));
        let backend = self.0.get_database_backend();
        let users = match backend {
            // As in `Tx::load`: each looked up by itself, which takes a word to keep it from being a join.
            DbBackend::Postgres => {
                "LATERAL (SELECT * FROM users WHERE source = listed.one AND external_id = listed.two OFFSET 0) \
                 AS users ON TRUE"
            }
            _ => "users ON source = listed.one AND external_id = listed.two",
        };
        let columns: Vec<&str> = Column::iter().map(|column| column.as_str()).collect();
        let sql = format!(
            "SELECT listed.one, listed.two, {}, \
             (SELECT deleted_at FROM tombstones AS t WHERE t.source = listed.one AND t.external_id = listed.two) \
             AS deleted_at FROM {listed} LEFT JOIN {users}",
            columns.join(", ")
        );
        let rows = self.0.query_all_raw(Statement::from_sql_and_values(backend, sql, parameters));
        let mut known = BTreeMap::new();
        for row in in_time(rows).await? {
            let (source, external_id): (String, String) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let said = LookedUp::read(&row).map_err(StoreError::from);
            known.insert(UserKey { source, external_id }, said);
        }
        Ok(known)
    }

    /// The users with these ids, in no order.
    pub async fn by_ids(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let ids = ids.iter().map(|id| TextUuid(id.0));
        let rows = in_time(Entity::find().filter(Column::Id.is_in(ids)).all(self.0)).await?;
        Ok(rows.into_iter().map(user).collect())
    }

    /// A page of users.
    pub async fn list(&self, listing: &Listing) -> Result<Page, StoreError> {
        let mut query = Entity::find().order_by_asc(Column::Id).limit(listing.limit.saturating_add(1));
        if let Some(source) = &listing.source {
            query = query.filter(Column::Source.eq(source));
        }
        if let Some(external_id) = &listing.external_id {
            query = query.filter(Column::ExternalId.eq(external_id));
        }
        if let Some(email) = &listing.email {
            query = query.filter(Column::Email.eq(email));
        }
        if let Some(after) = listing.after {
            query = query.filter(Column::Id.gt(TextUuid(after.0)));
        }
        let mut users: Vec<User> = in_time(query.all(self.0)).await?.into_iter().map(user).collect();
        let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
        let more = users.len() > limit;
        users.truncate(limit);
        Ok(Page { next: users.last().filter(|_| more).map(|last| last.id), users })
    }
}

fn user(row: Model) -> User {
    let Model {
        id,
        source,
        external_id,
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
        created_at,
        updated_at,
        synced_at,
        record: _,
    } = row;
    User {
        id: UserId(id.0),
        key: UserKey { source, external_id },
        profile: Profile {
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
        },
        created_at: created_at.map(Timestamp::from),
        updated_at: updated_at.into(),
        synced_at: synced_at.into(),
    }
}
