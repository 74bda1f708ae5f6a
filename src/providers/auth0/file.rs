//! Auth0's export files: one JSON object a line, CSV with either kind of column names, and the JSON of a user import.
//!
//! Source: Auth0's documentation of export jobs. Cells that a spreadsheet could take for a formula have a `'` before
//! them, which is taken away once. Password hashes, second factors and tokens of identity providers are never kept.

use serde_json::{Map, Value};

use crate::providers::Unreadable;
use crate::providers::file::{FileUser, Record};

/// The titles of an export that was made without a list of fields, and the API's names of them.
const TITLES: [(&str, &str); 13] = [
    ("Id", "user_id"),
    ("Given Name", "given_name"),
    ("Family Name", "family_name"),
    ("Nickname", "nickname"),
    ("Name", "name"),
    ("Email", "email"),
    ("Email Verified", "email_verified"),
    ("Username", "username"),
    ("Phone Number", "phone_number"),
    ("Phone Verified", "phone_verified"),
    ("Picture", "picture"),
    ("Created At", "created_at"),
    ("Updated At", "updated_at"),
];

/// Whether a user can only be Auth0's, whose ids name their connection.
pub(super) fn is_own(user: &FileUser) -> bool {
    user.text("user_id").or_else(|| user.text("Id")).is_some_and(|id| id.contains('|'))
}

/// All members that a user of an import may have; Auth0 refuses any other.
const IMPORTED: [&str; 17] = [
    "user_id",
    "email",
    "email_verified",
    "username",
    "phone_number",
    "phone_verified",
    "given_name",
    "family_name",
    "name",
    "nickname",
    "picture",
    "blocked",
    "password_hash",
    "custom_password_hash",
    "app_metadata",
    "user_metadata",
    "mfa_factors",
];

/// The user as the API would describe them, as far as the file knows.
pub(super) fn user(user: FileUser) -> Result<Value, Unreadable> {
    let user = match user {
        FileUser::Object(Value::Object(user)) => imported(named(user)),
        FileUser::Object(_) => return Err(Unreadable::new("the user is not an object")),
        FileUser::Record(record) => recorded(&Record(&record)),
    };
    // All of Auth0's ids name their connection, so a file of another provider is noticed.
    if user.get("user_id").and_then(Value::as_str).is_some_and(|id| id.contains('|')) {
        return Ok(Value::Object(user));
    }
    Err(Unreadable::new(
        "there is no `user_id` or `Id` such as `auth0|…`: check that this is an export of Auth0",
    ))
}

/// A user of an import has the id without its connection. Auth0 imports into a database connection, whose users' ids
/// begin with `auth0|`.
fn imported(mut user: Map<String, Value>) -> Map<String, Value> {
    let is_import = user.keys().all(|name| IMPORTED.contains(&&**name));
    if is_import
        && let Some(Value::String(id)) = user.get_mut("user_id")
        && !id.is_empty()
        && !id.contains('|')
    {
        id.insert_str(0, "auth0|");
    }
    user
}

fn named(mut user: Map<String, Value>) -> Map<String, Value> {
    for (title, name) in TITLES {
        if let Some(value) = user.remove(title) {
            user.entry(name).or_insert(value);
        }
    }
    user
}

fn recorded(record: &Record<'_>) -> Map<String, Value> {
    let mut user = Map::new();
    for (title, name) in TITLES {
        let column = if record.has(name) { name } else { title };
        if !record.has(column) {
            continue;
        }
        let cell = record.get(column).map(|cell| cell.strip_prefix('\'').unwrap_or(cell));
        let value = match cell {
            None | Some("") => Value::Null,
            Some("true") if name.ends_with("_verified") => Value::Bool(true),
            Some("false") if name.ends_with("_verified") => Value::Bool(false),
            Some(text) => text.into(),
        };
        user.insert(name.to_owned(), value);
    }
    let metadata: Map<String, Value> = record
        .0
        .iter()
        .filter_map(|(column, cell)| Some((column.strip_prefix("user_metadata.")?, cell)))
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(key, cell)| (key.to_owned(), cell.strip_prefix('\'').unwrap_or(cell).into()))
        .collect();
    if !metadata.is_empty() {
        user.insert("user_metadata".to_owned(), Value::Object(metadata));
    }
    user
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::user;
    use crate::providers::file::FileUser;

    fn record(cells: &[(&str, &str)]) -> FileUser {
        FileUser::Record(cells.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn titles_and_names_are_the_same_user() {
        let expected = json!({
            "user_id": "auth0|1", "email": "ada@example.com", "email_verified": true, "given_name": null,
            "created_at": "2026-01-01T12:00:00.000Z",
        });
        let titled = [
            ("Id", "'auth0|1"),
            ("Email", "'ada@example.com"),
            ("Email Verified", "true"),
            ("Given Name", ""),
            ("Created At", "2026-01-01T12:00:00.000Z"),
        ];
        assert_eq!(user(record(&titled)).unwrap(), expected);
        let named = [
            ("user_id", "auth0|1"),
            ("email", "ada@example.com"),
            ("email_verified", "true"),
            ("given_name", ""),
            ("created_at", "2026-01-01T12:00:00.000Z"),
        ];
        assert_eq!(user(record(&named)).unwrap(), expected);
        let object = json!({"Id": "auth0|1", "Email": "ada@example.com", "Created At": "x"});
        assert_eq!(
            user(FileUser::Object(object)).unwrap(),
            json!({"user_id": "auth0|1", "email": "ada@example.com", "created_at": "x"})
        );
    }

    #[test]
    fn exactly_one_quote_is_taken_from_a_cell_and_metadata_comes_from_its_columns() {
        let line = [
            ("user_id", "auth0|1"),
            ("name", "''quoted"),
            ("user_metadata.plan", "'=pro"),
            ("user_metadata.x", ""),
        ];
        assert_eq!(
            user(record(&line)).unwrap(),
            json!({"user_id": "auth0|1", "name": "'quoted", "user_metadata": {"plan": "=pro"}})
        );
    }

    #[test]
    fn another_provider_s_file_is_not_understood() {
        assert!(user(record(&[("id", "user_1"), ("first_name", "Ada")])).is_err());
        assert!(user(record(&[("external_id", "user_1")])).is_err());
        assert!(user(FileUser::Object(json!([1]))).is_err());
    }
}
