//! `[sources.list]`: the list of users of a `standard` source's provider.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::address;
use super::error::{ValueError, fault};
use super::key::Shape;
use super::map::{Pointer, ProfilePointers};
use super::settings::{Kind, choices, parsed, settings};
use super::slot::Slot;
use crate::domain::Field;

settings! {
    /// How to read the list of users of a `standard` source's provider.
    #[derive(Clone, Debug)]
    pub struct SourceList, check = check {
        /// The address of the list.
        #[required = "write the address of the provider's list of users"]
        #[example = "\"https://auth.example.com/admin/users\""]
        pub url: Option<Url> as Option<ListUrl>,
        /// `GET` or `POST`.
        pub method: ListMethod = ListMethod::Get,
        /// Query parameters of every request, such as `["per_page=100"]`.
        #[example = "[\"per_page=100\"]"]
        pub query: Vec<(String, String)> as Vec<Parameter>,
        /// For POST: the body, as JSON.
        #[example = "'{\"limit\": 1000}'"]
        pub body: Option<Value> as Option<Json>,
        /// Headers beside those of `auth`, such as `["apikey: env:SERVICE_KEY"]`.
        #[example = "[\"apikey: env:SERVICE_KEY\"]"]
        pub headers: Vec<(String, SecretString)> as Vec<Header>,
        /// Where the users are in an answer, as a JSON pointer; `""` if the answer is the list itself.
        #[example = "\"/users\""]
        pub items: String as Items,
        /// Where an answer has the number of all users, as a JSON pointer.
        #[example = "\"/total\""]
        pub total: Option<String> as Option<Pointer>,
        /// The header that has the number of all users.
        #[example = "\"X-Total-Count\""]
        pub total_header: Option<String>,
        /// The address of one user, with `{id}` where the id is. If it is left out, `reconcile` never deletes a user.
        #[example = "\"https://auth.example.com/admin/users/{id}\""]
        pub get: Option<Url> as Option<ListUrl>,
        /// How requests are authorised.
        pub auth: ListAuth,
        /// How the next page is found.
        pub next: ListNext,
        /// Where the values are in a listed user, as JSON pointers.
        pub map: ListMap,
    }
}

settings! {
    /// How the requests for a list are authorised.
    #[derive(Clone, Debug)]
    pub struct ListAuth, check = check_auth {
        /// `none`, `bearer`, `basic`, or `clientCredentials` (OAuth 2.0).
        #[key = "type"]
        pub kind: AuthKind = AuthKind::None,
        /// For bearer: the token.
        #[example = "\"env:SERVICE_KEY\""]
        pub token: Option<SecretString>,
        /// For basic: the user.
        #[example = "\"project-id\""]
        pub username: Option<String>,
        /// For basic: the password.
        #[example = "\"env:API_SECRET\""]
        pub password: Option<SecretString>,
        /// For clientCredentials: the token endpoint.
        #[example = "\"https://auth.example.com/oauth/token\""]
        pub token_url: Option<Url> as Option<ListUrl>,
        /// For clientCredentials.
        #[example = "\"client-id\""]
        pub client_id: Option<String>,
        /// For clientCredentials.
        #[example = "\"env:CLIENT_SECRET\""]
        pub client_secret: Option<SecretString>,
        /// For clientCredentials, where the provider wants it.
        #[example = "\"users:read\""]
        pub scope: Option<String>,
        /// For clientCredentials, where the provider wants it.
        #[example = "\"https://auth.example.com/api\""]
        pub audience: Option<String>,
        /// For clientCredentials, where the provider wants it.
        #[example = "\"https://auth.example.com/api\""]
        pub resource: Option<String>,
    }
}

settings! {
    /// How the next page of a list is found.
    #[derive(Clone, Debug)]
    pub struct ListNext, check = check_next {
        /// `cursor`: a cursor in the answer. `link`: the header `Link`. `page`, `offset`: the number of the page, or of
        /// users before it. `lastId`: the id of the last user.
        #[key = "type"]
        #[required = "write \"cursor\", \"link\", \"page\", \"offset\" or \"lastId\""]
        #[example = "\"cursor\""]
        pub kind: NextKind = NextKind::Link,
        /// For cursor: where the cursor is in the answer, as a JSON pointer.
        #[example = "\"/next_cursor\""]
        pub from: Option<String> as Option<Pointer>,
        /// For all except link: the query parameter that selects the page; for POST, a JSON pointer into the body.
        #[example = "\"cursor\""]
        pub to: Option<String>,
        /// For page and offset: 0 or 1, whichever the provider begins with.
        #[example = "1"]
        pub first: u64 as First,
    }
}

