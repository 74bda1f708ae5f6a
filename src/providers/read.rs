//! Decodes a verified body: the steps that are the same for every provider.

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{DecodedEvent, GONE, LISTED, Provider, Unreadable, nested_json};
use crate::domain::{Change, ChangeKind, Content, Delivery, Timestamp, UserKey, lenient_json};
use crate::signature::{self, Message, Verified};

/// What a message was read as.
#[derive(Debug)]
pub enum ReadMessage {
    /// It belongs in the journal.
    Delivery(Delivery),
    /// It is not about a user.
    NotAboutUsers {
        /// The provider's id of the message.
        message_id: String,
        /// The vendor's own name of the event.
        event_type: Option<String>,
    },
}

/// The body is not JSON. It is not kept, because no version of this program will understand it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not JSON")]
pub struct NotJson;

/// Reads a verified message of a source.
pub(super) fn read(
    source: &str,
    provider: &dyn Provider,
    message: Verified<Message>,
    received_at: Timestamp,
) -> Result<ReadMessage, NotJson> {
    let Message { id, body } = message.into_inner();
    let payload = String::from_utf8(body).map_err(|_| NotJson)?;
    let ReadEvent { id: event_id, event_type, user, decoded } = ReadEvent::read(provider, &payload)?;
    let message_id = id.or(event_id).unwrap_or_else(|| id_of(&payload));
    let content = match decoded.and_then(|event| change(source, event, received_at)) {
        Ok(Some(change)) => Content::Change(change),
        Ok(None) => return Ok(ReadMessage::NotAboutUsers { message_id, event_type }),
        Err(Unreadable(reason)) => {
            Content::Unreadable { user: user.map(|id| UserKey::new(source, id)), reason }
        }
    };
    // PostgreSQL cannot store U+0000; in JSON it is always written as an escape, so only what was decoded can
    // hold it.
    let event_type = event_type.map(|name| name.replace('\0', "")).filter(|name| !name.is_empty());
    Ok(ReadMessage::Delivery(Delivery {
        source: source.to_owned(),
        message_id,
        received_at,
        payload,
        event_type,
        content,
    }))
}

/// The id of a message that has none. The same bytes sent again are a duplicate, and a parked delivery can be
/// named.
fn id_of(payload: &str) -> String {
    format!("sha256_{}", signature::digest(payload.as_bytes()))
}

/// An event as far as it could be read.
#[derive(Debug)]
pub(super) struct ReadEvent {
    /// The vendor's id of it, where the body has one that the journal can store.
    id: Option<String>,
    /// The vendor's own name of it.
    event_type: Option<String>,
    /// The vendor's id of the user, where it is one.
    user: Option<String>,
    /// The content, or why it could not be read.
    decoded: Result<DecodedEvent, Unreadable>,
}

impl ReadEvent {
    pub(super) fn read(provider: &dyn Provider, payload: &str) -> Result<Self, NotJson> {
        if let Ok(event) = serde_json::from_str(payload) {
            return Ok(Self::of(provider, &event));
        }
        // Checked against the grammar alone, at any depth: JSON is kept even where it cannot be read.
        serde_json::from_str::<IgnoredAny>(payload).map_err(|_| NotJson)?;
        let repaired = lenient_json::without_half_surrogates(payload);
        let document = repaired.as_deref().unwrap_or(payload);
        let Ok(event) = serde_json::from_str::<Value>(document) else {
            let user = nested_json::value_at(document, provider.user_pointer()).as_ref().and_then(user_id);
            let reason = "the event is nested too deep, or has a number that cannot be read";
            return Ok(Self { user, ..Self::unreadable(reason) });
        };
        let user = event.pointer(provider.user_pointer());
        if user.and_then(Value::as_str).is_some_and(|id| id.contains(char::REPLACEMENT_CHARACTER)) {
            // Two such ids may be different ones.
            return Ok(Self::unreadable("the user's id has half of a surrogate pair"));
        }
        Ok(Self::of(provider, &event))
    }

    fn unreadable(reason: &str) -> Self {
        Self { id: None, event_type: None, user: None, decoded: Err(Unreadable::new(reason)) }
    }

