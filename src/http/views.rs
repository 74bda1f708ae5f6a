//! The user as the API shows it: the full view, and the public view for other users.

use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Profile, Timestamp, User, UserKey};
use crate::sync::CachedUser;

/// A user. Unknown facts are null; times are in RFC 3339.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub(super) struct UserView {
    /// The row's id, a UUID.
    id: String,
    /// The source that the user comes from.
    source: String,
    /// The user's id at the provider, which is the `sub` of its tokens.
    external_id: String,
    #[serde(flatten)]
    profile: Profile,
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
        Self { id: id.to_string(), source, external_id, profile, created_at, updated_at, synced_at }
    }
}

/// What a user may see of other users.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PublicUser)]
pub(super) struct PublicView {
    /// The row's id, a UUID.
    id: String,
    name: Option<String>,
    nickname: Option<String>,
    picture_url: Option<String>,
}

impl From<User> for PublicView {
    fn from(user: User) -> Self {
        let Profile { name, nickname, picture_url, .. } = user.profile;
        Self { id: user.id.to_string(), name, nickname, picture_url }
    }
}

/// The full view or the public view of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum View {
    /// For a service key.
    Full(Box<UserView>),
    /// For a user's token.
    Public(PublicView),
}

/// The full view of a user as JSON, serialized once for each time the row is read.
pub(super) fn shown(user: &CachedUser) -> Bytes {
    // The view is plain data, so serialization cannot fail.
    user.shown(|user| serde_json::to_vec(&UserView::from(user.clone())).unwrap_or_default().into())
}
