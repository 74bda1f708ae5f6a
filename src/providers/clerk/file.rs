//! Clerk's export files: the dashboard's CSV, and the JSON that support gives.
//!
//! Source: Clerk's documentation and its migration tool. Neither has the time of the last change, so what they say
//! ranks below every webhook. Password hashes and secrets of second factors are never read.

use serde_json::{Map, Value, json};

use crate::providers::Unreadable;
use crate::providers::file::{FileUser, Record};

/// The user as the API would describe them, as far as the file knows.
pub(super) fn user(user: FileUser) -> Result<Value, Unreadable> {
    match user {
        FileUser::Object(user) if is_of_the_api(&user) => Ok(user),
        FileUser::Object(user) => exported(&user),
        FileUser::Record(record) => recorded(&Record(&record)),
    }
}

/// Whether a user can only be Clerk's.
pub(super) fn is_own(user: &FileUser) -> bool {
    const NAMES: [&str; 4] =
        ["email_addresses", "primary_email_address_id", "primary_email_address", "verified_email_addresses"];
    user.text("id").is_some_and(|id| id.starts_with("user_")) && NAMES.iter().any(|name| user.has(name))
}

/// Whether an object is one of the API's, whose addresses are objects and not texts.
fn is_of_the_api(user: &Value) -> bool {
    let addresses = user.get("email_addresses").and_then(Value::as_array);
    let has_primary = user.get("primary_email_address_id").is_some();
    has_primary || addresses.is_some_and(|all| all.first().is_some_and(Value::is_object))
}

fn recorded(record: &Record<'_>) -> Result<Value, Unreadable> {
    let id = checked(record.0.get("id").map(String::as_str))?;
    let mut user = Map::new();
    user.insert("id".to_owned(), id.into());
    for name in ["first_name", "last_name", "username", "created_at"] {
        record.put(name, &mut user, name);
    }
    if record.has("primary_email_address") {
        let verified = record.list("verified_email_addresses");
        contact(&mut user, &EMAIL, record.get("primary_email_address"), &verified);
    }
    if record.has("primary_phone_number") {
        let verified = record.list("verified_phone_numbers");
        contact(&mut user, &PHONE, record.get("primary_phone_number"), &verified);
    }
    Ok(Value::Object(user))
}

