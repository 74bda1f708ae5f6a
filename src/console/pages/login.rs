//! Login and logout.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use tracing::warn;

use crate::auth::service_key;
use crate::console::access::{self, Admin, NoFields, Post};
use crate::console::assets;
use crate::console::failure::Failure;
use crate::console::layout::{html, see};
use crate::console::state::{Access, Console};
use crate::http::{client_address, client_name, is_for_this_machine};

#[derive(Template)]
#[template(path = "login.html")]
struct Page<'a> {
    base: &'a str,
    style: &'a str,
    next: &'a str,
    is_wrong: bool,
    is_local: bool,
}

#[derive(Deserialize)]
pub(in crate::console) struct Query {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(in crate::console) struct Form {
    key: String,
    #[serde(default)]
    next: String,
}

pub(in crate::console) async fn show(
    console: web::Data<Console>,
    query: web::Query<Query>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    if console.access() == Access::Open || Admin::is_logged_in(&request).await? {
        return Ok(see(&destination(&console, &query.next)));
    }
    page(&console, &query.next, false, &request)
}

pub(in crate::console) async fn log_in(
    console: web::Data<Console>,
    request: HttpRequest,
    form: web::Form<Form>,
) -> Result<HttpResponse, Failure> {
    access::check_origin(request.headers())?;
    let (store, now) = (console.store(), console.clock().now());
    let address = client_address(&request, &console.config().server.trusted_proxies);
    console.logins().attempt(address, now)?;
    let Form { key, next } = form.into_inner();
    let hash = service_key::hash(key.trim());
    let known = store.api_keys().find(&hash).await?;
    let reason = match &known {
        None => "unknown_key",
        Some(key) if key.revoked_at.is_some() => "revoked_key",
        Some(_) => "no_admin_scope",
    };
    let Some(key) = known.filter(access::may_administer) else {
        // The key itself is never logged: it may be one of another service.
        warn!(client = client_name(address), reason, "a login to the console was refused");
        let mut answer = page(&console, &next, true, &request)?;
        *answer.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(answer);
    };
    access::record(&console, Some(key.id), &access::actor(&key), "log in", None).await?;
    store.api_keys().record_use(&hash, now, now).await?;
    let cookie = access::begin(&console, &key, request.headers()).await?;
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, destination(&console, &next)))
        .insert_header((header::SET_COOKIE, cookie))
        .finish())
}

pub(in crate::console) async fn log_out(
    console: web::Data<Console>,
    request: HttpRequest,
    post: Post<NoFields>,
) -> Result<HttpResponse, Failure> {
    if let Some(session) = &post.admin.session {
        post.admin.audit(&console, "log out", None).await?;
        console.store().sessions().delete(session).await?;
    }
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, format!("{}/login", console.base())))
        .insert_header((header::SET_COOKIE, access::set_cookie(request.headers(), "")))
        .finish())
}

fn page(
    console: &Console,
    next: &str,
    is_wrong: bool,
    request: &HttpRequest,
) -> Result<HttpResponse, Failure> {
    let is_local = is_for_this_machine(request.headers());
    html(&Page { base: console.base(), style: assets::style(), next, is_wrong, is_local })
}

/// Where to go after the login: a page of the console, never another site.
fn destination(console: &Console, next: &str) -> String {
    let path = next.strip_prefix(console.base()).unwrap_or_default();
    // Browsers leave out tabs and line breaks, and read a backslash as a slash.
    let is_written_otherwise = path.contains(|letter: char| letter == '\\' || letter.is_control());
    let is_own = path.starts_with('/') && !path.starts_with("//") && !is_written_otherwise;
    if is_own { next.to_owned() } else { format!("{}/", console.base()) }
}
