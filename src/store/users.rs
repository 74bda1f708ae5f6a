//! The users table as it is read.

use chrono::{DateTime, Utc};
use entity::user::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::value::TextUuid;
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
};

use super::{StoreError, in_time};
use crate::domain::{Profile, Timestamp, User, UserId, UserKey};

/// The users table.
#[derive(Debug)]
pub struct Users<'a>(pub(super) &'a DatabaseConnection);

/// A row, and what the tombstone beside it says.
#[derive(FromQueryResult)]
struct Living {
    #[sea_orm(nested)]
    row: Model,
    deleted_at: Option<DateTime<Utc>>,
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
    /// The user, if it is there, with the highest stamp of an earlier life's deletion.
    pub async fn get(&self, key: &UserKey) -> Result<Option<(User, Option<Timestamp>)>, StoreError> {
        let deleted_at = "(SELECT deleted_at FROM tombstones AS t \
                          WHERE t.source = users.source AND t.external_id = users.external_id)";
        let rows = Entity::find()
            .expr_as(Expr::cust(deleted_at), "deleted_at")
            .filter(Column::Source.eq(&key.source))
            .filter(Column::ExternalId.eq(&key.external_id))
            .into_model::<Living>()
            // The key is unique. `one` would add a LIMIT that SQLite plans anew each time.
            .all(self.0);
        let living = in_time(rows).await?.pop();
        Ok(living.map(|Living { row, deleted_at }| (user(row), deleted_at.map(Into::into))))
    }

    /// When the user was deleted, if it was.
    pub async fn deleted_at(&self, key: &UserKey) -> Result<Option<Timestamp>, StoreError> {
        let id = (key.source.clone(), key.external_id.clone());
        let row = in_time(entity::tombstone::Entity::find_by_id(id).one(self.0)).await?;
        Ok(row.map(|tombstone| tombstone.deleted_at.into()))
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
