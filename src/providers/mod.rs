//! What each vendor's messages mean.
//!
//! **To add a provider:** write one file beside this one, with the vendor's [`Provider`] and its entry,
//! `REGISTERED`; give it its line in the list of modules and its place in the `REGISTRY`; put payloads of it
//! under `tests/fixtures/<provider>/`.

mod auth0;
mod clerk;
mod read;
mod source;
mod standard;
#[cfg(test)]
mod tests;
mod workos;

use serde_json::Value;

pub use read::{NotJson, Read};
pub use source::{Source, SourceError, Sources};

use crate::config::{ProviderKind, SourceMap};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy, ImpossibleType, Timestamp};

/// Every provider.
const REGISTRY: &[Registered] =
    &[clerk::REGISTERED, auth0::REGISTERED, workos::REGISTERED, standard::REGISTERED];

/// What the development source is of.
pub const CLERK: ProviderKind = clerk::REGISTERED.kind;

/// A provider's entry in the registry.
struct Registered {
    /// What the configuration has to know of it.
    kind: ProviderKind,
    /// Makes it, for a source with this map.
    make: fn(Option<&SourceMap>) -> Box<dyn Provider>,
}

/// What a source can be of.
pub fn kinds() -> Vec<ProviderKind> {
    REGISTRY.iter().map(|registered| registered.kind).collect()
}

/// One vendor's format.
///
/// Everything here is pure: the same event is read alike when it comes and when it is replayed.
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Whether the vendor gives a deleted user's id to a user again.
    fn ids(&self) -> IdPolicy;

    /// The vendor's id of an event, where its body has one. An id in the headers goes before it.
    fn event_id<'a>(&self, _event: &'a Value) -> Option<&'a str> {
        None
    }

    /// The vendor's own name of what happened.
    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable>;

    /// Where an event has the vendor's id of the user, as a JSON pointer: so that even what cannot be
    /// understood is forgotten with its user.
    fn user_pointer(&self) -> &str;

    /// What an event of this type says. The event is an object.
    fn decode(&self, event: &Value, event_type: &str) -> Result<Says, Unreadable>;
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
fn text<'a>(object: &'a Value, key: &str) -> Result<&'a str, Unreadable> {
    let value = object.get(key).ok_or_else(|| Unreadable::new(format!("`{key}` is missing")))?;
    value.as_str().ok_or_else(|| Unreadable::new(format!("`{key}` is no text")))
}

/// The object at a key, which must be there.
fn object<'a>(object: &'a Value, key: &str) -> Result<&'a Value, Unreadable> {
    let value = object.get(key).ok_or_else(|| Unreadable::new(format!("`{key}` is missing")))?;
    if value.is_object() { Ok(value) } else { Err(Unreadable::new(format!("`{key}` is no object"))) }
}

/// The moment at a key; `None` where the key is absent or null.
fn moment(object: &Value, key: &str) -> Result<Option<Timestamp>, Unreadable> {
    moment_in(object.get(key), key)
}

/// The moment that a value is; `None` where it is absent or null.
fn moment_in(value: Option<&Value>, name: &str) -> Result<Option<Timestamp>, Unreadable> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let moment = Timestamp::from_json(value);
    moment.map(Some).ok_or_else(|| Unreadable::new(format!("`{name}` is no moment")))
}

/// The fields that an object carries under these keys.
fn carried(object: &Value, keys: &[(&str, Field)]) -> Result<Facts, Unreadable> {
    let mut facts = Facts::default();
    for (key, field) in keys {
        if let Some(value) = object.get(key) {
            facts.set(*field, value.clone())?;
        }
    }
    Ok(facts)
}
