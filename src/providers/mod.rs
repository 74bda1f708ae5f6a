//! What each vendor's messages mean, and everything else that is known of a vendor.
//!
//! Each provider has a folder here: how to decode its events, how they are signed, the environment variables
//! that make a source of it, the words about it in `usersync doctor` and `usersync explain`, and in
//! `senders.toml` how it sends, for the test suite that every provider passes.
//!
//! **To add a provider:** see "A provider" in `CONTRIBUTING.md`.

mod advice;
pub(crate) mod api;
mod auth0;
mod clerk;
pub(crate) mod directory;
pub(crate) mod event_log;
#[cfg(test)]
mod example;
pub(crate) mod file;
mod nested_json;
mod read;
mod source;
mod standard;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod watch;
mod workos;

use serde_json::Value;

use api::Api;
use file::FileUser;

pub use advice::{Advice, DevelopmentInstances, advice, hints, signature_headers, vendors_with_variables};
pub use read::{NotJson, ReadMessage};
pub use source::{Source, SourceError, Sources};

use crate::config::{self, ProviderKind};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy, ImpossibleValue, Timestamp};

/// Every provider.
const REGISTRY: &[Registered] = &[
    clerk::REGISTERED,
    auth0::REGISTERED,
    workos::REGISTERED,
    #[cfg(test)]
    example::REGISTERED,
    standard::REGISTERED,
];

/// The provider of the development source.
pub const CLERK: ProviderKind = clerk::REGISTERED.kind;

/// A provider's entry in the registry.
#[derive(Debug)]
struct Registered {
    /// What the configuration needs to know about it.
    kind: ProviderKind,
    /// Makes it, for a source with these settings.
    make: fn(&config::Source) -> Box<dyn Provider>,
    /// How its list of users is read, if the source's settings say with what.
    api: fn(&config::Source) -> Option<Api>,
    /// Whether a user of a file can only be of this vendor, by the form of its id and the names of its members.
    is_own: fn(&FileUser) -> bool,
    /// The texts about it for doctor and explain.
    advice: Advice,
}

impl Registered {
    /// What people call it.
    fn name(&self) -> &'static str {
        self.advice.vendor.unwrap_or(self.kind.name)
    }
}

/// The providers that a source can have.
pub fn kinds() -> Vec<ProviderKind> {
    REGISTRY.iter().map(|registered| registered.kind).collect()
}

/// One vendor's format.
///
/// Everything here is pure: an event is decoded in the same way when it is received and when it is replayed.
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Whether the vendor gives a deleted user's id to a user again.
    fn ids(&self) -> IdPolicy;

    /// The vendor's id of an event, where its body has one. An id in the headers goes before it.
    fn event_id<'a>(&self, _event: &'a Value) -> Option<&'a str> {
        None
    }

    /// The vendor's own name of what happened.
    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable>;

    /// Where an event has the vendor's id of the user, as a JSON pointer. With it, the payload of an event
    /// that cannot be read is still erased with its user.
    fn user_pointer(&self) -> &str;

    /// Decodes an event of this type. The event is an object.
    fn decode(&self, event: &Value, event_type: &str) -> Result<DecodedEvent, Unreadable>;

    /// Where a listed user has the vendor's id, as a JSON pointer.
    #[expect(clippy::unnecessary_literal_bound, reason = "a configured provider has its own")]
    fn listed_id_pointer(&self) -> &str {
        "/id"
    }

    /// Decodes a user of the vendor's list. The result is dated by the time of the last change. Where the
    /// vendor does not send that, the time of creation, or 1970-01-01, dates it before every event.
    fn listed(&self, _user: &Value) -> Result<DecodedEvent, Unreadable> {
        Err(Unreadable::new("the provider has no list of users"))
    }

    /// A user of the vendor's API in the form for `listed` and the journal: without secrets, and with an explicit null
    /// for each field that the vendor leaves out if it has no value.
    fn describe(&self, user: Value) -> Value {
        user
    }

    /// A user of one of the vendor's export files, as its API would describe it.
    fn file_user(&self, user: FileUser) -> Result<Value, Unreadable> {
        match user {
            FileUser::Object(user) => Ok(self.describe(user)),
            FileUser::Record(_) => Err(Unreadable::new("the provider exports no CSV")),
        }
    }
}

