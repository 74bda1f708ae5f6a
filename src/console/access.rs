//! Who may use the console: sessions, and the check that a form is one of the console's own.
//!
//! A session is begun with a service key, and ends with that key, after half an hour without use, or after twelve hours.
//! Its id is in a cookie; the database has only the hash.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::failure::Failure;
use super::state::{Access, Console};
use crate::clock::random_bytes;
use crate::domain::Scope;
use crate::http::is_for_this_machine;
use crate::store::{AdminSession, ApiKey, AuditEntry};

/// A session that was not used for so long has ended.
pub(super) const IDLE: Duration = Duration::from_mins(30);
/// A session lasts no longer.
pub(super) const LONGEST: Duration = Duration::from_hours(12);
/// How exactly the last use of a session is recorded.
const USE_RECORDED_EVERY: Duration = Duration::from_mins(1);

/// The longest actor and target in the audit. The ids that usersync stores are shorter.
const LONGEST_TEXT: usize = 1_000;

/// In the query of a page that reloads itself without a script.
pub(super) const POLL: &str = "poll=1";

/// The cookie over https. Its prefix lets a browser take it only from this very host.
const SECURE_COOKIE: &str = "__Host-usersync_admin";
/// The cookie on this machine, where there is no https: some browsers refuse `Secure` there.
const LOCAL_COOKIE: &str = "usersync_admin";

/// Who is looking.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    /// The name and the prefix of the service key.
    pub(super) actor: String,
    /// The id of the service key; `None` in `usersync dev`.
    pub(super) key_id: Option<Uuid>,
    /// The hash of the session; `None` in `usersync dev`.
    pub(super) session: Option<String>,
    /// The token for forms.
    pub(super) form_token: String,
}

/// A form of the console, sent by an admin.
#[derive(Debug)]
pub(super) struct Post<T> {
    pub(super) admin: Admin,
    pub(super) form: T,
}

/// A form without fields of its own.
#[derive(Debug, Deserialize)]
pub(super) struct NoFields {}

#[derive(Deserialize)]
struct WithToken<T> {
    #[serde(default)]
    token: String,
    #[serde(flatten)]
    form: T,
}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

impl FromRequest for Admin {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Post<T> {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = web::Form::<WithToken<T>>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            check_origin(request.headers())?;
            let admin = Admin::of(&request).await?;
            let WithToken { token, form } = form.await.map_err(|error| Failure::from(&error))?.into_inner();
            if !is_equal(&token, &admin.form_token) {
                return Err(Failure::Forged(
                    "Reload the page, then try again: its form was of another session.",
                ));
            }
            Ok(Self { admin, form })
        })
    }
}

impl Admin {
    async fn of(request: &HttpRequest) -> Result<Self, Failure> {
        let console = console(request)?;
        if console.access() == Access::Open {
            let form_token = console.form_token(None);
            return Ok(Self { actor: "usersync dev".to_owned(), key_id: None, session: None, form_token });
        }
        let not_logged_in = || {
            let next = request.uri().path_and_query().map_or("/", |it| it.as_str()).to_owned();
            Failure::NotLoggedIn { next: if request.method().is_safe() { next } else { "/".to_owned() } }
        };
        let Some(id) = cookie(request.headers()) else {
            // A cookie that is `SameSite=Strict` is not sent if a link of another site led here.
            let comes_from_elsewhere = fetch_site(request.headers()) == Some("cross-site");
            return Err(if comes_from_elsewhere && request.method().is_safe() {
                Failure::AskAgain
            } else {
                not_logged_in()
            });
        };
        let found = session(console, &id, is_poll(request)).await?;
        let (session, key) = found.ok_or_else(not_logged_in)?;
        let form_token = console.form_token(Some(&id));
        Ok(Self { actor: actor(&key), key_id: Some(key.id), session: Some(session.hash), form_token })
    }