settings! {
    /// Where the values are in a listed user, as JSON pointers.
    #[derive(Clone, Debug)]
    pub struct ListMap {
        /// Where the user's id is.
        #[required = "write the pointer to the user's id, such as \"/id\""]
        #[example = "\"/id\""]
        pub id: String as Pointer,
        /// Where the time of the user's creation is.
        #[example = "\"/created_at\""]
        pub created_at: Option<String> as Option<Pointer>,
        /// Where the time of the last change is. Without it, a listed user ranks below every webhook.
        #[example = "\"/updated_at\""]
        pub updated_at: Option<String> as Option<Pointer>,
        /// Where the user's fields are, by the names that they have in the API.
        pub profile: BTreeMap<Field, String> as ProfilePointers,
    }
}

/// The method of the requests for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListMethod {
    /// Parameters in the query.
    Get,
    /// A body as well.
    Post,
}

choices!(ListMethod, "a method", "GET" => Self::Get, "POST" => Self::Post);

/// How requests are authorised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// No authentication.
    None,
    /// By a token that lasts.
    Bearer,
    /// By a user and a password.
    Basic,
    /// By an access token that the client requests.
    ClientCredentials,
}

choices!(
    AuthKind,
    "a way to authorise",
    "none" => Self::None,
    "bearer" => Self::Bearer,
    "basic" => Self::Basic,
    "clientCredentials" => Self::ClientCredentials,
);

/// How the next page is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextKind {
    /// By a value of the answer.
    Cursor,
    /// By the header `Link`.
    Link,
    /// By the number of the page.
    Page,
    /// By the number of users before it.
    Offset,
    /// By the id of the last user.
    LastId,
}

choices!(
    NextKind,
    "a way to find the next page",
    "cursor" => Self::Cursor,
    "link" => Self::Link,
    "page" => Self::Page,
    "offset" => Self::Offset,
    "lastId" => Self::LastId,
);

fn check(slot: &Slot<'_>, list: &SourceList) {
    if list.body.is_some() && list.method == ListMethod::Get {
        slot.key("body").refuse(fault("is for method = \"POST\"", "set method, or write `query`"));
    }
    let get = slot.key("get");
    if get.raw_text().is_some_and(|url| !url.contains("{id}")) {
        get.refuse(fault("has no {id}", "write {id} where the user's id is"));
    }
}

fn check_auth(slot: &Slot<'_>, auth: &ListAuth) {
    let needed: &[&str] = match auth.kind {
        AuthKind::None => &[],
        AuthKind::Bearer => &["token"],
        AuthKind::Basic => &["username", "password"],
        AuthKind::ClientCredentials => &["token_url", "client_id", "client_secret"],
    };
    for name in needed {
        slot.key(name).require("it is needed for this type of auth");
    }
}

fn check_next(slot: &Slot<'_>, next: &ListNext) {
    let needed: &[&str] = match next.kind {
        NextKind::Cursor => &["from", "to"],
        NextKind::Link => &[],
        NextKind::Page | NextKind::Offset | NextKind::LastId => &["to"],
    };
    for name in needed.iter().filter(|_| slot.is_set()) {
        slot.key(name).require("it is needed for this type of paging");
    }
}

/// The address of a list.
struct ListUrl;

impl Kind for ListUrl {
    type Value = Url;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Url> {
        slot.parse(|text| address::parse(text, slot.context.allow_http))
    }
}

/// A JSON pointer that may be empty, which is the whole answer.
struct Items;

impl Kind for Items {
    type Value = String;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<String> {
        match slot.raw_text() {
            Some("") => Some(String::new()),
            _ => Pointer::read(slot),
        }
    }

    #[cfg(test)]
    fn show(_: &String) -> Option<String> {
        None
    }
}

/// `name=value`
struct Parameter;

parsed!(Parameter as (String, String), Text, parameter, |(name, value): &(String, String)| format!(
    "\"{name}={value}\""
));

fn parameter(text: &str) -> Result<(String, String), ValueError> {
    let pair = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    let (name, value) =
        pair.ok_or_else(|| fault(format!("`{text}` is not a parameter"), "write \"name=value\""))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// `name: value`, whose value may be a secret.
struct Header;

impl Kind for Header {
    type Value = (String, SecretString);
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Self::Value> {
        let text = slot.text()?;
        let Some((name, value)) = text.split_once(':') else {
            slot.refuse(fault("is not a header", "write \"name: value\" or \"name: env:NAME\""));
            return None;
        };
        let is_name = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_';
        let name = name.trim();
        if name.is_empty() || !name.bytes().all(is_name) {
            slot.refuse(fault("has no header name before the colon", "write \"name: value\""));
            return None;
        }
        Some((name.to_ascii_lowercase(), slot.secret_of(value.trim())?))
    }
}

/// A JSON text.
struct Json;

impl Kind for Json {
    type Value = Value;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Value> {
        slot.parse(|text| {
            let value: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_object);
            value.ok_or_else(|| fault("is not a JSON object", "write one such as '{\"limit\": 1000}'"))
        })
    }
}

/// 0 or 1.
struct First;

parsed!(First as u64, Count(0), first, u64::to_string);

fn first(text: &str) -> Result<u64, ValueError> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        _ => Err(fault(format!("`{text}` is not a valid first page or offset"), "write 0 or 1")),
    }
}
