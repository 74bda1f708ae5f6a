//! The full view of a user, as in the API and in events.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Profile, Timestamp, User, UserKey};

/// A user. Unknown facts are null; times are in RFC 3339.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView {
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
