//! The user as the API shows it: the full view, and the public view for other users.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub(super) use crate::domain::UserView;
use crate::domain::{Profile, User};
use crate::sync::CachedUser;

/// What a user may see of other users.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PublicUser)]
pub(super) struct PublicView {
    /// The id of the row.
    #[schema(format = "uuid")]
    id: String,
    #[schema(required)]
    name: Option<String>,
    #[schema(required)]
    nickname: Option<String>,
    #[schema(required)]
    picture_url: Option<String>,
}

impl From<User> for PublicView {
    fn from(user: User) -> Self {
        let Profile { name, nickname, picture_url, .. } = user.profile;
        Self { id: user.id.to_string(), name, nickname, picture_url }
    }
}

/// The full view or the public view of a user.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum View {
    /// For a service key.
    Full(Box<UserView>),
    /// For a user token.
    Public(PublicView),
}

// Not derived: `anyOf`, because a full view has all members of a public view too.
impl PartialSchema for View {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .item(Ref::from_schema_name(UserView::name()))
            .item(Ref::from_schema_name(PublicView::name()))
            .description(Some("The full view for a service key, the public view for a user token."))
            .into()
    }
}

impl ToSchema for View {
    fn name() -> Cow<'static, str> {
        "UserOrPublicUser".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((UserView::name().into_owned(), UserView::schema()));
        schemas.push((PublicView::name().into_owned(), PublicView::schema()));
    }
}

/// The full view of a user as JSON, serialized once for each time the row is read.
pub(super) fn shown(user: &CachedUser) -> Bytes {
    // The view is plain data, so serialization cannot fail.
    user.shown(|user| serde_json::to_vec(&UserView::from(user.clone())).unwrap_or_default().into())
}
