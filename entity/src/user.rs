//! `users`: the living users, as applications read and join them.

use sea_orm::entity::prelude::*;
use sea_orm::value::TextUuid;

/// One living user.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(schema_name = "usersync", table_name = "users")]
pub struct Model {
    /// UUIDv7 in its text form, in both databases, so that the id in the API is the id in a join.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub id: TextUuid,
    /// Name of the configured source.
    pub source: String,
    /// The provider's id; unique within its source.
    pub external_id: String,
    /// The provider's own name, else given and family name joined.
    pub name: Option<String>,
    /// Given name.
    pub given_name: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// Nickname or user name.
    pub nickname: Option<String>,
    /// Primary email address; never unique.
    pub email: Option<String>,
    /// Whether the provider verified the address.
    pub email_verified: Option<bool>,
    /// Primary phone number.
    pub phone_number: Option<String>,
    /// Whether the provider verified the number.
    pub phone_number_verified: Option<bool>,
    /// Picture.
    pub picture_url: Option<String>,
    /// Public metadata, any JSON.
    pub metadata: Option<Json>,
    /// When the user was created at the provider.
    pub created_at: Option<DateTimeUtc>,
    /// The highest stamp of the living lifetime.
    pub updated_at: DateTimeUtc,
    /// When this row was last written.
    pub synced_at: DateTimeUtc,
    /// The value and stamp of every field, as JSON in a string; for usersync alone.
    pub record: String,
}

/// Nothing relates to it here; applications do.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
