//! `[sources.map]`: where a `standard` source's payloads keep what is needed, as JSON pointers (RFC 6901).

use std::collections::BTreeMap;

use super::error::{Fault, fault};
use super::reader::{Reader, any};
use super::schema;
use crate::domain::{Field, IdPolicy};

/// Where to find things in the payloads of a `standard` source.
#[derive(Clone, Debug)]
pub struct SourceMap {
    /// Pointer to the event's type (the key `type`).
    pub event_type: String,
    /// Event types that carry a user's fields.
    pub upsert: Vec<String>,
    /// Event types that say that a user is gone.
    pub delete: Vec<String>,
    /// Pointer to the user's id at the provider.
    pub id: String,
    /// Pointer to the user's creation; always there if ids are reusable.
    pub created_at: Option<String>,
    /// Pointer to the time of an upsert.
    pub updated_at: String,
    /// Pointer to the time of a delete; where there is none, it is looked for where an upsert's is.
    pub deleted_at: Option<String>,
    /// Whether an id can come back after its user was deleted.
    pub ids: IdPolicy,
    /// Pointers to the User's own fields: `email` = `/data/email`.
    pub profile: BTreeMap<Field, String>,
}

/// The map; `None` if it could not be read, which is then noted.
pub(super) fn read(reader: &Reader<'_>) -> Option<SourceMap> {
    let required = |key, what| reader.required(key, &format!("write the pointer to {what}"), pointer);
    let event_type = required("type", "the event's type, such as \"/type\"");
    let id = required("id", "the user's id, such as \"/data/id\"");
    let updated_at = required("updated_at", "the time of the change, such as \"/data/updated_at\"");
    let created_at = reader.optional("created_at", pointer);
    let ids = reader.optional("ids", id_policy).unwrap_or(IdPolicy::Final);
    if ids == IdPolicy::Reusable && !reader.has("created_at") {
        let problem =
            "is missing, and only a user's creation tells one lifetime of a reusable id from the next";
        reader.refuse("created_at", fault(problem, "write its pointer, or ids = \"final\""));
    }
    let deleted_at = reader.optional("deleted_at", pointer);
    let (upsert, delete) = (reader.list("upsert", any), reader.list("delete", any));
    check_events(reader, &upsert, &delete);
    let profile = read_profile(&reader.section("profile"));
    Some(SourceMap {
        event_type: event_type?,
        upsert,
        delete,
        id: id?,
        created_at,
        updated_at: updated_at?,
        deleted_at,
        ids,
        profile,
    })
}

fn check_events(reader: &Reader<'_>, upsert: &[String], delete: &[String]) {
    if !reader.has("upsert") && !reader.has("delete") {
        let remedy = "name the event types, such as [\"user.created\", \"user.updated\"]";
        reader.refuse("upsert", fault("is missing, so every delivery would be ignored", remedy));
    }
    for both in upsert.iter().filter(|event| delete.contains(event)) {
        reader.refuse("delete", fault(format!("`{both}` is in `upsert` too"), "leave it in one of them"));
    }
}

fn read_profile(reader: &Reader<'_>) -> BTreeMap<Field, String> {
    let names = schema::PROFILE.iter().map(|(name, _)| *name);
    names.filter_map(|name| Some((Field::named(name)?, reader.optional(name, pointer)?))).collect()
}

fn id_policy(text: &str) -> Result<IdPolicy, Fault> {
    match text {
        "final" => Ok(IdPolicy::Final),
        "reusable" => Ok(IdPolicy::Reusable),
        _ => Err(fault(format!("`{text}` says nothing about ids"), "write \"final\" or \"reusable\"")),
    }
}

fn pointer(text: &str) -> Result<String, Fault> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    let suggestion = format!("/{}", text.trim_start_matches("$.").replace('.', "/"));
    Err(fault(format!("`{text}` is no JSON pointer"), format!("start it with a slash: \"{suggestion}\"")))
}
