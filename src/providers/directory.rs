//! A provider's own list of users, read by a pure state machine: the last answer determines the next request.
//!
//! Nothing here does any I/O, so every pitfall of a management API has a unit test. `pull` sends the requests, with a
//! rate limit, retries and credentials. A position is stored in the database as JSON, so a run continues where it
//! stopped.

use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::Timestamp;

/// The position in the list, in the provider's own format.
pub(crate) type Position = Value;

/// How many users are requested by id at a time, if the provider has such a request.
pub(crate) const LOOKUPS_AT_ONCE: usize = 100;

/// Reads one provider's list of users.
pub(crate) trait Directory: fmt::Debug + Send + Sync {
    /// The request for a position; `None` at the beginning of a list.
    fn request(&self, position: Option<&Position>) -> Request;

    /// Reads the answer to that request. Its status is 2xx.
    fn read(&self, position: Option<&Position>, answer: &Answer) -> Result<Page, ListError>;

    /// Where to continue after the request was refused with a 4xx that is not about credentials or the rate limit;
    /// `None` if the run cannot continue.
    fn after_refusal(&self, _position: Option<&Position>, _answer: &Answer) -> Option<Continuation> {
        None
    }

    /// How many lines of a download a position has read.
    fn lines_read(&self, _position: &Position) -> u64 {
        0
    }

    /// The position after this many lines of a download.
    fn after_lines(&self, position: &Position, _lines: u64) -> Position {
        position.clone()
    }

    /// The request for the number of users, if the provider reports it exactly.
    fn count(&self) -> Option<Request> {
        None
    }

    /// The number of users in the answer to [`Self::count`].
    fn read_count(&self, _answer: &Answer) -> Result<u64, ListError> {
        Err(ListError::not_a_list("the number of users"))
    }

    /// The request for one user; `None` if the provider has no such request.
    fn lookup(&self, external_id: &str) -> Option<Request>;

    /// Reads the answer to [`Self::lookup`], which may have any status.
    fn read_lookup(&self, answer: &Answer) -> Lookup;

    /// The request for several users at a time, at most [`LOOKUPS_AT_ONCE`]; `None` if the provider has no such request.
    fn lookup_many(&self, _external_ids: &[&str]) -> Option<Request> {
        None
    }

    /// The users in the answer to [`Self::lookup_many`]. Who is not among them may exist all the same.
    fn read_lookup_many(&self, _answer: &Answer) -> Result<Vec<Value>, ListError> {
        Ok(Vec::new())
    }

    /// The request for the instance that the credentials are for.
    fn instance(&self) -> Option<Request> {
        None
    }

    /// The name of the instance in the answer to [`Self::instance`], in the form that webhooks contain.
    fn read_instance(&self, _answer: &Answer) -> Option<String> {
        None
    }

    /// The name of the instance that a webhook is from, if webhooks contain it.
    fn instance_of_event(&self, _event: &Value) -> Option<String> {
        None
    }

    /// The request for the keys with which the instance of the credentials signs tokens.
    fn signing_keys(&self) -> Option<Request> {
        None
    }

    /// The ids of the keys in the answer to [`Self::signing_keys`], which may have any status.
    fn read_signing_keys(&self, _answer: &Answer) -> Vec<String> {
        Vec::new()
    }

    /// The rate of requests to the provider: half of what it allows.
    fn pace(&self) -> Pace;
}

/// A request to a management API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Request {
    /// `GET` or `POST`.
    pub(crate) method: Method,
    /// The path below the API's base URL, or a complete URL of the same origin.
    pub(crate) path: String,
    /// The parameters in this order, not encoded yet.
    pub(crate) query: Vec<(String, String)>,
    /// Sent as JSON.
    pub(crate) body: Option<Value>,
    /// Headers in addition to the credentials.
    pub(crate) headers: Vec<(String, String)>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Request {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::Get, path: path.into(), query: Vec::new(), body: None, headers: Vec::new() }
    }

    pub(super) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::Post, body: Some(body), ..Self::get(path) }
    }

    pub(super) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The answer of a management API.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The body; `Null` if it is not JSON.
    pub(crate) body: Value,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The provider's clock when it answered; `None` for an answer from a cache.
    pub(crate) date: Option<Timestamp>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All headers of a name.
    pub(crate) fn headers<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// A page of the list.
#[derive(Debug, PartialEq)]
pub(crate) struct Page {
    /// The users in the provider's format.
    pub(crate) users: Vec<Value>,
    pub(crate) next: Next,
    /// The total number of users, if the answer contains it.
    pub(crate) total: Option<u64>,
}

/// What follows a page.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The next page.
    At(Position),
    /// Repeat the request after a pause: the provider is preparing the list.
    After { pause: Duration, at: Position, percent: Option<u64> },
    /// The list as a file with one JSON object per line, possibly compressed. The URL contains its own authorization:
    /// no credentials are sent to it.
    Download { url: String, at: Position },
    /// The provider's documented end of the list.
    End,
}

/// Where a list continues after its position was refused.
#[derive(Debug, PartialEq)]
pub(crate) struct Continuation {
    pub(crate) at: Position,
    /// What has happened, for the operator.
    pub(crate) why: &'static str,
}

/// The result of a lookup by id.
#[derive(Debug, PartialEq)]
pub(crate) enum Lookup {
    Found(Value),
    /// The provider itself answers, with its own error code, that there is no such user.
    NotFound,
    /// Anything else, such as a proxy's 404: it does not show whether the user exists.
    Unknown(String),
}

/// The rate limit for requests to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) requests_per_second: u32,
}

/// The run cannot continue with this answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    /// It is not what the provider documents.
    #[error("{0}")]
    Unusable(String),
    /// The list repeats itself, so reading it would never end.
    #[error("the list repeats itself: {0}")]
    Repeats(String),
    /// The provider could not prepare the list. The next call requests it once more.
    #[error("{0}; the next call requests another one")]
    NotPrepared(String),
}

impl ListError {
    pub(crate) fn not_a_list(what: &str) -> Self {
        Self::Unusable(format!(
            "the answer is not {what}: check `base_url` under [sources.api], and any proxy in between"
        ))
    }

    pub(super) fn repeats(parameter: &str) -> Self {
        Self::Repeats(format!("the server ignores `{parameter}`, so the list has no end"))
    }
}

/// A provider's own state from a position. A position of an older version starts the run from the beginning.
pub(super) fn state<T: DeserializeOwned + Default>(position: Option<&Position>) -> T {
    position.and_then(|position| serde_json::from_value(position.clone()).ok()).unwrap_or_default()
}

/// A position from a provider's own state.
pub(super) fn to_position<T: Serialize>(state: &T) -> Position {
    // These are plain structures of texts and numbers, which always have a JSON form.
    serde_json::to_value(state).unwrap_or_default()
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A part of a path, percent-encoded: ids have bars and slashes.
pub(super) fn encoded(part: &str) -> String {
    utf8_percent_encode(part, RESERVED).to_string()
}

/// The elements of a list at a JSON pointer.
pub(super) fn items(body: &Value, pointer: &str, what: &str) -> Result<Vec<Value>, ListError> {
    let list = body.pointer(pointer).and_then(Value::as_array);
    list.cloned().ok_or_else(|| ListError::not_a_list(what))
}

/// The string at a key of a user.
pub(super) fn text(user: &Value, key: &str) -> Option<String> {
    user.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// An object without these members.
pub(super) fn without(mut user: Value, names: &[&str]) -> Value {
    if let Some(members) = user.as_object_mut() {
        members.retain(|name, _| !names.contains(&&**name));
    }
    user
}
