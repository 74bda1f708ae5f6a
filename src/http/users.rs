//! The users as the API shows them.

use actix_web::web;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::State;
use super::extract::ServiceKey;
use super::problem::{Code, Document, Problem};
use crate::domain::{Profile, Timestamp, User, UserId, UserKey};
use crate::store::Listing;

const DEFAULT_LIMIT: u64 = 50;
const HIGHEST_LIMIT: u64 = 200;

/// A user; absent facts are null, times RFC 3339.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(super) struct UserView {
    /// The row's id, a UUID.
    id: String,
    /// The source it comes from.
    source: String,
    /// The provider's id, the `sub` of its tokens.
    external_id: String,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    nickname: Option<String>,
    email: Option<String>,
    email_verified: Option<bool>,
    phone_number: Option<String>,
    phone_number_verified: Option<bool>,
    picture_url: Option<String>,
    metadata: Option<Value>,
    /// When the user was created at the provider.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    /// When the user was last changed at the provider.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When this row was last written.
    #[schema(value_type = String, format = DateTime)]
    synced_at: Timestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let User { id, key, profile, created_at, updated_at, synced_at } = user;
        let UserKey { source, external_id } = key;
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
        } = profile;
        Self {
            id: id.to_string(),
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
        }
    }
}

/// Which users to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ListQuery {
    /// Only of this source.
    source: Option<String>,
    /// Only with this id at the provider.
    external_id: Option<String>,
    /// Only with exactly this address.
    email: Option<String>,
    /// 1 to 200; 50 if left out.
    limit: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of users, in order of creation here.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserList {
    /// The users.
    users: Vec<UserView>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

impl TryFrom<ListQuery> for Listing {
    type Error = Problem;

    fn try_from(query: ListQuery) -> Result<Self, Problem> {
        let ListQuery { source, external_id, email, limit, cursor } = query;
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=HIGHEST_LIMIT).contains(&limit) {
            return Err(Problem::because(Code::InvalidQuery, format!("limit is {limit}")));
        }
        // PostgreSQL refuses U+0000 even in a question.
        if [&source, &external_id, &email].into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(Problem::because(Code::InvalidQuery, "a filter holds U+0000"));
        }
        let after = cursor.map(|cursor| Uuid::parse_str(&cursor).map(UserId)).transpose();
        let after = after.map_err(|_| Problem::because(Code::InvalidQuery, "the cursor is none of ours"))?;
        Ok(Self { source, external_id, email, after, limit })
    }
}

/// Users, by filters and pages.
#[utoipa::path(
    get, path = "/v1/users", tag = "users", security(("serviceKey" = [])), params(ListQuery),
    responses(
        (status = 200, description = "A page", body = UserList),
        (status = 400, description = "`invalid_query`", body = Document),
        (status = 401, description = "`invalid_auth_header`, `unauthenticated`", body = Document),
        (status = 503, description = "`database_unavailable`", body = Document),
    )
)]
pub(super) async fn list(
    state: web::Data<State>,
    _key: ServiceKey,
    query: Result<web::Query<ListQuery>, actix_web::Error>,
) -> Result<web::Json<UserList>, Problem> {
    // The error would repeat the name of a parameter that is none, which may be anything.
    let unreadable = "a parameter is unknown, there twice or no number";
    let query = query.map_err(|_| Problem::because(Code::InvalidQuery, unreadable))?.into_inner();
    let page = state.store.users().list(&query.try_into()?).await?;
    let users = page.users.into_iter().map(UserView::from).collect();
    Ok(web::Json(UserList { users, next_cursor: page.next.map(|id| id.to_string()) }))
}
