//! WorkOS (AuthKit): `{id, event, created_at, data}`, a timestamp and an HMAC in one header. Its ids are
//! never used again.
//!
//! Source: WorkOS' events reference. Every event carries the whole user; a deletion too, but no date of its
//! own.

use serde_json::Value;

use super::{Provider, Registered, Says, Unreadable, carried, moment, object, text};
use crate::config::{ProviderKind, Signing};
use crate::domain::{ChangeKind, Field, IdPolicy, Timestamp};

/// WorkOS' format.
#[derive(Debug)]
struct Workos;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "workos",
        signing: Signing::TimestampedHmac { header: "workos-signature" },
        takes_bearer_tokens: false,
        is_mapped: false,
    },
    make: |_| Box::new(Workos),
};

impl Provider for Workos {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Final
    }

    fn event_id<'a>(&self, event: &'a Value) -> Option<&'a str> {
        text(event, "id").ok()
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        text(event, "event")
    }

    fn user_pointer(&self) -> &'static str {
        "/data/id"
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<Says, Unreadable> {
        match event_type {
            "user.created" | "user.updated" => upsert(event),
            "user.deleted" => delete(event),
            _ => Ok(Says::NothingOfUsers),
        }
    }
}

const FIELDS: [(&str, Field); 7] = [
    ("name", Field::Name),
    ("first_name", Field::GivenName),
    ("last_name", Field::FamilyName),
    ("email", Field::Email),
    ("email_verified", Field::EmailVerified),
    ("profile_picture_url", Field::PictureUrl),
    ("metadata", Field::Metadata),
];

fn upsert(event: &Value) -> Result<Says, Unreadable> {
    let user = object(event, "data")?;
    let stamp = match moment(user, "updated_at")? {
        Some(stamp) => stamp,
        None => moment(event, "created_at")?
            .ok_or_else(|| Unreadable::new("neither `data.updated_at` nor `created_at` dates it"))?,
    };
    Ok(Says::Change {
        external_id: text(user, "id")?.to_owned(),
        stamp,
        kind: ChangeKind::Upsert { lifetime: moment(user, "created_at")?, facts: carried(user, &FIELDS)? },
    })
}

fn delete(event: &Value) -> Result<Says, Unreadable> {
    let user = object(event, "data")?;
    Ok(Says::Change {
        external_id: text(user, "id")?.to_owned(),
        // A deletion is final whatever its date, so one without a date still is one.
        stamp: moment(event, "created_at")?.unwrap_or(Timestamp::EPOCH),
        kind: ChangeKind::Delete,
    })
}
