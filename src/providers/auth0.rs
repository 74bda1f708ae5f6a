//! Auth0: CloudEvents of an event stream (with a bearer token) or of an Action (signed as Svix does).
//!
//! Source: Auth0's event types and their schemas. An update may carry a part of the user only. The id of a
//! social login is made of the id that the person has there, so it comes back when that person signs up
//! again.

use serde_json::Value;

use super::{Provider, Registered, Says, Unreadable, carried, moment, object, text};
use crate::config::{ProviderKind, Signing};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy};

/// Auth0's format.
#[derive(Debug)]
struct Auth0;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "auth0",
        signing: Signing::StandardWebhooks,
        takes_bearer_tokens: true,
        is_mapped: false,
    },
    make: |_| Box::new(Auth0),
};

impl Provider for Auth0 {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Reusable
    }

    fn event_id<'a>(&self, event: &'a Value) -> Option<&'a str> {
        text(event, "id").ok()
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        text(event, "type")
    }

    fn user_pointer(&self) -> &'static str {
        "/data/object/user_id"
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<Says, Unreadable> {
        // Sent by the dashboard to try a stream out: its user is invented.
        if event.get("a0purpose").and_then(Value::as_str) == Some("test") {
            return Ok(Says::NothingOfUsers);
        }
        // An older page of Auth0's has the longer names.
        match event_type.strip_prefix("com.auth0.").unwrap_or(event_type) {
            "user.created" => upsert(event, Carries::WholeUser),
            "user.updated" => upsert(event, Carries::Changes),
            "user.deleted" => delete(event),
            _ => Ok(Says::NothingOfUsers),
        }
    }
}

/// How much of a user an event carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carries {
    WholeUser,
    Changes,
}

fn upsert(event: &Value, carries: Carries) -> Result<Says, Unreadable> {
    let user = user(event)?;
    let created_at = moment(user, "created_at")?.ok_or_else(|| {
        Unreadable::new("`created_at`, which tells one life of an id from the next, is missing")
    })?;
    let stamp = match moment(user, "updated_at")? {
        Some(stamp) => stamp,
        None => moment(event, "time")?
            .ok_or_else(|| Unreadable::new("neither `data.object.updated_at` nor `time` dates it"))?,
    };
    Ok(Says::Change {
        external_id: text(user, "user_id")?.to_owned(),
        stamp,
        kind: ChangeKind::Upsert { lifetime: Some(created_at), facts: facts(user, carries)? },
    })
}

fn delete(event: &Value) -> Result<Says, Unreadable> {
    let user = user(event)?;
    let stamp = match moment(user, "deleted_at")? {
        Some(stamp) => stamp,
        None => moment(event, "time")?
            .ok_or_else(|| Unreadable::new("neither `data.object.deleted_at` nor `time` dates it"))?,
    };
    Ok(Says::Change { external_id: text(user, "user_id")?.to_owned(), stamp, kind: ChangeKind::Delete })
}

fn user(event: &Value) -> Result<&Value, Unreadable> {
    object(object(event, "data")?, "object")
}

/// Never `app_metadata`, which is not for the user's eyes.
const FIELDS: [(&str, Field); 10] = [
    ("name", Field::Name),
    ("given_name", Field::GivenName),
    ("family_name", Field::FamilyName),
    ("nickname", Field::Nickname),
    ("email", Field::Email),
    ("email_verified", Field::EmailVerified),
    ("phone_number", Field::PhoneNumber),
    ("phone_verified", Field::PhoneNumberVerified),
    ("picture", Field::PictureUrl),
    ("user_metadata", Field::Metadata),
];

fn facts(user: &Value, carries: Carries) -> Result<Facts, Unreadable> {
    let mut facts = carried(user, &FIELDS)?;
    // The username stands in where there is no nickname. That an update does not carry one does not mean
    // that.
    let nickname = user.get("nickname");
    let has_none = nickname.map_or(carries == Carries::WholeUser, Value::is_null);
    if let Some(username) = user.get("username").filter(|_| has_none) {
        facts.set(Field::Nickname, username.clone())?;
    }
    Ok(facts)
}
