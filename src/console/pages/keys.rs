//! Service keys: made, listed and revoked.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::console::access::{self, Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, html, see};
use crate::console::state::Console;
use crate::domain::{Scope, Scopes};
use crate::keys::{self, CreateError};
use crate::store::ApiKey;

#[derive(Template)]
#[template(path = "keys.html")]
struct Page {
    layout: Layout,
    rows: Vec<Row>,
    /// The new key, shown once.
    created: Option<String>,
    error: Option<String>,
}

struct Row {
    name: String,
    prefix: String,
    scopes: String,
    created_at: At,
    last_used_at: Option<At>,
    revoked_at: Option<At>,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct NewKey {
    name: String,
    #[serde(default)]
    users_read: String,
    #[serde(default)]
    events_read: String,
    #[serde(default)]
    admin: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Revoked {
    prefix: String,
}

impl NewKey {
    fn scopes(&self) -> Scopes {
        let boxes = [
            (&self.users_read, Scope::UsersRead),
            (&self.events_read, Scope::EventsRead),
            (&self.admin, Scope::Admin),
        ];
        boxes.into_iter().filter(|(ticked, _)| !ticked.is_empty()).map(|(_, scope)| scope).collect()
    }
}

pub(super) async fn show(console: web::Data<Console>, admin: Admin) -> Result<HttpResponse, Failure> {
    page(&console, &admin, None, None).await
}

pub(super) async fn create(console: web::Data<Console>, post: Post<NewKey>) -> Result<HttpResponse, Failure> {
    let Post { admin, form } = post;
    let scopes = form.scopes();
    if scopes == Scopes::default() {
        return page(&console, &admin, None, Some("Choose what the key may do.".to_owned())).await;
    }
    let name = match keys::check_new_name(console.store(), &form.name).await {
        Ok(name) => name,
        Err(CreateError::Store(error)) => return Err(error.into()),
        Err(error) => {
            return page(&console, &admin, None, Some(format!("It was not made: {error}."))).await;
        }
    };
    admin.audit(&console, "create a service key", Some(format!("{name}: {scopes}"))).await?;
    let key = keys::create(console.store(), name, scopes, console.clock()).await;
    let key = key.map_err(|error| Failure::Unavailable(error.to_string()))?;
    page(&console, &admin, Some(key.reveal().to_owned()), None).await
}

pub(super) async fn revoke(
    console: web::Data<Console>,
    post: Post<Revoked>,
) -> Result<HttpResponse, Failure> {
    let Post { admin, form: Revoked { prefix } } = post;
    let keys = console.store().api_keys().list().await?;
    let key = keys.iter().find(|key| key.prefix == prefix && key.revoked_at.is_none());
    let key = key.ok_or(Failure::NotFound("No active key begins with this."))?;
    admin.audit(&console, "revoke a service key", Some(access::actor(key))).await?;
    console.store().api_keys().revoke(&prefix, console.clock().now()).await?;
    Ok(see(&format!("{}/keys", console.base())))
}

async fn page(
    console: &Console,
    admin: &Admin,
    created: Option<String>,
    error: Option<String>,
) -> Result<HttpResponse, Failure> {
    let row = |key: ApiKey| {
        let ApiKey { id: _, name, prefix, scopes, created_at, last_used_at, revoked_at } = key;
        Row {
            name,
            prefix,
            scopes: scopes.to_string(),
            created_at: At(created_at),
            last_used_at: last_used_at.map(At),
            revoked_at: revoked_at.map(At),
        }
    };
    let rows = console.store().api_keys().list().await?.into_iter().rev().map(row).collect();
    html(&Page { layout: Layout::new(console, admin, "/keys", "Keys"), rows, created, error })
}