    /// Whether somebody is logged in.
    pub(super) async fn is_logged_in(request: &HttpRequest) -> Result<bool, Failure> {
        match Self::of(request).await {
            Ok(_) => Ok(true),
            Err(Failure::NotLoggedIn { .. } | Failure::AskAgain) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Records what is about to be done. If that fails, it is not done.
    pub(super) async fn audit(
        &self,
        console: &Console,
        action: &'static str,
        target: Option<String>,
    ) -> Result<(), Failure> {
        let Self { actor, key_id, .. } = self;
        record(console, *key_id, actor, action, target).await
    }
}

/// Adds an entry to the audit.
pub(super) async fn record(
    console: &Console,
    key_id: Option<Uuid>,
    actor: &str,
    action: &'static str,
    target: Option<String>,
) -> Result<(), Failure> {
    let clock = console.clock();
    let (id, at, actor, target) =
        (clock.fresh_id(), clock.now(), stored(actor), target.as_deref().map(stored));
    let entry = AuditEntry { id, at, key_id, actor, action: action.to_owned(), target };
    Ok(console.store().audit().insert(entry).await?)
}

/// A key, for people. In ASCII beside the name, because the database's encoding may lack other characters.
pub(super) fn actor(key: &ApiKey) -> String {
    format!("{} ({})", key.name, key.prefix)
}

/// A text of the audit as both databases store it, and as a page shows it: without control characters, and cut.
fn stored(text: &str) -> String {
    let printable = |letter: char| if letter.is_control() { '?' } else { letter };
    let mut stored: String = text.chars().take(LONGEST_TEXT).map(printable).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        stored.push_str("...");
    }
    stored
}

/// Whether the page makes the request by itself, to show what is new.
fn is_poll(request: &HttpRequest) -> bool {
    is_htmx(request.headers()) || request.query_string().split('&').any(|part| part == POLL)
}

/// Whether a script makes the request. The console uses htmx for polling alone.
pub(super) fn is_htmx(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

/// The living session with this id, and its key. A poll does not count as use: nobody need be there.
async fn session(
    console: &Console,
    id: &str,
    is_poll: bool,
) -> Result<Option<(AdminSession, ApiKey)>, Failure> {
    let (store, now) = (console.store(), console.clock().now());
    let Some(session) = store.sessions().find(&hash(id)).await? else { return Ok(None) };
    if session.expires_at <= now || now.since(session.used_at) >= IDLE {
        return Ok(None);
    }
    let key = store.api_keys().by_id(session.key_id).await?;
    let Some(key) = key.filter(may_administer) else { return Ok(None) };
    if !is_poll && now.since(session.used_at) >= USE_RECORDED_EVERY {
        store.sessions().record_use(&session.hash, now).await?;
    }
    Ok(Some((session, key)))
}

/// Whether a key may log in.
pub(super) fn may_administer(key: &ApiKey) -> bool {
    key.revoked_at.is_none() && key.scopes.include(Scope::Admin)
}

/// Begins a session; returns the header that sets its cookie.
pub(super) async fn begin(console: &Console, key: &ApiKey, headers: &HeaderMap) -> Result<String, Failure> {
    let (store, now) = (console.store(), console.clock().now());
    store.sessions().delete_ended(now, now.minus(IDLE)).await?;
    let id = hex::encode(random_bytes::<32>()?);
    let session = AdminSession {
        hash: hash(&id),
        key_id: key.id,
        created_at: now,
        used_at: now,
        expires_at: now.plus(LONGEST),
    };
    store.sessions().insert(session).await?;
    Ok(set_cookie(headers, &id))
}

/// The header that sets the cookie; an empty id deletes it.
pub(super) fn set_cookie(headers: &HeaderMap, id: &str) -> String {
    let age = if id.is_empty() { 0 } else { LONGEST.as_secs() };
    let name = cookie_name(headers);
    let secure = if name == SECURE_COOKIE { "; Secure" } else { "" };
    format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}")
}

fn cookie_name(headers: &HeaderMap) -> &'static str {
    if is_for_this_machine(headers) { LOCAL_COOKIE } else { SECURE_COOKIE }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(headers);
    let lines = headers.get_all(header::COOKIE).filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, value)| *known == name && !value.is_empty()).map(|(_, id)| id.to_owned())
}

fn hash(id: &str) -> String {
    hex::encode(Sha256::digest(id))
}

fn is_equal(one: &str, other: &str) -> bool {
    // Digests are compared, so the time says nothing about the token.
    !other.is_empty() && Sha256::digest(one) == Sha256::digest(other)
}

fn fetch_site(headers: &HeaderMap) -> Option<&str> {
    headers.get("sec-fetch-site").and_then(|value| value.to_str().ok())
}

/// Refuses a form that a page of another site has sent.
///
/// Only if the browser does not tell where a request comes from, its `Origin` decides. It is `null` for our own forms in
/// Chromium, because of the referrer policy.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_own = if let Some(site) = fetch_site(headers) {
        site == "same-origin"
    } else {
        let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
        origin.is_some_and(|(_, host)| Some(host) == text(header::HOST))
    };
    if is_own { Ok(()) } else { Err(Failure::Forged("Open the page in the console, and use its form.")) }
}

fn console(request: &HttpRequest) -> Result<&Console, Failure> {
    let console = request.app_data::<web::Data<Console>>();
    Ok(console.ok_or_else(|| Failure::Unavailable("the routes have no console".to_owned()))?)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::{LONGEST_TEXT, check_origin, cookie, set_cookie, stored};

    fn headers(all: &[(&str, &str)]) -> actix_web::http::header::HeaderMap {
        let request = TestRequest::default();
        all.iter()
            .fold(request, |request, header| request.append_header(*header))
            .to_http_request()
            .headers()
            .clone()
    }

    #[test]
    fn a_form_must_come_from_the_console_itself() {
        let host = ("host", "console.example.com");
        for (sent, is_own) in [
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")][..], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://console.example.com")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://console.example.com")], true),
            (&[("origin", "https://console.example.com.evil.example")], false),
            (&[("origin", "null")], false),
            (&[], false),
        ] {
            assert_eq!(check_origin(&headers(&[&[host], sent].concat())).is_ok(), is_own, "{sent:?}");
        }
    }

    #[test]
    fn a_text_of_the_audit_is_printable_and_not_long() {
        assert_eq!(stored("clerk user\0\n\u{7f}Łukasz"), "clerk user???Łukasz");
        assert_eq!(stored(&"Ł".repeat(LONGEST_TEXT)), "Ł".repeat(LONGEST_TEXT));
        assert_eq!(stored(&"Ł".repeat(LONGEST_TEXT + 1)), format!("{}...", "Ł".repeat(LONGEST_TEXT)));
    }

    #[test]
    fn the_cookie_is_for_https_alone_except_on_this_machine() {
        let remote = headers(&[("host", "console.example.com"), ("cookie", "a=b; __Host-usersync_admin=id")]);
        let set = set_cookie(&remote, "id");
        assert!(set.starts_with("__Host-usersync_admin=id; Path=/; HttpOnly; SameSite=Strict;"), "{set}");
        assert!(set.ends_with("; Secure"), "{set}");
        assert_eq!(cookie(&remote).as_deref(), Some("id"));
        let local = headers(&[("host", "127.0.0.1:8790"), ("cookie", "usersync_admin=id")]);
        assert!(!set_cookie(&local, "id").contains("Secure"));
        assert_eq!(cookie(&local).as_deref(), Some("id"));
        let plain_name = headers(&[("host", "console.example.com"), ("cookie", "usersync_admin=id")]);
        assert_eq!(cookie(&plain_name), None);
    }
}
