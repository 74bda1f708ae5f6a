//! Any other sender: what its payloads mean is described in `[sources.map]`, by JSON pointers (RFC 6901).

use serde_json::Value;

use super::{Provider, Registered, Says, Unreadable, moment_in};
use crate::config::{ProviderKind, Signing, SourceMap};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy, Timestamp};

/// A format that a map describes.
#[derive(Debug)]
struct Standard(SourceMap);

/// A source that only answers for tokens: it has no map, and is sent nothing.
#[derive(Debug)]
struct Unmapped;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "standard",
        signing: Signing::StandardWebhooks,
        takes_bearer_tokens: true,
        is_mapped: true,
    },
    make: |map| match map {
        Some(map) => Box::new(Standard(map.clone())),
        None => Box::new(Unmapped),
    },
};

impl Provider for Standard {
    fn ids(&self) -> IdPolicy {
        self.0.ids
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        let pointer = &self.0.event_type;
        let value = found(event, pointer)?;
        value.as_str().ok_or_else(|| Unreadable::new(format!("`{pointer}` is no text")))
    }

    fn user_pointer(&self) -> &str {
        &self.0.id
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<Says, Unreadable> {
        let is_in = |types: &[String]| types.iter().any(|name| name == event_type);
        if is_in(&self.0.upsert) {
            self.upsert(event)
        } else if is_in(&self.0.delete) {
            self.delete(event)
        } else {
            Ok(Says::NothingOfUsers)
        }
    }
}

impl Standard {
    fn upsert(&self, event: &Value) -> Result<Says, Unreadable> {
        let map = &self.0;
        let lifetime =
            map.created_at.as_ref().map(|pointer| moment_at(event, pointer)).transpose()?.flatten();
        if lifetime.is_none() && !map.ids.is_final() {
            return Err(Unreadable::new(
                "`created_at`, which tells one life of an id from the next, is missing",
            ));
        }
        let stamp = moment_at(event, &map.updated_at)?
            .ok_or_else(|| Unreadable::new(format!("`{}`, which dates it, is missing", map.updated_at)))?;
        let kind = ChangeKind::Upsert { lifetime, facts: self.facts(event)? };
        Ok(Says::Change { external_id: self.id(event)?, stamp, kind })
    }

    fn delete(&self, event: &Value) -> Result<Says, Unreadable> {
        let map = &self.0;
        let pointers = map.deleted_at.iter().chain([&map.updated_at]);
        let mut moments = pointers.map(|pointer| moment_at(event, pointer));
        let stamp = match moments.find_map(Result::transpose).transpose()? {
            Some(stamp) => stamp,
            // A deletion that is final is so whatever its date.
            None if map.ids.is_final() => Timestamp::EPOCH,
            None => return Err(Unreadable::new("nothing dates the deletion")),
        };
        Ok(Says::Change { external_id: self.id(event)?, stamp, kind: ChangeKind::Delete })
    }

    /// A text, or the number that some databases have for an id.
    fn id(&self, event: &Value) -> Result<String, Unreadable> {
        match found(event, &self.0.id)? {
            Value::String(id) => Ok(id.clone()),
            Value::Number(id) if !id.is_f64() => Ok(id.to_string()),
            _ => Err(Unreadable::new(format!("`{}` is neither text nor a whole number", self.0.id))),
        }
    }

    fn facts(&self, event: &Value) -> Result<Facts, Unreadable> {
        let mut facts = Facts::default();
        for (field, pointer) in &self.0.profile {
            if let Some(value) = event.pointer(pointer) {
                facts.set(*field, fact(*field, value))?;
            }
        }
        Ok(facts)
    }
}

/// Some senders tell when an address was verified, not whether: a moment is a yes.
fn fact(field: Field, value: &Value) -> Value {
    let is_moment = value.as_str().and_then(Timestamp::parse).is_some();
    if field.is_flag() && is_moment { Value::Bool(true) } else { value.clone() }
}

fn found<'a>(event: &'a Value, pointer: &str) -> Result<&'a Value, Unreadable> {
    event.pointer(pointer).ok_or_else(|| Unreadable::new(format!("`{pointer}` is missing")))
}

fn moment_at(event: &Value, pointer: &str) -> Result<Option<Timestamp>, Unreadable> {
    moment_in(event.pointer(pointer), pointer)
}

impl Provider for Unmapped {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Final
    }

    fn event_type<'a>(&self, _: &'a Value) -> Result<&'a str, Unreadable> {
        Err(Unreadable::new("the source has no [sources.map]"))
    }

    fn user_pointer(&self) -> &'static str {
        "/id"
    }

    fn decode(&self, _: &Value, _: &str) -> Result<Says, Unreadable> {
        Ok(Says::NothingOfUsers)
    }
}
