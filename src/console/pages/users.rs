//! Users: the newest, or those that are searched for.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use crate::console::access::Admin;
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, PAGE, html, link, user_link};
use crate::console::mask;
use crate::console::state::Console;
use crate::domain::{User, UserId, UserKey};
use crate::store::Listing;

#[derive(Template)]
#[template(path = "users.html")]
struct Page {
    layout: Layout,
    q: String,
    rows: Vec<Row>,
    /// Users who were deleted, with this id.
    deleted: Vec<(String, String, At)>,
    older: Option<String>,
}

struct Row {
    href: String,
    name: String,
    email: String,
    source: String,
    external_id: String,
    synced_at: At,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Query {
    #[serde(default)]
    q: String,
    #[serde(default)]
    before: String,
}

pub(super) async fn show(
    console: web::Data<Console>,
    admin: Admin,
    query: web::Query<Query>,
) -> Result<HttpResponse, Failure> {
    let Query { q, before } = query.into_inner();
    let q = q.trim().to_owned();
    let layout = Layout::new(&console, &admin, "/users", "Users");
    let base = console.base();
    if q.is_empty() {
        let before = Uuid::parse_str(&before).ok().map(UserId);
        let mut users = console.store().users().newest(before, PAGE + 1).await?;
        let has_more = users.len() as u64 > PAGE;
        users.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
        let last = users.last().filter(|_| has_more).map(|last| last.id.to_string());
        let older = last.map(|last| link(&format!("{base}/users"), &[("before", &last)]));
        let rows = users.into_iter().map(|user| row(base, user)).collect();
        return html(&Page { layout, q, rows, deleted: Vec::new(), older });
    }
    let users = search(&console, &q).await?;
    let deleted = deleted(&console, &q).await?;
    let rows = users.into_iter().map(|user| row(base, user)).collect();
    html(&Page { layout, q, rows, deleted, older: None })
}

/// By the id of a row, the provider's id, or the exact address.
async fn search(console: &Console, q: &str) -> Result<Vec<User>, Failure> {
    let users = console.store().users();
    if let Ok(id) = Uuid::parse_str(q) {
        let found = users.by_ids(&[UserId(id)]).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let text = Some(q.to_owned());
    let by_id = Listing { external_id: text.clone(), limit: PAGE, ..Listing::default() };
    let mut found = users.list(&by_id).await?.users;
    if q.contains('@') {
        let by_email = Listing { email: text, limit: PAGE, ..Listing::default() };
        for user in users.list(&by_email).await?.users {
            if found.iter().all(|known| known.id != user.id) {
                found.push(user);
            }
        }
    }
    Ok(found)
}

/// Those of the users with this id who were deleted.
async fn deleted(console: &Console, q: &str) -> Result<Vec<(String, String, At)>, Failure> {
    let keys: Vec<UserKey> =
        console.sources().names().into_iter().map(|name| UserKey::new(name, q)).collect();
    let found = console.store().users().look_up(&keys.iter().collect::<BTreeSet<_>>()).await?;
    let mut deleted = Vec::new();
    for (key, lookup) in found {
        let lookup = lookup?;
        if let (None, Some(at)) = (lookup.user, lookup.deleted_at) {
            deleted.push((user_link(console.base(), &key), key.source, At(at)));
        }
    }
    Ok(deleted)
}

fn row(base: &str, user: User) -> Row {
    let User { key, profile, synced_at, .. } = user;
    Row {
        href: user_link(base, &key),
        name: mask::name(&profile),
        email: profile.email.as_deref().map(mask::email).unwrap_or_default(),
        source: key.source,
        external_id: key.external_id,
        synced_at: At(synced_at),
    }
}
