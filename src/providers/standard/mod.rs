//! Any other sender. Its payloads are described in `[sources.map]`, by JSON pointers (RFC 6901).

use serde_json::Value;

use super::{Advice, DecodedEvent, Provider, Registered, Unreadable, time_of};
use crate::config::{ProviderKind, Signing, SourceMap};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy, Kind, Timestamp};

/// A format that is described by a map.
#[derive(Debug)]
struct Standard(SourceMap);

/// A source that has no map: it only answers for tokens, and receives no deliveries.
#[derive(Debug)]
struct Unmapped;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "standard",
        signing: Signing::StandardWebhooks,
        takes_bearer_tokens: true,
        is_mapped: true,
        variables: None,
        shared_issuers: &[],
    },
    make: |map| match map {
        Some(map) => Box::new(Standard(map.clone())),
        None => Box::new(Unmapped),
    },
    advice: Advice::NONE,
};

impl Provider for Standard {
    fn ids(&self) -> IdPolicy {
        self.0.ids
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        let pointer = &self.0.event_type;
        let value = found(event, pointer)?;
        value.as_str().ok_or_else(|| Unreadable::new(format!("`{pointer}` is not a string")))
    }

    fn user_pointer(&self) -> &str {
        &self.0.id
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<DecodedEvent, Unreadable> {
        let is_in = |types: &[String]| types.iter().any(|name| name == event_type);
        if is_in(&self.0.upsert) {
            self.upsert(event)
        } else if is_in(&self.0.delete) {
            self.delete(event)
        } else {
            Ok(DecodedEvent::NotAboutUsers)
        }
    }
}

impl Standard {
    fn upsert(&self, event: &Value) -> Result<DecodedEvent, Unreadable> {
        let map = &self.0;
        let lifetime =
            map.created_at.as_ref().map(|pointer| mapped_time(event, pointer)).transpose()?.flatten();
        if lifetime.is_none() && !map.ids.is_final() {
            return Err(Unreadable::new(
                "`created_at`, which tells one lifetime of an id from the next, is missing",
            ));
        }
        let stamp = mapped_time(event, &map.updated_at)?.ok_or_else(|| {
            Unreadable::new(format!("`{}`, which holds its time, is missing", map.updated_at))
        })?;
        let kind = ChangeKind::Upsert { lifetime, facts: self.facts(event)? };
        Ok(DecodedEvent::Change { external_id: self.id(event)?, stamp, kind })
    }

    fn delete(&self, event: &Value) -> Result<DecodedEvent, Unreadable> {
        let map = &self.0;
        let pointers = map.deleted_at.iter().chain([&map.updated_at]);
        let mut times = pointers.map(|pointer| mapped_time(event, pointer));
        let stamp = match times.find_map(Result::transpose).transpose()? {
            Some(stamp) => stamp,
            // A final deletion is applied whenever it happened.
            None if map.ids.is_final() => Timestamp::EPOCH,
            None => return Err(Unreadable::new("the deletion has no time")),
        };
        Ok(DecodedEvent::Change { external_id: self.id(event)?, stamp, kind: ChangeKind::Delete })
    }

    /// A string, or a whole number, which some databases use as an id.
    fn id(&self, event: &Value) -> Result<String, Unreadable> {
        match found(event, &self.0.id)? {
            Value::String(id) => Ok(id.clone()),
            Value::Number(id) if !id.is_f64() => Ok(id.to_string()),
            _ => Err(Unreadable::new(format!("`{}` is neither a string nor a whole number", self.0.id))),
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

/// Some senders say when an address was verified, not whether it is: a time means yes.
fn fact(field: Field, value: &Value) -> Value {
    let is_time = value.as_str().and_then(Timestamp::parse).is_some();
    if field.kind() == Kind::Flag && is_time { Value::Bool(true) } else { value.clone() }
}

fn found<'a>(event: &'a Value, pointer: &str) -> Result<&'a Value, Unreadable> {
    event.pointer(pointer).ok_or_else(|| Unreadable::new(format!("`{pointer}` is missing")))
}

fn mapped_time(event: &Value, pointer: &str) -> Result<Option<Timestamp>, Unreadable> {
    time_of(event.pointer(pointer), pointer)
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

    fn decode(&self, _: &Value, _: &str) -> Result<DecodedEvent, Unreadable> {
        Ok(DecodedEvent::NotAboutUsers)
    }
}
