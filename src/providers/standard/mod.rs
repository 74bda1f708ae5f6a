//! Any other sender. Its payloads are described in `[sources.map]`, by JSON pointers (RFC 6901).

mod directory;
mod link;
mod watch;

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Advice, DecodedEvent, Provider, Registered, Unreadable, listed_stamp, time_of};
use crate::config::{ChangeTime, ListMap, ProviderKind, Signing, SourceMap};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy, Kind, Timestamp};

/// A format that is described by a map.
#[derive(Debug)]
struct Standard(SourceMap, Option<ListMap>);

/// A source that has no map: it receives no deliveries.
#[derive(Debug)]
struct Unmapped(Option<ListMap>);

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "standard",
        signing: Signing::StandardWebhooks,
        takes_bearer_tokens: true,
        is_mapped: true,
        api_credentials: &[],
        variables: None,
        shared_issuers: &[],
        domain_key_prefixes: &[],
        dashboards: &[
            ("supabase.com", "\"https://PROJECT.supabase.co/auth/v1\""),
            ("app.kinde.com", "\"https://NAME.kinde.com\""),
            ("portal.azure.com", "\"https://login.microsoftonline.com/TENANT/v2.0\""),
            ("console.firebase.google.com", "\"https://securetoken.google.com/PROJECT\""),
        ],
        // Okta's console has a host of its own.
        similar_hosts: &[("-admin.okta.com", ".okta.com"), ("-admin.oktapreview.com", ".oktapreview.com")],
    },
    make: |source| {
        let list = source.list.as_ref().map(|list| list.map.clone());
        match &source.map {
            Some(map) => Box::new(Standard(map.clone(), list)),
            None => Box::new(Unmapped(list)),
        }
    },
    api: directory::api,
    is_own: |_| false,
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
        if !self.is_about_a_user(event) {
            Ok(DecodedEvent::NotAboutUsers)
        } else if is_in(&self.0.upsert) {
            self.upsert(event)
        } else if is_in(&self.0.delete) {
            self.delete(event)
        } else {
            Ok(DecodedEvent::NotAboutUsers)
        }
    }

    fn listed_id_pointer(&self) -> &str {
        listed_id_pointer(self.1.as_ref())
    }

    fn listed(&self, user: &Value) -> Result<DecodedEvent, Unreadable> {
        listed(self.1.as_ref(), user)
    }
}

/// Without a list, an export file has its users as the provider's API does, which mostly calls the id so.
fn listed_id_pointer(list: Option<&ListMap>) -> &str {
    list.map_or("/id", |map| &map.id)
}

fn listed(list: Option<&ListMap>, user: &Value) -> Result<DecodedEvent, Unreadable> {
    let map = list.ok_or_else(|| Unreadable::new("the source has no [sources.list.map]"))?;
    let time = |pointer: &Option<String>| match pointer {
        Some(pointer) => mapped_time(user, pointer),
        None => Ok(None),
    };
    let lifetime = time(&map.created_at)?;
    let stamp = listed_stamp(time(&map.updated_at)?, lifetime);
    let facts = facts(user, &map.profile)?;
    Ok(DecodedEvent::Change {
        external_id: id(user, &map.id)?,
        stamp,
        kind: ChangeKind::Upsert { lifetime, event_time: None, facts },
    })
}

impl Standard {
    /// Whether the event has what `only` asks for. A number or a flag is compared as JSON writes it.
    fn is_about_a_user(&self, event: &Value) -> bool {
        self.0.only.iter().all(|(pointer, expected)| match event.pointer(pointer) {
            Some(Value::String(text)) => text == expected,
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                expected.parse().is_ok_and(|expected: Value| expected == *value)
            }
            _ => false,
        })
    }

    fn upsert(&self, event: &Value) -> Result<DecodedEvent, Unreadable> {
        let map = &self.0;
        let lifetime =
            map.created_at.as_ref().map(|pointer| mapped_time(event, pointer)).transpose()?.flatten();
        if lifetime.is_none() && !map.ids.is_final() {
            return Err(Unreadable::new(
                "`created_at` is missing; it is required, because ids can be reused",
            ));
        }
        let stamp = match &map.updated_at {
            ChangeTime::At(pointer) => Some(mapped_time(event, pointer)?.ok_or_else(|| {
                Unreadable::new(format!("`{pointer}`, the time of the change, is missing"))
            })?),
            ChangeTime::Delivery => None,
        };
        let kind = ChangeKind::Upsert { lifetime, event_time: None, facts: facts(event, &map.profile)? };
        Ok(dated(id(event, &map.id)?, stamp, kind))
    }

    fn delete(&self, event: &Value) -> Result<DecodedEvent, Unreadable> {
        let map = &self.0;
        let of_changes = match &map.updated_at {
            ChangeTime::At(pointer) => Some(pointer),
            ChangeTime::Delivery => None,
        };
        let pointers = map.deleted_at.iter().chain(of_changes);
        let mut times = pointers.map(|pointer| mapped_time(event, pointer));
        let stamp = match times.find_map(Result::transpose).transpose()? {
            None if map.updated_at == ChangeTime::Delivery => None,
            // A final deletion is applied whenever it happened.
            None if map.ids.is_final() => Some(Timestamp::EPOCH),
            None => return Err(Unreadable::new("the deletion has no time")),
            stamp => stamp,
        };
        Ok(dated(id(event, &map.id)?, stamp, ChangeKind::Delete))
    }
}

