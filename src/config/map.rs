//! `[sources.map]`: where things are in a `standard` source's payloads, as JSON pointers (RFC 6901).

use std::collections::BTreeMap;

use super::error::{ValueError, fault};
use super::key::{Key, Shape};
use super::settings::{Kind, choices, parsed, settings};
use super::slot::Slot;
use crate::domain::{Field, IdPolicy};

settings! {
    /// Where to find things in the payloads of a `standard` source.
    #[derive(Clone, Debug)]
    pub struct SourceMap, check = check {
        /// Where the event's type is.
        #[key = "type"]
        #[required = "write the pointer to the event's type, such as \"/type\""]
        #[example = "\"/type\""]
        pub event_type: String as Pointer,
        /// The event types that carry a user's fields, such as `["user.created", "user.updated"]`.
        ///
        /// `upsert`, `delete` or both must be set. Events of other types are `ignored`.
        #[example = "[\"user.created\", \"user.updated\"]"]
        pub upsert: Vec<String>,
        /// The types of the events about a deleted user.
        #[example = "[\"user.deleted\"]"]
        pub delete: Vec<String>,
        /// What else an event must have to be about a user, such as `{ "/object_type" = "user" }`. Other events are
        /// `ignored`.
        ///
        /// Each pointer must lead to the string beside it; all of them must match. For senders that use the same event
        /// types for organizations, sessions and the like. As a variable: `/object_type=user`, with commas between
        /// several.
        #[example = "{ \"/object_type\" = \"user\" }"]
        pub only: BTreeMap<String, String> as Conditions,
        /// Where the user's id is: a string or a whole number.
        #[required = "write the pointer to the user's id, such as \"/data/id\""]
        #[example = "\"/data/id\""]
        pub id: String as Pointer,
        /// Where the time of the user's creation is. Required if ids are reusable.
        #[example = "\"/data/created_at\""]
        pub created_at: Option<String> as Option<Pointer>,
        /// Where the time of the change is: epoch seconds, epoch milliseconds or RFC 3339. `"delivery"` is for senders
        /// that have no such time, and means the time when a delivery is received here.
        ///
        /// With `"delivery"` the order of arrival decides: a delivery that the sender repeats late, or that arrives
        /// late, overwrites newer values until the next change. Never choose it where the payload has a time of the
        /// change.
        #[required = "write the pointer to the time of the change, such as \"/data/updated_at\""]
        #[example = "\"/data/updated_at\""]
        pub updated_at: ChangeTime,
        /// Where the time of a deletion is. If a payload has none there, `updated_at` is used.
        #[example = "\"/data/deleted_at\""]
        pub deleted_at: Option<String> as Option<Pointer>,
        /// `final` if the id of a deleted user is never used again, else `reusable`.
        pub ids: IdPolicy = IdPolicy::Final,
        /// Where the user's fields are, by the names that they have in the API.
        pub profile: BTreeMap<Field, String> as ProfilePointers,
    }
}

choices!(IdPolicy, "a policy for ids", "final" => Self::Final, "reusable" => Self::Reusable);

fn check(slot: &Slot<'_>, map: &SourceMap) {
    if map.ids == IdPolicy::Reusable {
        let problem =
            "is missing; with reusable ids it is required, to distinguish a new user from a deleted one";
        let created_at = slot.key("created_at");
        if !created_at.is_set() {
            created_at.refuse(fault(problem, "write its pointer, or ids = \"final\""));
        }
    }
    if !slot.key("upsert").is_set() && !slot.key("delete").is_set() {
        let remedy = "name the event types, such as [\"user.created\", \"user.updated\"]";
        slot.key("upsert").refuse(fault("is missing, so every delivery would be ignored", remedy));
    }
    for both in map.upsert.iter().filter(|event| map.delete.contains(event)) {
        slot.key("delete").refuse(fault(format!("`{both}` is in `upsert` too"), "leave it in one of them"));
    }
}

/// A pointer for each field of the user.
pub(super) struct ProfilePointers;

impl Kind for ProfilePointers {
    type Value = BTreeMap<Field, String>;
    const SHAPE: Shape = Shape::Table(&PROFILE_KEYS);

    fn read(slot: &Slot<'_>) -> Option<Self::Value> {
        let pointer = |field: &Field| Some((*field, Pointer::read(&slot.key(field.name()))?));
        Some(Field::ALL.iter().filter_map(pointer).collect())
    }
}

const PROFILE_KEYS: [Key; Field::NAMES.len()] = {
    let mut keys = [Key::plain("", Shape::Text); Field::NAMES.len()];
    let mut index = 0;
    while index < keys.len() {
        keys[index] = Key::plain(Field::NAMES[index], Shape::Text);
        index += 1;
    }
    keys
};

/// Where the time of a change comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeTime {
    /// The payload has it at this pointer.
    At(String),
    /// The sender has no such time: it is the time when the delivery was received.
    Delivery,
}

impl Default for ChangeTime {
    fn default() -> Self {
        Self::At(String::new())
    }
}

parsed!(ChangeTime as ChangeTime, Text, change_time, |time: &ChangeTime| match time {
    ChangeTime::At(pointer) => format!("{pointer:?}"),
    ChangeTime::Delivery => "\"delivery\"".to_owned(),
});

fn change_time(text: &str) -> Result<ChangeTime, ValueError> {
    match text {
        "delivery" => Ok(ChangeTime::Delivery),
        _ => pointer(text).map(ChangeTime::At),
    }
}

/// Pointers, and the string at each.
struct Conditions;

impl Kind for Conditions {
    type Value = BTreeMap<String, String>;
    const SHAPE: Shape = Shape::Pairs;

    fn read(slot: &Slot<'_>) -> Option<Self::Value> {
        let conditions = slot.entries().filter_map(|(name, value)| {
            let name = slot.accept(pointer(name));
            Some((name?, value.text()?))
        });
        Some(conditions.collect())
    }
}

/// A JSON pointer.
pub(super) struct Pointer;

parsed!(Pointer as String, Text, pointer, |pointer: &String| format!("{pointer:?}"));

fn pointer(text: &str) -> Result<String, ValueError> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let suggestion = format!("/{}", text.trim_start_matches("$.").replace('.', "/"));
    Err(fault(format!("`{text}` is not a JSON pointer"), format!("start it with a slash: \"{suggestion}\"")))
}
