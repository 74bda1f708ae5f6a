//! One user: each fact with the change that said it, and the deliveries.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::deliveries::{Row, row};
use crate::console::access::{Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, PAGE, html, link, position, position_text};
use crate::console::mask;
use crate::console::provenance::{Origins, SaidBy};
use crate::console::state::Console;
use crate::domain::{Fact, Life, User, UserKey};
use crate::store::{Listed, UserLookup};

#[derive(Template)]
#[template(path = "user.html")]
struct Page {
    layout: Layout,
    key: UserKey,
    row: Option<RowView>,
    deleted_at: Option<At>,
    is_final: bool,
    facts: Vec<FactRow>,
    rows: Vec<Row>,
    older: Option<String>,
    is_revealed: bool,
}

struct RowView {
    id: String,
    name: String,
    initials: String,
    created_at: Option<At>,
    updated_at: At,
    synced_at: At,
}

struct FactRow {
    name: &'static str,
    value: String,
    stamp: At,
    event_time: Option<At>,
    by: SaidBy,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Query {
    source: String,
    id: String,
    #[serde(default)]
    before: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Form {
    source: String,
    id: String,
}

pub(super) async fn show(
    console: web::Data<Console>,
    admin: Admin,
    query: web::Query<Query>,
) -> Result<HttpResponse, Failure> {
    let Query { source, id, before } = query.into_inner();
    page(&console, &admin, UserKey::new(source, id), &before, false).await
}

/// Shows the personal data, which the audit records.
pub(super) async fn reveal(console: web::Data<Console>, post: Post<Form>) -> Result<HttpResponse, Failure> {
    let Post { admin, form: Form { source, id } } = post;
    page(&console, &admin, UserKey::new(source, id), "", true).await
}

async fn page(
    console: &Console,
    admin: &Admin,
    key: UserKey,
    before: &str,
    is_revealed: bool,
) -> Result<HttpResponse, Failure> {
    let (store, base) = (console.store(), console.base());
    let mut found = store.users().look_up(&BTreeSet::from([&key])).await?;
    let UserLookup { user, deleted_at } = found.remove(&key).transpose()?.unwrap_or_default();
    let before = position(before);
    let listed = store.journal().of_user(&key.external_id, Some(&key.source), before.as_ref(), PAGE).await?;
    let Listed { deliveries, next } = listed;
    if user.is_none() && deleted_at.is_none() && deliveries.is_empty() {
        return Err(Failure::NotFound("Nothing is known of such a user."));
    }
    let (mut facts, mut origins) = (Vec::new(), Origins::new(console, &key));
    for fact in store.users().stored(&key).await?.record.life.iter().flat_map(Life::facts) {
        let by = origins.of(&fact).await?;
        let Fact { field, value, stamp, event_time, .. } = fact;
        facts.push(FactRow {
            name: field.name(),
            value: mask::shown(field, &value, is_revealed),
            stamp: At(stamp),
            event_time: event_time.map(At),
            by,
        });
    }
    if is_revealed && !facts.is_empty() {
        let target = format!("{} {}", key.source, key.external_id);
        admin.audit(console, "show personal data", Some(target)).await?;
    }
    let older = next.map(|next| {
        let query =
            [("source", key.source.as_str()), ("id", &key.external_id), ("before", &position_text(&next))];
        link(&format!("{base}/user"), &query)
    });
    html(&Page {
        layout: Layout::new(console, admin, "/users", "User"),
        row: user.map(view),
        deleted_at: deleted_at.map(At),
        is_final: console.sources().ids(&key.source).is_final(),
        facts,
        rows: deliveries.into_iter().map(|delivery| row(base, delivery)).collect(),
        older,
        is_revealed,
        key,
    })
}

fn view(user: User) -> RowView {
    let User { id, profile, created_at, updated_at, synced_at, .. } = user;
    let name = mask::name(&profile);
    let initials = name.split_whitespace().filter_map(|word| word.chars().next()).take(2).collect();
    RowView {
        id: id.to_string(),
        initials,
        name,
        created_at: created_at.map(At),
        updated_at: At(updated_at),
        synced_at: At(synced_at),
    }
}
