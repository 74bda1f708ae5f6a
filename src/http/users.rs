//! `/v1/users`: looking users up.

use std::collections::HashMap;

use actix_web::guard::GuardContext;
use actix_web::{HttpRequest, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::extract::{Reader, ServiceKey};
use super::problem::{Code, Problem};
use super::query;
use super::views::{PublicView, UserView, View};
use crate::domain::{User, UserId, UsersRead};
use crate::store::{Listing, Store};

const DEFAULT_LIMIT: u64 = 50;
const HIGHEST_LIMIT: u64 = 200;
pub(super) const MOST_IDS: usize = 100;

/// The query parameters of a list of users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ListQuery {
    /// Only users of this source.
    source: Option<String>,
    /// Only the users with this id at the provider.
    external_id: Option<String>,
    /// Only the users with exactly this email address.
    email: Option<String>,
    /// The size of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
}

/// A page of users, in the order in which their rows were created.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserList {
    /// The users.
    users: Vec<UserView>,
    /// For the next page; null on the last page.
    #[schema(required)]
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
        // PostgreSQL refuses U+0000 in query parameters too.
        if [&source, &external_id, &email].into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(Problem::because(Code::InvalidQuery, "a filter contains U+0000"));
        }
        let after = cursor.map(|cursor| Uuid::parse_str(&cursor).map(UserId)).transpose();
        let after = after
            .map_err(|_| Problem::because(Code::InvalidQuery, "the cursor is not one of this service"))?;
        Ok(Self { source, external_id, email, after, limit })
    }
}

/// A page of users.
pub(super) async fn list(
    store: web::Data<Store>,
    _key: ServiceKey<UsersRead>,
    request: HttpRequest,
) -> Result<web::Json<UserList>, Problem> {
    let page = store.users().list(&query::read::<ListQuery>(&request)?.try_into()?).await?;
    let users = page.users.into_iter().map(UserView::from).collect();
    Ok(web::Json(UserList { users, next_cursor: page.next.map(|id| id.to_string()) }))
}

/// Whether the query has the parameter `ids`.
pub(super) fn has_ids(request: &GuardContext<'_>) -> bool {
    let query = request.head().uri.query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "ids")
}

/// Users by their ids, in the order of the ids. It shares its path with [`list`].
pub(super) async fn by_ids(
    store: web::Data<Store>,
    reader: Reader,
    request: HttpRequest,
) -> Result<web::Json<UsersById>, Problem> {
    let ids = query::read::<IdsQuery>(&request)?.ids()?;
    let mut users: HashMap<UserId, User> =
        store.users().by_ids(&ids).await?.into_iter().map(|user| (user.id, user)).collect();
    let found = ids.iter().filter_map(|id| users.remove(id));
    Ok(web::Json(UsersById { users: found.map(|user| reader.view(user)).collect() }))
}

/// One user.
pub(super) async fn show(
    store: web::Data<Store>,
    reader: Reader,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<web::Json<View>, Problem> {
    query::refuse_parameters(&request)?;
    let ids: Vec<UserId> = Uuid::parse_str(&id).ok().map(UserId).into_iter().collect();
    let user = store.users().by_ids(&ids).await?.pop().ok_or_else(|| Problem::new(Code::UserNotFound))?;
    Ok(web::Json(reader.view(user)))
}

/// Users by their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsersById {
    users: Vec<View>,
}

/// The requested ids.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdsQuery {
    ids: String,
}

impl IdsQuery {
    /// A string that is not a UUID is treated like an unknown id.
    fn ids(&self) -> Result<Vec<UserId>, Problem> {
        let ids: Vec<&str> = self.ids.split(',').filter(|id| !id.is_empty()).collect();
        if ids.len() > MOST_IDS {
            return Err(Problem::because(Code::InvalidQuery, format!("{} ids", ids.len())));
        }
        Ok(ids.into_iter().filter_map(|id| Uuid::parse_str(id).ok()).map(UserId).collect())
    }
}

impl Reader {
    /// The view of a user that this reader may see.
    fn view(self, user: User) -> View {
        match self {
            Self::Service => View::Full(Box::new(user.into())),
            Self::User => View::Public(PublicView::from(user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::option;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use url::form_urlencoded::Serializer;
    use uuid::Uuid;

    use super::{HIGHEST_LIMIT, IdsQuery, ListQuery, MOST_IDS};
    use crate::domain::UserId;
    use crate::http::problem::Problem;
    use crate::http::query;
    use crate::store::Listing;

    fn read(parameters: &[(&str, &Option<String>)]) -> Result<Listing, Problem> {
        let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let query = Serializer::new(String::new()).extend_pairs(given).finish();
        let request = TestRequest::with_uri(&format!("/v1/users?{query}")).to_http_request();
        query::read::<ListQuery>(&request)?.try_into()
    }

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..300_u64).prop_map(|limit| limit.to_string()),
            any::<i128>().prop_map(|it| it.to_string()),
            any::<String>()
        ]
    }

    fn cursor() -> impl Strategy<Value = String> {
        prop_oneof![any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string()), any::<String>()]
    }

    proptest! {
        #[test]
        fn parameters_are_read_as_they_were_given_or_refused(
            source in option::of(any::<String>()),
            email in option::of(any::<String>()),
            limit in option::of(number()),
            cursor in option::of(cursor()),
        ) {
            let read = read(&[("source", &source), ("email", &email), ("limit", &limit), ("cursor", &cursor)]);
            let wanted = limit.map_or(Some(50), |limit| limit.parse().ok());
            let after = cursor.map(|cursor| Uuid::parse_str(&cursor).map(UserId)).transpose();
            let has_null = [&source, &email].into_iter().flatten().any(|text| text.contains('\0'));
            match (wanted, after) {
                (Some(wanted), Ok(after)) if (1..=HIGHEST_LIMIT).contains(&wanted) && !has_null => {
                    let listing = read.unwrap();
                    prop_assert_eq!((listing.source, listing.email), (source, email));
                    prop_assert_eq!((listing.limit, listing.after), (wanted, after));
                }
                _ => prop_assert_eq!(read.unwrap_err().code(), "invalid_query"),
            }
        }

        #[test]
        fn ids_are_read_in_their_order_and_other_strings_are_left_out(
            given in proptest::collection::vec(prop_oneof![any::<u128>().prop_map(Ok), "[^,]{0,12}".prop_map(Err)], 0..=120),
        ) {
            let strings: Vec<String> = given
                .iter()
                .map(|id: &Result<u128, String>| id.as_ref().map_or_else(Clone::clone, |id| Uuid::from_u128(*id).to_string()))
                .collect();
            let read = IdsQuery { ids: strings.join(",") }.ids();
            if strings.iter().filter(|id| !id.is_empty()).count() > MOST_IDS {
                prop_assert_eq!(read.unwrap_err().code(), "invalid_query");
            } else {
                let expected: Vec<UserId> =
                    given.into_iter().flatten().map(|id| UserId(Uuid::from_u128(id))).collect();
                prop_assert!(read.unwrap() == expected);
            }
        }
    }
}