    fn of(provider: &dyn Provider, event: &Value) -> Self {
        if !event.is_object() {
            return Self::unreadable("the event is not an object");
        }
        let storable = |id: &&str| !id.is_empty() && id.len() <= signature::LONGEST_ID && !id.contains('\0');
        let data = event.get("data").unwrap_or(&Value::Null);
        match event.get("type").and_then(Value::as_str) {
            Some(LISTED) => return Self::of_listed(provider, data),
            Some(GONE) => return Self::of_gone(data),
            _ => {}
        }
        let id = provider.event_id(event).filter(storable).map(str::to_owned);
        let user = event.pointer(provider.user_pointer()).and_then(user_id);
        match provider.event_type(event) {
            Ok(name) => {
                Self { id, event_type: Some(name.to_owned()), user, decoded: provider.decode(event, name) }
            }
            Err(unreadable) => Self { id, event_type: None, user, decoded: Err(unreadable) },
        }
    }
}

impl ReadEvent {
    /// A user of the provider's list, as the journal has it.
    fn of_listed(provider: &dyn Provider, user: &Value) -> Self {
        let id = user.pointer(provider.listed_id_pointer());
        Self {
            id: None,
            event_type: Some(LISTED.to_owned()),
            user: id.and_then(user_id),
            decoded: provider.listed(user),
        }
    }
}

impl ReadEvent {
    /// A user who does not exist at the provider, as the journal stores it.
    fn of_gone(data: &Value) -> Self {
        let id = data.get("id").and_then(Value::as_str).map(str::to_owned);
        let change = id.clone().zip(data.get("at").and_then(Timestamp::from_json));
        let decoded = change.map(|(external_id, stamp)| DecodedEvent::Change {
            external_id,
            stamp,
            kind: ChangeKind::Delete,
        });
        Self {
            id: None,
            event_type: Some(GONE.to_owned()),
            user: id.filter(|id| UserKey::id_error(id).is_none()),
            decoded: decoded.ok_or_else(|| Unreadable::new("`id` or `at` is missing")),
        }
    }
}

/// The id that a value is, if it can be one.
fn user_id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(id) => id.clone(),
        Value::Number(id) if !id.is_f64() => id.to_string(),
        _ => return None,
    };
    UserKey::id_error(&id).is_none().then_some(id)
}

/// The event of a listed user, as the journal has it.
fn listed_payload(user: &Value) -> String {
    // Written around the user, who is not copied for it.
    format!(r#"{{"data":{user},"type":"{LISTED}"}}"#)
}

/// A user of the provider's list, as a delivery.
///
/// Its message id is made of its content, so the same content is journaled once.
pub(super) fn listed(
    source: &str,
    provider: &dyn Provider,
    user: &Value,
    received_at: Timestamp,
) -> Delivery {
    let payload = listed_payload(user);
    let event = ReadEvent::of_listed(provider, user);
    let digest = signature::digest(payload.as_bytes());
    let content = match event.decoded.and_then(|event| change(source, event, received_at)) {
        Ok(Some(change)) => Content::Change(change),
        Ok(None) => Content::Unreadable { user: None, reason: "it is not about a user".to_owned() },
        Err(Unreadable(reason)) => {
            Content::Unreadable { user: event.user.map(|id| UserKey::new(source, id)), reason }
        }
    };
    let (id, micros) = match &content {
        Content::Change(change) => (change.user.external_id.clone(), change.stamp.as_micros()),
        Content::Unreadable { user, .. } => {
            (user.as_ref().map(|user| user.external_id.clone()).unwrap_or_default(), 0)
        }
    };
    let message_id = format!("list:{id}:{micros}:{}", &digest[..12]);
    let event_type = Some(LISTED.to_owned());
    Delivery { source: source.to_owned(), message_id, received_at, payload, event_type, content }
}

/// A user who, by the provider's answer at this time of its own clock, does not exist.
pub(super) fn gone(source: &str, external_id: &str, stamp: Timestamp, received_at: Timestamp) -> Delivery {
    let change = Change { user: UserKey::new(source, external_id), stamp, kind: ChangeKind::Delete };
    Delivery {
        source: source.to_owned(),
        message_id: format!("gone:{external_id}:{}", stamp.as_micros()),
        received_at,
        payload: json!({"type": GONE, "data": {"id": external_id, "at": stamp}}).to_string(),
        event_type: Some(GONE.to_owned()),
        content: Content::Change(change),
    }
}

fn change(source: &str, event: DecodedEvent, received_at: Timestamp) -> Result<Option<Change>, Unreadable> {
    let (external_id, stamp, kind) = match event {
        DecodedEvent::Change { external_id, stamp, kind } => (external_id, stamp, kind),
        DecodedEvent::UndatedChange { external_id, kind } => (external_id, received_at, kind),
        DecodedEvent::NotAboutUsers => return Ok(None),
    };
    match UserKey::id_error(&external_id) {
        None => Ok(Some(Change { user: UserKey::new(source, external_id), stamp, kind })),
        Some(flaw) => Err(Unreadable::new(flaw)),
    }
}
