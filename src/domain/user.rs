//! The user as the application sees it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Field, Timestamp};

/// Longer than any provider's ids, in bytes, and short enough for the keys of both databases.
const LONGEST_ID: usize = 512;

/// Whom a provider speaks of: the source's name and the provider's own id for the user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey {
    /// The configured source.
    pub source: String,
    /// The provider's id, opaque; the `sub` of its tokens.
    pub external_id: String,
}

impl UserKey {
    /// The key of a source's user.
    pub fn new(source: impl Into<String>, external_id: impl Into<String>) -> Self {
        Self { source: source.into(), external_id: external_id.into() }
    }

    /// What is wrong with a provider's id, if anything: nobody's ids are so, and neither database could keep
    /// all of these.
    pub fn flaw_of(external_id: &str) -> Option<&'static str> {
        match external_id {
            "" => Some("the user's id is empty"),
            id if id.len() > LONGEST_ID => Some("the user's id is too long"),
            id if id.contains('\0') => Some("the user's id holds U+0000"),
            _ => None,
        }
    }

    /// A number that stands for the user in locks and notifications, the same in every process: 64 bits of
    /// SHA-256. Two users share one about never, and then are only locked and woken together.
    pub fn fingerprint(&self) -> i64 {
        let mut hash = Sha256::new();
        hash.update(&self.source);
        hash.update([0]);
        hash.update(&self.external_id);
        hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | i64::from(*byte))
    }
}

/// The row's own id: a UUIDv7, so that ids sort by when the row was made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A row of the users table.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Lasts as long as the user's lifetime at the provider.
    pub id: UserId,
    /// Whom the provider means.
    pub key: UserKey,
    /// What is known of the user.
    pub profile: Profile,
    /// When the user was created at the provider, where the provider said so.
    pub created_at: Option<Timestamp>,
    /// The highest stamp of the living lifetime.
    pub updated_at: Timestamp,
    /// When this row was last written here.
    pub synced_at: Timestamp,
}

/// What is known of a user; absent facts are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each is the user's field of the same name")]
pub struct Profile {
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub nickname: Option<String>,
    pub email: Option<String>,
    pub email_verified: Option<bool>,
    pub phone_number: Option<String>,
    pub phone_number_verified: Option<bool>,
    pub picture_url: Option<String>,
    pub metadata: Option<Value>,
}

impl Profile {
    /// The profile that these facts make; a fact that is null is no fact here.
    ///
    /// `name` is the provider's own where it has one, else what is there of given and family name.
    pub(super) fn from_facts<'a>(facts: impl IntoIterator<Item = (Field, &'a Value)>) -> Self {
        let mut profile = Self::default();
        for (field, value) in facts {
            let text = || value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
            match field {
                Field::Name => profile.name = text(),
                Field::GivenName => profile.given_name = text(),
                Field::FamilyName => profile.family_name = text(),
                Field::Nickname => profile.nickname = text(),
                Field::Email => profile.email = text(),
                Field::EmailVerified => profile.email_verified = value.as_bool(),
                Field::PhoneNumber => profile.phone_number = text(),
                Field::PhoneNumberVerified => profile.phone_number_verified = value.as_bool(),
                Field::PictureUrl => profile.picture_url = text(),
                Field::Metadata => profile.metadata = Some(value.clone()).filter(|it| !it.is_null()),
            }
        }
        profile.name = profile.name.take().or_else(|| profile.joined_name());
        profile
    }

    fn joined_name(&self) -> Option<String> {
        let parts: Vec<&str> =
            [&self.given_name, &self.family_name].into_iter().flatten().map(|part| part.trim()).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Profile;
    use crate::domain::Field;

    fn name_of(facts: &[(Field, Value)]) -> Option<String> {
        Profile::from_facts(facts.iter().map(|(field, value)| (*field, value))).name
    }

    #[test]
    fn the_name_is_the_providers_own_else_joined_from_what_is_there() {
        let given = (Field::GivenName, json!("Ada"));
        let family = (Field::FamilyName, json!("Lovelace"));
        let own = (Field::Name, json!("Countess"));
        assert_eq!(name_of(&[own, given.clone(), family.clone()]), Some("Countess".into()));
        assert_eq!(name_of(&[given.clone(), family.clone()]), Some("Ada Lovelace".into()));
        assert_eq!(name_of(&[given, (Field::FamilyName, json!(null))]), Some("Ada".into()));
        assert_eq!(name_of(&[(Field::GivenName, json!(" ")), family]), Some("Lovelace".into()));
        assert_eq!(name_of(&[(Field::GivenName, json!(null)), (Field::FamilyName, json!(null))]), None);
    }
}
