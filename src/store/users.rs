//! Reading the users table.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use entity::user::{Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait, QueryStatementBuilder};
use sea_orm::value::TextUuid;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, IdenStatic,
    Iterable, PaginatorTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait, Select,
    Statement,
};

use super::connection::Db;
use super::error::nothing_if_rejected;
use super::pairs::{is_any_of, is_of_source, key_table};
use super::{StoreError, in_time};
use crate::domain::{Profile, Timestamp, User, UserId, UserKey};

/// The users table.
#[derive(Debug)]
pub struct Users<'a>(pub(super) &'a Db);

/// What the tables contain about a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserLookup {
    /// The user, if there is a row.
    pub user: Option<User>,
    /// The highest stamp of a deletion, whether of this lifetime or of an earlier one.
    pub deleted_at: Option<Timestamp>,
}

impl UserLookup {
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
    /// At most this many.
    pub limit: u64,
}

/// A page of users.
#[derive(Clone, Debug)]
pub struct Page {
    /// The users.
    pub users: Vec<User>,
    /// The row to continue after, if there are more.
    pub next: Option<UserId>,
}

impl Users<'_> {
    /// The row or tombstone of each of these users, by one statement. A row that cannot be read affects only its user.
    pub async fn look_up(
        &self,
        keys: &BTreeSet<&UserKey>,
    ) -> Result<BTreeMap<UserKey, Result<UserLookup, StoreError>>, StoreError> {
        match self.look_up_together(keys).await {
            // One of the ids has a character that the encoding of the database lacks, so no user can have it.
            Err(StoreError::Rejected(_)) => {
                let mut found = BTreeMap::new();
                for key in keys {
                    match self.look_up_together(&BTreeSet::from([*key])).await {
                        Ok(one) => found.extend(one),
                        Err(StoreError::Rejected(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(found)
            }
            found => found,
        }
    }

    async fn look_up_together(
        &self,
        keys: &BTreeSet<&UserKey>,
    ) -> Result<BTreeMap<UserKey, Result<UserLookup, StoreError>>, StoreError> {
        let rows = in_time(find_rows(self.0, keys.iter().copied(), Column::iter())).await?;
        Ok(rows
            .into_iter()
            .map(|(key, row)| (key, UserLookup::read(&row).map_err(StoreError::from)))
            .collect())
    }

    /// The users with these ids, in no order.
    pub async fn by_ids(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let is_wanted = is_any_of(self.0, Column::Id, ids.iter().map(UserId::to_string));
        let rows = in_time(Entity::find().filter(is_wanted).all(self.0)).await?;
        Ok(rows.into_iter().map(user).collect())
    }

    /// How many rows a source has, and how many of these are of users who signed up after a moment.
    pub(crate) async fn count(&self, source: &str, after: Timestamp) -> Result<(u64, u64), StoreError> {
        let of_source = || Entity::find().filter(Column::Source.eq(source));
        let all = in_time(of_source().count(self.0)).await?;
        // Their rows were made after it too: so only the newest rows are read, along the primary key.
        let made = Column::Id.gt(TextUuid(UserId::first_of(after).0));
        let created = Column::CreatedAt.gt(DateTime::<Utc>::from(after));
        let young = in_time(of_source().filter(made).filter(created).count(self.0)).await?;
        Ok((all, young))
    }

    /// How many rows each source has; one without rows is not there.
    pub(crate) async fn count_by_source(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let counted = Entity::find()
            .select_only()
            .column(Column::Source)
            .column_as(Expr::cust("count(*)"), "users")
            .group_by(Column::Source)
            .into_tuple();
        let counts: Vec<(String, i64)> = in_time(counted.all(self.0)).await?;
        Ok(counts.into_iter().map(|(source, count)| (source, count.try_into().unwrap_or(0))).collect())
    }

    /// A page of users.
    pub async fn list(&self, listing: &Listing) -> Result<Page, StoreError> {
        let query = self.select(listing).limit(listing.limit.saturating_add(1));
        let rows = nothing_if_rejected(in_time(query.all(self.0)).await)?;
        let mut users: Vec<User> = rows.into_iter().map(user).collect();
        let limit = usize::try_from(listing.limit).unwrap_or(usize::MAX);
        let more = users.len() > limit;
        users.truncate(limit);
        Ok(Page { next: users.last().filter(|_| more).map(|last| last.id), users })
    }

    /// The users with the newest rows, before one.
    pub async fn newest(&self, before: Option<UserId>, limit: u64) -> Result<Vec<User>, StoreError> {
        let mut select = Entity::find().order_by_desc(Column::Id).limit(limit);
        if let Some(before) = before {
            select = select.filter(Column::Id.lt(TextUuid(before.0)));
        }
        Ok(in_time(select.all(self.0)).await?.into_iter().map(user).collect())
    }

    /// The users to list, in order. An index finds them first where a filter is narrow, and the order is made
    /// afterwards. An index that has the order is only for what may be most of the table.
    fn select(&self, listing: &Listing) -> Select<Entity> {
        let Listing { source, external_id, email, after, limit: _ } = listing;
        let after = after.map(|after| TextUuid(after.0));
        let is_narrow = external_id.is_some() || email.is_some();
        let mut select = Entity::find();
        match source {
            Some(source) if !is_narrow => select = self.of_source(source, after),
            _ if is_narrow => select = select.filter(self.is_found(listing)),
            _ => {}
        }
        if let Some(after) = after {
            select = select.filter(Column::Id.gt(after));
        }
        select.order_by_asc(Column::Id)
    }

    /// A source's users, in the order of their index.
    fn of_source(&self, source: &str, after: Option<TextUuid>) -> Select<Entity> {
        let by_source = || Expr::cust("(source || '')");
        if self.0.get_database_backend() != DbBackend::Postgres {
            return Entity::find().filter(by_source().eq(source));
        }
        // As a range: were the source known to be one, the primary key would have the order too, and PostgreSQL would
        // look for the users of a small source among all others.
        let from = match after {
            None => by_source().gte(source),
            Some(after) => Expr::tuple([by_source(), Expr::col(Column::Id)])
                .gt(Expr::tuple([Expr::value(source), Expr::value(after)])),
        };
        Entity::find().filter(from).filter(by_source().lte(source)).order_by_asc(by_source())
    }

    /// Whether a row has the requested external id or address.
    fn is_found(&self, Listing { source, external_id, email, .. }: &Listing) -> Condition {
        let is_its = Condition::all()
            .add_option(external_id.as_ref().map(|id| Column::ExternalId.eq(id)))
            .add_option(email.as_ref().map(|email| Column::Email.eq(email)))
            .add_option(source.as_deref().map(is_of_source));
        if self.0.get_database_backend() != DbBackend::Postgres {
            return is_its;
        }
        // As an array, so that the rows are not searched in the order of the primary key.
        let found = Entity::find().select_only().column(Column::Id).filter(is_its).into_query();
        let found = Expr::SubQuery(None, Box::new(found.into_sub_query_statement()));
        Condition::all().add(Expr::cust_with_exprs("id = ANY(ARRAY($1))", [found]))
    }
}

/// What the tables have of each of these users: these columns of its row, and `deleted_at` of its tombstone. All are
/// null for an unknown user.
///
/// Each user is looked up separately. A join would be planned for the tables as they were when the statement was
/// prepared, and would read all of a table that was still small then; `OFFSET 0` keeps PostgreSQL from making it one.
pub(super) async fn find_rows<'a>(
    db: &impl ConnectionTrait,
    keys: impl Iterator<Item = &'a UserKey>,
    columns: impl Iterator<Item = Column>,
) -> Result<Vec<(UserKey, QueryResult)>, DbErr> {
    let backend = db.get_database_backend();
    let (keys, parameters) = key_table(db, keys);
    let columns: Vec<String> = columns.map(|column| format!("u.{}", column.as_str())).collect();
    let columns = columns.join(", ");
    let is_its = "source = keys.source AND external_id = keys.external_id";
    let users = match backend {
        DbBackend::Postgres => {
            format!("LATERAL (SELECT * FROM \"usersync\".users WHERE {is_its} OFFSET 0) AS u ON TRUE")
        }
        _ => "\"usersync\".users AS u ON u.source = keys.source AND u.external_id = keys.external_id"
            .to_owned(),
    };
    let sql = format!(
        "SELECT keys.source AS key_source, keys.external_id AS key_external_id, \
         (SELECT deleted_at FROM \"usersync\".tombstones WHERE {is_its}) AS deleted_at, {columns} FROM {keys} LEFT JOIN {users}"
    );
    let rows = db.query_all_raw(Statement::from_sql_and_values(backend, sql, parameters)).await?;
    rows.into_iter()
        .map(|row| {
            let key = UserKey { source: row.try_get_by_index(0)?, external_id: row.try_get_by_index(1)? };
            Ok((key, row))
        })
        .collect()
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
