//! The list of users of any provider, as the configuration describes it: `[sources.list]`.
//!
//! What every style of paging has in common is that the end is what the provider documents as its end: no next cursor
//! or link, or an empty page. A page that is shorter than requested is not the end, because servers limit the size.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::link::next_of;
use super::watch::StandardWatch;
use crate::config::{self, AuthKind, ListMethod, NextKind, SourceList};
use crate::providers::api::{Api, ApiCredentials, OAuthClient};
use crate::providers::directory::{
    Answer, Directory, ListError, Lookup, Method, Next, Pace, Page, Position, Request, encoded, items, state,
    to_position,
};

/// Reads the users of a `standard` source.
#[derive(Clone, Debug)]
pub(super) struct StandardDirectory {
    /// The address of the list.
    url: Url,
    list: SourceList,
}

pub(super) fn api(source: &config::Source) -> Option<Api> {
    let list = source.list.clone()?;
    let url = list.url.clone()?;
    let auth = &list.auth;
    let parameters = [("scope", &auth.scope), ("audience", &auth.audience), ("resource", &auth.resource)];
    let authority = match auth.kind {
        AuthKind::None => ApiCredentials::None,
        AuthKind::Bearer => ApiCredentials::Bearer(auth.token.clone()?),
        AuthKind::Basic => {
            ApiCredentials::Basic { user: auth.username.clone()?, password: auth.password.clone()? }
        }
        AuthKind::ClientCredentials => ApiCredentials::OAuthClient(OAuthClient {
            token_url: auth.token_url.clone()?,
            id: auth.client_id.clone()?,
            secret: auth.client_secret.clone()?,
            parameters: parameters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.clone()?)))
                .collect(),
            is_json: false,
            scope: None,
            needs: "the client needs to read users",
        }),
    };
    let (base_url, headers) = (url.clone(), list.headers.clone());
    let directory = StandardDirectory { url, list };
    let watch = Box::new(StandardWatch(directory.clone()));
    Some(Api { directory: Box::new(directory), watch, base_url, authority, headers })
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct ListPosition {
    /// The cursor, the link or the last id, depending on the style of paging.
    next: Option<String>,
    /// The number of users or pages that were read, depending on the style of paging.
    read: u64,
    /// The first id of the previous page: a page that begins with the same id is a repetition.
    first_id: Option<String>,
}

impl Directory for StandardDirectory {
    fn request(&self, position: Option<&Position>) -> Request {
        let current: ListPosition = state(position);
        let list = &self.list;
        let mut request = Request::get(self.url.as_str());
        request.query.clone_from(&list.query);
        if list.method == ListMethod::Post {
            request.method = Method::Post;
            request.body = Some(list.body.clone().unwrap_or_else(|| json!({})));
        }
        let to = list.next.to.as_deref().unwrap_or_default();
        match (list.next.kind, &current.next) {
            (NextKind::Cursor | NextKind::LastId, Some(next)) => set(&mut request, to, next),
            (NextKind::Link, Some(url)) => {
                request.path.clone_from(url);
                // The link has them already.
                request.query.clear();
            }
            (NextKind::Page | NextKind::Offset, _) => {
                set(&mut request, to, &(list.next.first + current.read).to_string());
            }
            (_, None) => {}
        }
        request
    }

    fn read(&self, position: Option<&Position>, answer: &Answer) -> Result<Page, ListError> {
        let current: ListPosition = state(position);
        let next = &self.list.next;
        let what = format!("a list: `items` under [sources.list] is {:?}", self.list.items);
        let users = match items(&answer.body, &self.list.items, &what) {
            // A SCIM server may leave an empty list out.
            Err(_)
                if next.kind == NextKind::Offset
                    && self.total(answer).is_some_and(|all| all <= current.read) =>
            {
                Vec::new()
            }
            users => users?,
        };
        let id = |user: Option<&Value>| user.and_then(|user| scalar_at(user, &self.list.map.id));
        let first_id = id(users.first());
        if !users.is_empty() && first_id.is_none() {
            let place = &self.list.map.id;
            return Err(ListError::Unusable(format!(
                "a listed user has no id at {place:?}: check [sources.list.map]"
            )));
        }
        let parameter = next.to.as_deref().unwrap_or("Link");
        let following = match next.kind {
            NextKind::Cursor => cursor_at(&answer.body, next.from.as_deref().unwrap_or_default())?,
            NextKind::Link => self.next_link(answer)?,
            NextKind::LastId => id(users.last()),
            NextKind::Page | NextKind::Offset => None,
        };
        let repeats_page = first_id.is_some() && first_id == current.first_id;
        let repeats_cursor = following.is_some() && following == current.next;
        if repeats_page || repeats_cursor {
            return Err(ListError::repeats(parameter));
        }
        let is_end = match next.kind {
            NextKind::Cursor | NextKind::Link => following.is_none(),
            _ => users.is_empty(),
        };
        let count = if next.kind == NextKind::Page { 1 } else { users.len() as u64 };
        let current = ListPosition {
            next: following,
            read: current.read + count,
            first_id: first_id.or(current.first_id),
        };
        let next = if is_end { Next::End } else { Next::At(to_position(&current)) };
        Ok(Page { users, next, total: self.total(answer) })
    }