fn exported(export: &Value) -> Result<Value, Unreadable> {
    let text = |name: &str| export.get(name).and_then(Value::as_str);
    let list = |name: &str| -> Vec<&str> {
        let values = export.get(name).and_then(Value::as_array);
        values.map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    };
    let id = checked(text("id"))?;
    let mut user = Map::new();
    user.insert("id".to_owned(), id.into());
    for name in ["first_name", "last_name", "username", "created_at", "image_url", "public_metadata"] {
        if let Some(value) = export.get(name) {
            user.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(primary) = export.get("primary_email_address") {
        contact(&mut user, &EMAIL, primary.as_str(), &list("verified_email_addresses"));
    } else if let Some(first) = list("email_addresses").first() {
        contact(&mut user, &EMAIL, Some(first), &list("email_addresses"));
    }
    if let Some(primary) = export.get("primary_phone_number") {
        contact(&mut user, &PHONE, primary.as_str(), &list("verified_phone_numbers"));
    }
    Ok(Value::Object(user))
}

/// All of Clerk's ids look alike, so a file of another provider is noticed.
fn checked(id: Option<&str>) -> Result<&str, Unreadable> {
    let id = id.filter(|id| id.starts_with("user_"));
    id.ok_or_else(|| {
        Unreadable::new("there is no `id` that begins with `user_`: check that this is an export of Clerk")
    })
}

struct Names {
    primary: &'static str,
    list: &'static str,
    contact: &'static str,
}

const EMAIL: Names =
    Names { primary: "primary_email_address_id", list: "email_addresses", contact: "email_address" };
const PHONE: Names =
    Names { primary: "primary_phone_number_id", list: "phone_numbers", contact: "phone_number" };

/// Writes a contact as the API does: an entry of a list that the user names by id.
fn contact(user: &mut Map<String, Value>, names: &Names, primary: Option<&str>, verified: &[&str]) {
    let Some(primary) = primary.filter(|primary| !primary.is_empty()) else {
        user.insert(names.primary.to_owned(), Value::Null);
        user.insert(names.list.to_owned(), json!([]));
        return;
    };
    let status = if verified.contains(&primary) { "verified" } else { "unverified" };
    let id = "from_the_file";
    user.insert(names.primary.to_owned(), id.into());
    user.insert(
        names.list.to_owned(),
        json!([{"id": id, names.contact: primary, "verification": {"status": status}}]),
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::user;
    use crate::domain::{ChangeKind, Field, Timestamp};
    use crate::providers::file::FileUser;
    use crate::providers::{DecodedEvent, Provider};

    fn record(cells: &[(&str, &str)]) -> FileUser {
        FileUser::Record(cells.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    fn facts(file_user: FileUser) -> (String, Timestamp, Option<Timestamp>, BTreeMap<Field, Value>) {
        let user = user(file_user).unwrap();
        let Ok(DecodedEvent::Change { external_id, stamp, kind: ChangeKind::Upsert { lifetime, facts, .. } }) =
            super::super::Clerk.listed(&user)
        else {
            panic!("{user}")
        };
        (external_id, stamp, lifetime, facts.into_iter().collect())
    }

    #[test]
    fn a_line_of_the_dashboard_s_csv_is_a_user_without_its_secrets() {
        let line = [
            ("id", "user_1"),
            ("first_name", "Ada"),
            ("last_name", ""),
            ("username", "ada"),
            ("primary_email_address", "ada@example.com"),
            ("primary_phone_number", ""),
            ("verified_email_addresses", "old@example.com|ada@example.com"),
            ("unverified_email_addresses", ""),
            ("verified_phone_numbers", ""),
            ("unverified_phone_numbers", ""),
            ("totp_secret", "SENTINEL"),
            ("password_digest", "SENTINEL"),
            ("password_hasher", "bcrypt"),
        ];
        assert!(!user(record(&line)).unwrap().to_string().contains("SENTINEL"));
        let (id, stamp, lifetime, facts) = facts(record(&line));
        assert_eq!((&*id, stamp, lifetime), ("user_1", Timestamp::EPOCH, None));
        let expected = [
            (Field::GivenName, json!("Ada")),
            (Field::FamilyName, json!(null)),
            (Field::Nickname, json!("ada")),
            (Field::Email, json!("ada@example.com")),
            (Field::EmailVerified, json!(true)),
            (Field::PhoneNumber, json!(null)),
            (Field::PhoneNumberVerified, json!(null)),
        ];
        assert_eq!(facts, BTreeMap::from(expected));
    }

    #[test]
    fn a_file_with_the_time_of_creation_dates_the_user_by_it() {
        let (_, stamp, lifetime, _) =
            facts(record(&[("id", "user_1"), ("created_at", "2026-01-01T12:00:00Z")]));
        let created = Timestamp::parse("2026-01-01T12:00:00Z");
        assert_eq!((Some(stamp), lifetime), (created, created));
    }

    #[test]
    fn the_json_of_support_and_the_api_s_own_objects_are_read_too() {
        let support = json!({
            "id": "user_1", "first_name": "Ada", "primary_email_address": "ada@example.com",
            "verified_email_addresses": [], "password_digest": "SENTINEL",
        });
        assert!(!user(FileUser::Object(support.clone())).unwrap().to_string().contains("SENTINEL"));
        let (_, _, _, said) = facts(FileUser::Object(support));
        assert_eq!(said[&Field::EmailVerified], json!(false));
        let api = json!({
            "id": "user_1", "primary_email_address_id": "e", "created_at": 1_767_268_800_000_i64,
            "updated_at": 1_767_268_900_000_i64, "email_addresses": [
                {"id": "d", "email_address": "other@example.com", "verification": null},
                {"id": "e", "email_address": "ada@example.com", "verification": {"status": "verified"}},
            ],
        });
        let (_, stamp, _, said) = facts(FileUser::Object(api));
        assert_eq!(said[&Field::Email], json!("ada@example.com"));
        assert_eq!(stamp, Timestamp::from_seconds(1_767_268_900));
    }

    #[test]
    fn another_provider_s_file_is_not_understood() {
        assert!(user(record(&[("Id", "auth0|1"), ("Email", "a@b.c")])).is_err());
        assert!(user(record(&[("id", "auth0|1")])).is_err());
        assert!(user(record(&[("user_id", "auth0|1")])).is_err());
        assert!(user(FileUser::Object(json!({"user_id": "auth0|1"}))).is_err());
    }
}
