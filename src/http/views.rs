//! The user as the API shows it: the full view, and the public view for other users.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::{Profile, Timestamp, User, UserKey};
use crate::sync::CachedUser;

/// A user. Unknown facts are null; times are in RFC 3339.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(super) struct UserView {
    /// The id of the row.
    #[schema(format = "uuid")]
    id: String,
    /// The source that the user comes from.
    source: String,
    /// The user's id at the provider, which is the `sub` of its tokens.
    external_id: String,
    #[serde(flatten)]
    profile: Profile,
    /// When the user was created at the provider.
    #[schema(required, value_type = Option<String>, format = DateTime)]
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
        Self { id: id.to_string(), source, external_id, profile, created_at, updated_at, synced_at }
    }
}

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
