//! One verified message from a source, and its outcome.

use serde::{Deserialize, Serialize};

use super::{Change, Timestamp, UserKey};

/// A verified message that has a place in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Name of the source that sent it.
    pub source: String,
    /// The provider's id of the message, the same over retries and resends.
    pub message_id: String,
    /// When it was received here.
    pub received_at: Timestamp,
    /// The body as received.
    pub payload: String,
    /// The provider's own name of the event, where it could be read.
    pub event_type: Option<String>,
    /// The content that was read.
    pub content: Content,
}

/// Which delivery: what a repetition is recognised by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// Name of the source.
    pub source: String,
    /// The provider's id of the message.
    pub message_id: String,
}

/// What a verified message was read as.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A change of one user.
    Change(Change),
    /// About a user, but not readable; stored, so that a later version can read it again.
    Unreadable {
        /// The user that it is about, if that could be read.
        user: Option<UserKey>,
        /// Why, without any value from the message.
        reason: String,
    },
}

impl Delivery {
    /// What a repetition of it is recognised by.
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey { source: self.source.clone(), message_id: self.message_id.clone() }
    }

    /// The user that it is about, if that could be read.
    pub fn user(&self) -> Option<&UserKey> {
        match &self.content {
            Content::Change(change) => Some(&change.user),
            Content::Unreadable { user, .. } => user.as_ref(),
        }
    }

    /// The change, if it could be read.
    pub fn change(&self) -> Option<&Change> {
        match &self.content {
            Content::Change(change) => Some(change),
            Content::Unreadable { .. } => None,
        }
    }
}

impl Delivery {
    /// The same delivery in ASCII alone, for a database whose encoding lacks some of its characters: the payload means
    /// the same, and what cannot be written so is left out.
    #[must_use]
    pub fn into_ascii(self) -> Self {
        let Self { payload, event_type, content, .. } = self;
        let content = match content {
            Content::Unreadable { user, reason } => {
                let user = user.filter(|user| user.external_id.is_ascii());
                Content::Unreadable { user, reason }
            }
            change @ Content::Change(_) => change,
        };
        let event_type = event_type.filter(|name| name.is_ascii());
        Self { payload: escape_non_ascii(&payload), event_type, content, ..self }
    }
}

/// JSON with every non-ASCII character as a `\u` escape. They occur only in strings, where that is equivalent.
fn escape_non_ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            escaped.push_str("\\u");
            escaped.extend(
                [12, 8, 4, 0]
                    .map(|shift| char::from_digit(u32::from(*unit >> shift & 0xf), 16).unwrap_or_default()),
            );
        }
    }
    escaped
}

/// The outcome of a verified message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It changed what is known of the user.
    Applied,
    /// It contains nothing new.
    Stale,
    /// The message was received before.
    Duplicate,
    /// It is not about a user.
    Ignored,
    /// It could not be read or written; kept to be replayed.
    Parked,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Applied, Self::Stale, Self::Duplicate, Self::Ignored, Self::Parked];

    /// Its name in answers, in the journal and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Parked => "parked",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::escape_non_ascii;

    proptest! {
        #[test]
        fn json_in_ascii_means_the_same(text in any::<String>(), key in any::<String>()) {
            let json = serde_json::json!({ key: [text] });
            let escaped = escape_non_ascii(&json.to_string());
            prop_assert!(escaped.is_ascii());
            prop_assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), json);
        }
    }
}
