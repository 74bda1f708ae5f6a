//! The fields of a user's profile. Each is defined once, in the table of this file; everything else follows from it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Makes [`Field`] and [`Profile`] of one table. A line has the field of `Profile`, its name as a [`Field`], its name
/// in the API, the type of its values, and the OpenID claim that contains it.
macro_rules! profile {
    ($($field:ident, $variant:ident, $name:tt, $value:ty, $claim:expr;)*) => {
        /// A field of the profile that a provider can send.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Field {
            $(#[serde(rename = $name)] $variant,)*
        }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            /// Their names in the API.
            pub const NAMES: &[&'static str] = &[$($name),*];

            /// The field's name in the API.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The OpenID claim that contains the field, if there is one.
            pub fn claim(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => $claim,)*
                }
            }

            /// What values the field has.
            pub fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => <$value>::KIND,)*
                }
            }
        }

        /// What is known of a user. Unknown facts are null. Each field is the user's field of the same name.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
        pub struct Profile {
            $(#[serde(rename = $name)] #[schema(required)] #[doc = concat!("The user's `", $name, "`.")] pub $field: Option<$value>,)*
        }

        impl Profile {
            /// The names in the API of the fields that differ from another profile.
            pub fn difference(&self, other: &Self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field != other.$field { names.push($name); })*
                names
            }

            fn set(&mut self, field: Field, value: &Value) {
                match field {
                    $(Field::$variant => self.$field = <$value>::read(value),)*
                }
            }
        }
    };
}

profile! {
    name, Name, "name", String, Some("name");
    given_name, GivenName, "givenName", String, Some("given_name");
    family_name, FamilyName, "familyName", String, Some("family_name");
    nickname, Nickname, "nickname", String, Some("nickname");
    email, Email, "email", String, Some("email");
    email_verified, EmailVerified, "emailVerified", bool, Some("email_verified");
    phone_number, PhoneNumber, "phoneNumber", String, Some("phone_number");
    phone_number_verified, PhoneNumberVerified, "phoneNumberVerified", bool, Some("phone_number_verified");
    picture_url, PictureUrl, "pictureUrl", String, Some("picture");
    metadata, Metadata, "metadata", Value, None;
}

/// What values a field has, beside null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Strings.
    Text,
    /// True and false.
    Flag,
    /// Any JSON.
    Json,
}

impl Field {
    /// Whether a change may carry this value for the field. An explicit null is a fact, too.
    pub(super) fn takes(self, value: &Value) -> bool {
        value.is_null()
            || match self.kind() {
                Kind::Text => value.is_string(),
                Kind::Flag => value.is_boolean(),
                Kind::Json => true,
            }
    }
}

/// The type of a field's values.
trait FieldValue: Sized {
    const KIND: Kind;

    /// The value of a fact; `None` if it has none.
    fn read(fact: &Value) -> Option<Self>;
}

impl FieldValue for String {
    const KIND: Kind = Kind::Text;

    fn read(fact: &Value) -> Option<Self> {
        fact.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
    }
}

impl FieldValue for bool {
    const KIND: Kind = Kind::Flag;

    fn read(fact: &Value) -> Option<Self> {
        fact.as_bool()
    }
}

impl FieldValue for Value {
    const KIND: Kind = Kind::Json;

    fn read(fact: &Value) -> Option<Self> {
        Some(fact.clone()).filter(|value| !value.is_null())
    }
}

impl Profile {
    /// The profile that these facts make. Of several facts about one field the last one counts.
    ///
    /// `name` is the provider's own if it has one, otherwise given and family name.
    pub(super) fn from_facts<'a>(facts: impl IntoIterator<Item = (Field, &'a Value)>) -> Self {
        let mut profile = Self::default();
        for (field, value) in facts {
            profile.set(field, value);
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

    use super::{Field, Profile};

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

    #[test]
    fn a_field_has_one_name_in_the_api_in_records_and_in_the_profile() {
        let profile = serde_json::to_value(Profile::default()).unwrap();
        for (field, name) in Field::ALL.iter().zip(Field::NAMES) {
            assert_eq!(field.name(), *name);
            assert_eq!(json!(field), json!(name));
            assert_eq!(profile[name], Value::Null);
        }
        assert_eq!(profile.as_object().unwrap().len(), Field::ALL.len());
    }
}