/// The type of the journal's events for listed users.
pub(crate) const LISTED: &str = "usersync.user.listed";

/// The type of the journal's events for users who no longer exist at the provider.
pub(crate) const GONE: &str = "usersync.user.gone";

/// The time of the last change of a listed user.
fn listed_stamp(updated_at: Option<Timestamp>, created_at: Option<Timestamp>) -> Timestamp {
    updated_at.or(created_at).unwrap_or(Timestamp::EPOCH)
}

/// Decodes a listed user where `created_at` and `updated_at` hold its times.
fn listed_user(
    user: &Value,
    id_key: &str,
    facts: impl FnOnce(&Value) -> Result<Facts, Unreadable>,
) -> Result<DecodedEvent, Unreadable> {
    let lifetime = time_at(user, "created_at")?;
    Ok(DecodedEvent::Change {
        external_id: string_at(user, id_key)?.to_owned(),
        stamp: listed_stamp(time_at(user, "updated_at")?, lifetime),
        kind: ChangeKind::Upsert { lifetime, event_time: None, facts: facts(user)? },
    })
}

/// The content of an event.
#[derive(Debug)]
pub enum DecodedEvent {
    /// Something about one user.
    Change {
        /// The vendor's id of the user.
        external_id: String,
        /// The vendor's time of the change.
        stamp: Timestamp,
        /// The change.
        kind: ChangeKind,
    },
    /// Something about one user, from a sender that has no time of the change. It gets the time when its
    /// delivery was received, because the configuration says so.
    UndatedChange {
        /// The vendor's id of the user.
        external_id: String,
        /// The change.
        kind: ChangeKind,
    },
    /// Nothing that concerns the users table.
    NotAboutUsers,
}

/// Why an event about a user could not be read. The message carries no value of the event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<ImpossibleValue> for Unreadable {
    fn from(error: ImpossibleValue) -> Self {
        Self(error.to_string())
    }
}

/// The string at a key, which must be there.
fn string_at<'a>(object: &'a Value, key: &str) -> Result<&'a str, Unreadable> {
    let value = object.get(key).ok_or_else(|| Unreadable::new(format!("`{key}` is missing")))?;
    value.as_str().ok_or_else(|| Unreadable::new(format!("`{key}` is not a string")))
}

/// The object at a key, which must be there.
fn object_at<'a>(object: &'a Value, key: &str) -> Result<&'a Value, Unreadable> {
    let value = object.get(key).ok_or_else(|| Unreadable::new(format!("`{key}` is missing")))?;
    if value.is_object() { Ok(value) } else { Err(Unreadable::new(format!("`{key}` is not an object"))) }
}

/// The time at a key; `None` where the key is absent or null.
fn time_at(object: &Value, key: &str) -> Result<Option<Timestamp>, Unreadable> {
    time_of(object.get(key), key)
}

/// The time that a value holds; `None` where the value is absent or null.
fn time_of(value: Option<&Value>, name: &str) -> Result<Option<Timestamp>, Unreadable> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let time = Timestamp::from_json(value);
    time.map(Some).ok_or_else(|| Unreadable::new(format!("`{name}` is not a time")))
}

/// The time of the event, from its envelope. It is used only for changes with equal stamps, so an event whose time
/// cannot be read is not parked.
fn event_time(event: &Value, key: &str) -> Option<Timestamp> {
    time_at(event, key).unwrap_or_default()
}

/// The facts that an object has under these keys.
fn facts_at(object: &Value, keys: &[(&str, Field)]) -> Result<Facts, Unreadable> {
    let mut facts = Facts::default();
    for (key, field) in keys {
        if let Some(value) = object.get(key) {
            facts.set(*field, value.clone())?;
        }
    }
    Ok(facts)
}
