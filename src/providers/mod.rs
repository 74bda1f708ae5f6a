//! What each vendor's messages mean.
//!
//! **To add a provider:** write one file beside this one that implements [`Provider`], give it its line in the list of modules and its line in
//! [`Source::new`], and put payloads of it under `tests/fixtures/<provider>/`.

mod clerk;
mod read;
mod source;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use read::{NotJson, Read};
pub use source::{Source, SourceError, Sources};

use crate::domain::{ChangeKind, IdPolicy, ImpossibleType, Timestamp};

/// One vendor's format.
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Whether the vendor gives a deleted user's id to a user again.
    fn ids(&self) -> IdPolicy;

    /// What an event says. Pure: the same event is read alike when it comes and when it is replayed.
    fn decode(&self, event: &Map<String, Value>) -> Event;
}

/// An event as far as it could be read.
#[derive(Debug)]
pub struct Event {
    /// The vendor's own name of it.
    pub event_type: Option<String>,
    /// What it says, or why it could not be understood.
    pub says: Result<Says, Unreadable>,
}

/// What an event says.
#[derive(Debug)]
pub enum Says {
    /// Something of one user.
    Change {
        /// The vendor's id of the user.
        external_id: String,
        /// The vendor's time of the change.
        stamp: Timestamp,
        /// The change.
        kind: ChangeKind,
    },
    /// Nothing that concerns the users table.
    NothingOfUsers,
}

/// Why an event about a user could not be understood. The text carries no value of the event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<ImpossibleType> for Unreadable {
    fn from(error: ImpossibleType) -> Self {
        Self(error.to_string())
    }
}

/// The text at a key, which must be there.
fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, Unreadable> {
    let value = object.get(key).ok_or_else(|| Unreadable::new(format!("`{key}` is missing")))?;
    value.as_str().ok_or_else(|| Unreadable::new(format!("`{key}` is no text")))
}

/// The object at a key, which must be there.
fn object<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a Map<String, Value>, Unreadable> {
    let value = object.get(key).ok_or_else(|| Unreadable::new(format!("`{key}` is missing")))?;
    value.as_object().ok_or_else(|| Unreadable::new(format!("`{key}` is no object")))
}

/// The moment at a key; `None` where the key is absent or null.
fn moment(object: &Map<String, Value>, key: &str) -> Result<Option<Timestamp>, Unreadable> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => Timestamp::from_json(value)
            .map(Some)
            .ok_or_else(|| Unreadable::new(format!("`{key}` is no moment"))),
    }
}
