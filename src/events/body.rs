//! The body of an event: made when the event is sent, from the row as it is at that moment.

use std::collections::HashMap;

use serde::Serialize;

use crate::domain::{EventKind, LoggedEvent, Timestamp, User, UserId, UserView};
use crate::store::{Message, Store, StoreError};

/// The body of an event, in the form of Standard Webhooks.
#[derive(Debug, Serialize)]
pub struct EventBody {
    /// `user.created`, `user.updated`, `user.deleted`, `users.resync` or `users.test`.
    r#type: &'static str,
    /// The provider's time of the change.
    timestamp: Timestamp,
    data: Data,
    /// Its sequence number in the log, as text.
    sequence: String,
    /// The names of the changed fields, of an update.
    changed: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Data {
    User(Box<UserView>),
    #[serde(rename_all = "camelCase")]
    Deleted {
        id: String,
        source: String,
        external_id: String,
    },
    Nothing {},
}

impl EventBody {
    /// The body of an event; `None` if its user was deleted meanwhile: a later event reports the deletion.
    pub fn of_event(logged: &LoggedEvent, user: Option<User>) -> Option<Self> {
        let event = &logged.event;
        let (timestamp, data) = match (event.kind, user) {
            (EventKind::Deleted, _) => {
                let id = event.id.to_string();
                let (source, external_id) = (event.user.source.clone(), event.user.external_id.clone());
                (event.stamp, Data::Deleted { id, source, external_id })
            }
            (_, Some(user)) => (user.updated_at, Data::User(Box::new(user.into()))),
            (_, None) => return None,
        };
        let (sequence, changed) = (logged.sequence.to_string(), event.changed.clone());
        Some(Self { r#type: event.kind.name(), timestamp, data, sequence, changed })
    }

    /// Reports that events up to this sequence number are missing.
    pub fn resync(sequence: i64, now: Timestamp) -> Self {
        Self::without_user("users.resync", sequence, now)
    }

    /// A test message, to find out whether an endpoint can be reached.
    pub fn test(now: Timestamp) -> Self {
        Self::without_user("users.test", 0, now)
    }

    fn without_user(r#type: &'static str, sequence: i64, timestamp: Timestamp) -> Self {
        let (sequence, data) = (sequence.to_string(), Data::Nothing {});
        Self { r#type, timestamp, data, sequence, changed: Vec::new() }
    }

    /// The body of a message; `None` if its user was deleted meanwhile.
    pub fn of_message(message: &Message, user: Option<User>, now: Timestamp) -> Option<Self> {
        match message {
            Message::Event(logged) => Self::of_event(logged, user),
            Message::Resync { sequence, .. } => Some(Self::resync(*sequence, now)),
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // The body is plain data, so serialization cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The users of these events, as their rows are now.
pub(super) async fn users_of<'a>(
    store: &Store,
    events: impl Iterator<Item = &'a LoggedEvent>,
) -> Result<HashMap<UserId, User>, StoreError> {
    let ids: Vec<UserId> =
        events.filter(|it| it.event.kind != EventKind::Deleted).map(|it| it.event.id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let users = store.users().by_ids(&ids).await?;
    Ok(users.into_iter().map(|user| (user.id, user)).collect())
}

/// The bodies of these events as of now; events whose user was deleted meanwhile are left out.
pub(super) async fn bodies(store: &Store, events: &[LoggedEvent]) -> Result<Vec<EventBody>, StoreError> {
    let mut rows = users_of(store, events.iter()).await?;
    Ok(events.iter().filter_map(|it| EventBody::of_event(it, rows.remove(&it.event.id))).collect())
}