    fn lookup(&self, external_id: &str) -> Option<Request> {
        // The URL has the braces percent-encoded.
        let url = self.list.get.as_ref()?.as_str().replace("%7Bid%7D", "{id}");
        Some(Request::get(url.replace("{id}", &encoded(external_id))))
    }

    fn read_lookup(&self, answer: &Answer) -> Lookup {
        match answer.status {
            200 if scalar_at(&answer.body, &self.list.map.id).is_some() => Lookup::Found(answer.body.clone()),
            // By writing `get` into the configuration, the operator states that this is the provider's answer for an
            // unknown user.
            404 if answer.body.is_object() => Lookup::NotFound,
            status => Lookup::Unknown(format!("the provider answered {status}")),
        }
    }

    fn pace(&self) -> Pace {
        Pace { requests_per_second: 5 }
    }
}

impl StandardDirectory {
    /// Whether an answer has the number of all users.
    pub(super) fn has_total(&self) -> bool {
        self.list.total.is_some() || self.list.total_header.is_some()
    }

    fn total(&self, answer: &Answer) -> Option<u64> {
        let at_pointer = self.list.total.as_ref().and_then(|pointer| answer.body.pointer(pointer));
        // Stytch returns -1 if it does not count.
        let header =
            || answer.header(&self.list.total_header.as_ref()?.to_ascii_lowercase())?.trim().parse().ok();
        at_pointer.and_then(Value::as_u64).or_else(header)
    }

    /// The URL of the header `Link` with `rel=next`. Credentials are sent only to the list's own origin.
    fn next_link(&self, answer: &Answer) -> Result<Option<String>, ListError> {
        // Several headers of one name are one list.
        let links: Vec<&str> = answer.headers("link").collect();
        let next = next_of(&links.join(", ")).map_err(|_| {
            ListError::Unusable(
                "the header `Link` cannot be read, so it is not known whether the list ends here".to_owned(),
            )
        })?;
        let Some(link) = next else { return Ok(None) };
        match self.url.join(&link) {
            Ok(next) if next.origin() == self.url.origin() => Ok(Some(next.into())),
            _ => Err(ListError::Unusable(
                "the next page is on another host, and credentials are not sent to another host".to_owned(),
            )),
        }
    }
}

/// Sets a parameter: of the query by its name, of the body by a JSON pointer.
fn set(request: &mut Request, to: &str, value: &str) {
    let Some(name) = to.strip_prefix('/') else {
        request.query.retain(|(known, _)| known != to);
        request.query.push((to.to_owned(), value.to_owned()));
        return;
    };
    let mut place = request.body.get_or_insert_default();
    for part in name.split('/') {
        if !place.is_object() {
            *place = Value::Object(serde_json::Map::new());
        }
        place = &mut place[part];
    }
    *place = value.into();
}

/// The next cursor; `None` at the end of the list, where it is null, empty or left out.
fn cursor_at(body: &Value, pointer: &str) -> Result<Option<String>, ListError> {
    match body.pointer(pointer) {
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(ListError::Unusable(format!(
            "the next cursor at {pointer:?} is neither a text nor a number: check `from` under [sources.list.next]"
        ))),
        _ => Ok(scalar_at(body, pointer)),
    }
}

/// A cursor or an id: a text that is not empty, or a number.
fn scalar_at(body: &Value, pointer: &str) -> Option<String> {
    match body.pointer(pointer)? {
        Value::String(text) => (!text.is_empty()).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::cursor_at;

    #[test]
    fn a_list_ends_where_there_is_no_cursor_and_not_where_it_cannot_be_read() {
        for (body, expected) in [
            (json!({}), Some(None)),
            (json!({"next": null}), Some(None)),
            (json!({"next": ""}), Some(None)),
            (json!({"next": "abc"}), Some(Some("abc"))),
            (json!({"next": 0}), Some(Some("0"))),
            (json!({"next": {}}), None),
            (json!({"next": []}), None),
            (json!({"next": false}), None),
        ] {
            let cursor: Option<Option<String>> = cursor_at(&body, "/next").ok();
            assert_eq!(cursor, expected.map(|cursor| cursor.map(str::to_owned)), "{body}");
        }
        assert!(cursor_at(&Value::Null, "/next").is_ok_and(|cursor| cursor.is_none()));
    }
}
