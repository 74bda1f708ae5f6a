//! Personal data is hidden until someone asks for it, which the audit records. Private metadata is never shown.

use serde_json::{Map, Value};

use crate::domain::{Field, Profile};

/// Members of payloads whose names contain one of these, whatever their case and without underscores, are never shown:
/// they are private at the provider, or secrets.
const PRIVATE: [&str; 8] =
    ["privatemetadata", "appmetadata", "password", "secret", "token", "backupcode", "apikey", "credential"];

/// A value of a field, for people.
pub(super) fn shown(field: Field, value: &Value, is_revealed: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) if is_revealed => text.clone(),
        Value::String(text) => match field {
            Field::Email => email(text),
            Field::PhoneNumber => tail(text),
            Field::PictureUrl => "hidden".to_owned(),
            // Some providers put the address where there is no name.
            _ if text.contains('@') => email(text),
            _ => text.clone(),
        },
        Value::Object(_) | Value::Array(_) if !is_revealed => "hidden".to_owned(),
        other => other.to_string(),
    }
}

/// The name of a user.
pub(super) fn name(profile: &Profile) -> String {
    match profile.name.as_deref().or(profile.nickname.as_deref()) {
        None => "without a name".to_owned(),
        // Some providers put the address where there is no name.
        Some(name) if name.contains('@') => email(name),
        Some(name) => name.to_owned(),
    }
}

/// `a***@example.com`
pub(super) fn email(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((name, host)) => format!("{}***@{host}", name.chars().take(1).collect::<String>()),
        None => "***".to_owned(),
    }
}

/// Only the last two digits.
fn tail(number: &str) -> String {
    let count = number.chars().count();
    format!("***{}", number.chars().skip(count.saturating_sub(2)).collect::<String>())
}

/// A payload as it may be shown: indented, without private members.
pub(super) fn payload(json: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(json) else {
        return "It is nested too deep, or has a number that cannot be read, so it is not shown.".to_owned();
    };
    for_each_object(&mut value, hide_private);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// The same without those members, so that it can be sent again. `None` if it is not shown.
pub(super) fn without_private(json: &str) -> Option<String> {
    let mut value = serde_json::from_str(json).ok()?;
    for_each_object(&mut value, |members| members.retain(|name, _| !is_private(name)));
    serde_json::to_string_pretty(&value).ok()
}

fn hide_private(members: &mut Map<String, Value>) {
    for (_, member) in members.iter_mut().filter(|(name, member)| is_private(name) && !member.is_null()) {
        *member = Value::String("(not shown)".to_owned());
    }
}

/// Changes the members of every object in a value.
fn for_each_object(value: &mut Value, change: fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            change(members);
            members.values_mut().for_each(|member| for_each_object(member, change));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| for_each_object(element, change)),
        _ => {}
    }
}

fn is_private(name: &str) -> bool {
    let name = name.replace(['_', '-'], "").to_ascii_lowercase();
    PRIVATE.iter().any(|private| name.contains(private))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{payload, shown, without_private};
    use crate::domain::{Field, Profile};

    #[test]
    fn personal_data_is_hidden_until_it_is_asked_for() {
        for (field, value, masked) in [
            (Field::Email, json!("ada@example.com"), "a***@example.com"),
            (Field::Email, json!("not an address"), "***"),
            (Field::Email, json!("@"), "***@"),
            (Field::PhoneNumber, json!("+441632960123"), "***23"),
            (Field::Metadata, json!({"plan": "pro"}), "hidden"),
            (Field::GivenName, json!("Ada"), "Ada"),
            (Field::Name, json!("ada@example.com"), "a***@example.com"),
            (Field::Email, json!(null), "null"),
        ] {
            assert_eq!(shown(field, &value, false), masked);
        }
        assert_eq!(shown(Field::Email, &json!("ada@example.com"), true), "ada@example.com");
        assert_eq!(shown(Field::Metadata, &json!({"plan": "pro"}), true), r#"{"plan":"pro"}"#);
    }

    #[test]
    fn a_name_that_is_an_address_is_hidden_too() {
        let of = |name: Option<&str>, nickname: Option<&str>| {
            let [name, nickname] = [name, nickname].map(|text| text.map(str::to_owned));
            super::name(&Profile { name, nickname, ..Profile::default() })
        };
        assert_eq!(of(Some("Ada"), Some("ada@example.com")), "Ada");
        assert_eq!(of(Some("ada@example.com"), None), "a***@example.com");
        assert_eq!(of(None, Some("ada@example.com")), "a***@example.com");
        assert_eq!(of(None, None), "without a name");
    }

    #[test]
    fn private_members_are_never_shown_at_any_depth() {
        let shown = payload(r#"{"data":[{"private_metadata":{"a":1},"app_metadata":null,"id":"user_1"}]}"#);
        assert!(
            shown.contains("user_1") && shown.contains("(not shown)") && !shown.contains("\"a\""),
            "{shown}"
        );
        for name in
            ["privateMetadata", "encrypted_password", "passwordHash", "id_token", "api_key", "backup_codes"]
        {
            let json = format!(r#"{{"{name}":"hunter2","data":[{{"{name}":"hunter2","id":"user_1"}}]}}"#);
            assert!(!payload(&json).contains("hunter2"), "{name}");
            let sent: serde_json::Value = serde_json::from_str(&without_private(&json).unwrap()).unwrap();
            assert_eq!(sent, json!({"data": [{"id": "user_1"}]}));
        }
        assert!(!payload(&"[".repeat(500)).contains('['));
    }
}
