//! Clerk: `{type, timestamp, data}`, signed by Svix. Its ids are never used again.
//!
//! Source: Clerk's published webhook schema. `user.created` and `user.updated` carry the whole user.

use serde_json::Value;

use super::{Provider, Registered, Says, Unreadable, carried, moment, object, text};
use crate::config::{ProviderKind, Signing};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy, Timestamp};

/// Clerk's format.
#[derive(Debug)]
struct Clerk;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "clerk",
        signing: Signing::StandardWebhooks,
        takes_bearer_tokens: false,
        is_mapped: false,
    },
    make: |_| Box::new(Clerk),
};

impl Provider for Clerk {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Final
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        text(event, "type")
    }

    fn user_pointer(&self) -> &'static str {
        "/data/id"
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<Says, Unreadable> {
        match event_type {
            "user.created" | "user.updated" => upsert(event),
            "user.deleted" => delete(event),
            // Forty-odd types exist and more come; only these three say who a user is.
            _ => Ok(Says::NothingOfUsers),
        }
    }
}

fn upsert(event: &Value) -> Result<Says, Unreadable> {
    let user = object(event, "data")?;
    let stamp = match moment(user, "updated_at")? {
        Some(stamp) => stamp,
        None => moment(event, "timestamp")?
            .ok_or_else(|| Unreadable::new("neither `data.updated_at` nor `timestamp` dates it"))?,
    };
    Ok(Says::Change {
        external_id: text(user, "id")?.to_owned(),
        stamp,
        kind: ChangeKind::Upsert { lifetime: moment(user, "created_at")?, facts: facts(user)? },
    })
}

fn delete(event: &Value) -> Result<Says, Unreadable> {
    let user = object(event, "data")?;
    Ok(Says::Change {
        external_id: text(user, "id")?.to_owned(),
        // A deletion is final whatever its date, so one without a date still is one.
        stamp: moment(event, "timestamp")?.unwrap_or(Timestamp::EPOCH),
        kind: ChangeKind::Delete,
    })
}

const FIELDS: [(&str, Field); 5] = [
    ("first_name", Field::GivenName),
    ("last_name", Field::FamilyName),
    ("username", Field::Nickname),
    ("image_url", Field::PictureUrl),
    ("public_metadata", Field::Metadata),
];

fn facts(user: &Value) -> Result<Facts, Unreadable> {
    let mut facts = carried(user, &FIELDS)?;
    primary(user, &EMAIL, &mut facts)?;
    primary(user, &PHONE, &mut facts)?;
    Ok(facts)
}

/// A list of contacts of which one is the primary: the key of its id, the list, the contact's own key, our
/// fields.
struct Contacts {
    primary: &'static str,
    list: &'static str,
    contact: &'static str,
    field: Field,
    verified: Field,
}

const EMAIL: Contacts = Contacts {
    primary: "primary_email_address_id",
    list: "email_addresses",
    contact: "email_address",
    field: Field::Email,
    verified: Field::EmailVerified,
};

const PHONE: Contacts = Contacts {
    primary: "primary_phone_number_id",
    list: "phone_numbers",
    contact: "phone_number",
    field: Field::PhoneNumber,
    verified: Field::PhoneNumberVerified,
};

/// Adds the primary contact: the entry that the user names by id, never the first of the list.
fn primary(user: &Value, contacts: &Contacts, facts: &mut Facts) -> Result<(), Unreadable> {
    let Some(id) = user.get(contacts.primary) else { return Ok(()) };
    if !(id.is_string() || id.is_null()) {
        return Err(Unreadable::new(format!("`{}` is no text", contacts.primary)));
    }
    let entries = match user.get(contacts.list) {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(Unreadable::new(format!("`{}` is no list", contacts.list))),
    };
    let named = entries.iter().find(|entry| id.is_string() && entry.get("id") == Some(id));
    let (contact, verified) = match named {
        Some(entry) => {
            let status = entry.pointer("/verification/status").and_then(Value::as_str);
            (
                entry.get(contacts.contact).cloned().unwrap_or_default(),
                Value::Bool(status == Some("verified")),
            )
        }
        None => (Value::Null, Value::Null),
    };
    facts.set(contacts.field, contact)?;
    facts.set(contacts.verified, verified)?;
    Ok(())
}