/// A string, or a whole number, which some databases use as an id.
fn id(event: &Value, pointer: &str) -> Result<String, Unreadable> {
    match found(event, pointer)? {
        Value::String(id) => Ok(id.clone()),
        Value::Number(id) if !id.as_str().contains(['.', 'e', 'E']) => Ok(id.to_string()),
        _ => Err(Unreadable::new(format!("`{pointer}` is neither a string nor a whole number"))),
    }
}

/// The change; without a stamp it gets the time of its delivery.
fn dated(external_id: String, stamp: Option<Timestamp>, kind: ChangeKind) -> DecodedEvent {
    match stamp {
        Some(stamp) => DecodedEvent::Change { external_id, stamp, kind },
        None => DecodedEvent::UndatedChange { external_id, kind },
    }
}

fn facts(event: &Value, profile: &BTreeMap<Field, String>) -> Result<Facts, Unreadable> {
    let mut facts = Facts::default();
    for (field, pointer) in profile {
        if let Some(value) = event.pointer(pointer) {
            facts.set(*field, fact(*field, value))?;
        }
    }
    Ok(facts)
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

    fn listed_id_pointer(&self) -> &str {
        listed_id_pointer(self.0.as_ref())
    }

    fn listed(&self, user: &Value) -> Result<DecodedEvent, Unreadable> {
        listed(self.0.as_ref(), user)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{SECRET, load_with};
    use super::super::{ReadMessage, Source};
    use crate::domain::{ChangeKind, Content, Timestamp};
    use crate::signature::{Message, Verified};

    fn source(map: &str) -> Source {
        let file = format!(
            "[[sources]]\nname = 'one'\nprovider = 'standard'\nwebhook_secrets = ['{SECRET}']\n[sources.map]\n\
             type = '/action'\nupsert = ['UPDATE']\ndelete = ['DELETE']\nid = '/id'\n{map}"
        );
        Source::new(&load_with(&file, &[]).unwrap().sources[0]).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn read(source: &Source, event: &Value, received_at: Timestamp) -> ReadMessage {
        let message = Message { id: Some("msg_1".to_owned()), body: event.to_string().into_bytes() };
        source.read(Verified::trusted(message), received_at).unwrap()
    }

    /// The stamp of the change, if there is a change.
    fn stamp(source: &Source, event: &Value, received_at: Timestamp) -> Option<Timestamp> {
        match read(source, event, received_at) {
            ReadMessage::Delivery(delivery) => delivery.change().map(|change| change.stamp),
            ReadMessage::NotAboutUsers { .. } => None,
        }
    }

    #[test]
    fn events_about_other_objects_are_ignored_where_the_map_asks_for_users() {
        let map = "updated_at = '/at'\nonly = { '/object_type' = 'user', '/live' = 'true' }";
        let source = source(map);
        let event = |object: Value, live: Value| json!({"action": "UPDATE", "id": "1", "at": 5, "object_type": object, "live": live});
        assert_eq!(stamp(&source, &event(json!("user"), json!(true)), at(9)), Some(at(5)));
        for (object, live) in [
            (json!("organization"), json!(true)),
            (json!("session"), json!(true)),
            (json!("User"), json!(true)),
            (json!(null), json!(true)),
            (json!(["user"]), json!(true)),
            (json!("user"), json!(false)),
        ] {
            let read = read(&source, &event(object.clone(), live), at(9));
            assert!(matches!(read, ReadMessage::NotAboutUsers { .. }), "{object}");
        }
        // What would be parked, if it were about a user.
        let without = json!({"action": "DELETE", "live": true});
        assert!(matches!(read(&source, &without, at(9)), ReadMessage::NotAboutUsers { .. }));
    }

    #[test]
    fn a_sender_without_a_time_of_the_change_is_dated_by_the_delivery_where_the_map_says_so() {
        let source = source("updated_at = 'delivery'\ndeleted_at = '/gone'");
        let event = json!({"action": "UPDATE", "id": "1"});
        assert_eq!(stamp(&source, &event, at(7)), Some(at(7)));
        assert_eq!(stamp(&source, &json!({"action": "DELETE", "id": "1"}), at(8)), Some(at(8)));
        let dated = json!({"action": "DELETE", "id": "1", "gone": 6});
        assert_eq!(stamp(&source, &dated, at(8)), Some(at(6)));
        let ReadMessage::Delivery(delivery) = read(&source, &event, at(7)) else { panic!() };
        assert!(
            matches!(delivery.content, Content::Change(change) if matches!(change.kind, ChangeKind::Upsert { .. }))
        );
    }

    #[test]
    fn a_change_without_its_time_is_parked_where_the_map_has_a_pointer_to_it() {
        let source = source("updated_at = '/at'");
        let ReadMessage::Delivery(delivery) = read(&source, &json!({"action": "UPDATE", "id": "1"}), at(7))
        else {
            panic!()
        };
        assert!(matches!(delivery.content, Content::Unreadable { reason, .. } if reason.contains("`/at`")));
    }
}
