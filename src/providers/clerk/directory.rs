//! Clerk's users: `GET /users`, oldest first.
//!
//! Source: Clerk's Backend API, version 2026-05-12. Known pitfalls:
//! - More than 500 at a time is not refused but answered with ten, so the end is an empty page and never a short one.
//! - With `offset`, a user who is deleted meanwhile makes the list skip another one, so there is no `offset` here.
//! - `starting_after` is new. A server that ignores it answers with the first page again, and the answer if its user
//!   was deleted is not documented. Both cases continue with `created_at_after`, which is exclusive and in
//!   milliseconds.
//! - Users who were imported may share one millisecond, more of them than fit on a page: within it there is `offset`.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::watch::ClerkWatch;
use crate::config;
use crate::providers::api::{Api, ApiCredentials};
use crate::providers::directory::{
    Answer, Continuation, Directory, LOOKUPS_AT_ONCE, ListError, Lookup, Next, Pace, Page, Position, Request,
    encoded, items, state, text, to_position,
};

/// The largest page that Clerk allows.
const LARGEST_PAGE: usize = 500;
const API_VERSION: &str = "2026-05-12";

const BASE_URL: &str = "https://api.clerk.com/v1";

/// Reads the users of one Clerk instance.
#[derive(Debug)]
struct ClerkDirectory {
    /// Whether it is a development instance, which allows a tenth of the requests.
    is_development: bool,
}

pub(super) fn api(source: &config::Source) -> Option<Api> {
    let api = source.api.as_ref()?;
    let key = api.secret_key.clone()?;
    let is_development = key.expose_secret().starts_with("sk_test_");
    Some(Api {
        directory: Box::new(ClerkDirectory { is_development }),
        watch: Box::new(ClerkWatch { version: API_VERSION }),
        base_url: api.base_url(BASE_URL)?,
        authority: ApiCredentials::Bearer(key),
        headers: Vec::new(),
    })
}

/// The position in the list.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct ListPosition {
    paging: Paging,
    /// The first user of the list: if a later page begins with it, the server ignores `starting_after`.
    first_id: Option<String>,
    last_id: Option<String>,
    /// Milliseconds since the epoch.
    last_created_at: Option<i64>,
    /// The users of that millisecond that were already read.
    read_in_it: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Paging {
    /// By `starting_after`.
    #[default]
    Cursor,
    /// By `created_at_after`, with an overlap of a millisecond.
    Created,
    /// Within one millisecond, by `offset`.
    Within,
}

impl Directory for ClerkDirectory {
    fn request(&self, position: Option<&Position>) -> Request {
        let current: ListPosition = state(position);
        let list = get("/users").with("order_by", "+created_at").with("limit", LARGEST_PAGE);
        let created_at = current.last_created_at.unwrap_or_default();
        match (current.paging, &current.last_id) {
            (Paging::Cursor, Some(id)) => list.with("starting_after", id),
            (Paging::Cursor, None) => list,
            (Paging::Created, _) => list.with("created_at_after", created_at - 1),
            (Paging::Within, _) => list
                .with("created_at_after", created_at - 1)
                .with("created_at_before", created_at + 1)
                .with("offset", current.read_in_it.len()),
        }
    }

    fn read(&self, position: Option<&Position>, answer: &Answer) -> Result<Page, ListError> {
        let current: ListPosition = state(position);
        let users = items(&answer.body, "", "Clerk's list of users")?;
        let first_id = users.first().and_then(|user| text(user, "id"));
        if users.iter().any(|user| text(user, "id").is_none()) {
            return Err(ListError::not_a_list("Clerk's list of users"));
        }
        match current.paging {
            Paging::Cursor
                if current.last_id.is_some() && first_id.is_some() && first_id == current.first_id =>
            {
                Ok(Page { users: Vec::new(), next: Next::At(current.by_created()?), total: None })
            }
            Paging::Cursor if users.is_empty() => Ok(Page { users, next: Next::End, total: None }),
            Paging::Cursor => Ok(current.advance(users, Paging::Cursor)),
            Paging::Created => current.read_by_created(users),
            Paging::Within => current.read_within(users),
        }
    }

    /// The user in the cursor may have been deleted.
    fn after_refusal(&self, position: Option<&Position>, _answer: &Answer) -> Option<Continuation> {
        let current: ListPosition = state(position);
        let has_cursor = current.paging == Paging::Cursor && current.last_id.is_some();
        let at = has_cursor.then(|| current.by_created().ok()).flatten()?;
        let why = "Clerk does not accept the position in its list; continuing by the time of creation";
        Some(Continuation { at, why })
    }

    fn count(&self) -> Option<Request> {
        Some(get("/users/count"))
    }

    fn read_count(&self, answer: &Answer) -> Result<u64, ListError> {
        let count = answer.body.get("total_count").and_then(Value::as_u64);
        count.ok_or_else(|| ListError::not_a_list("Clerk's number of users"))
    }

    fn lookup(&self, external_id: &str) -> Option<Request> {
        Some(get(&format!("/users/{}", encoded(external_id))))
    }

    fn read_lookup(&self, answer: &Answer) -> Lookup {
        let code = answer.body.pointer("/errors/0/code").and_then(Value::as_str);
        match (answer.status, code) {
            (200, _) if text(&answer.body, "id").is_some() => Lookup::Found(answer.body.clone()),
            (404, Some("resource_not_found")) => Lookup::NotFound,
            (status, _) => Lookup::Unknown(format!("Clerk answered {status}")),
        }
    }

    fn lookup_many(&self, external_ids: &[&str]) -> Option<Request> {
        // Without `limit` the answer has ten of them.
        let request = get("/users").with("limit", LOOKUPS_AT_ONCE);
        Some(external_ids.iter().fold(request, |request, id| request.with("user_id", id)))
    }

    fn read_lookup_many(&self, answer: &Answer) -> Result<Vec<Value>, ListError> {
        items(&answer.body, "", "Clerk's list of users")
    }

    fn instance(&self) -> Option<Request> {
        Some(get("/instance"))
    }

    fn read_instance(&self, answer: &Answer) -> Option<String> {
        text(&answer.body, "id")
    }

    fn instance_of_event(&self, event: &Value) -> Option<String> {
        text(event, "instance_id")
    }

    fn signing_keys(&self) -> Option<Request> {
        Some(get("/jwks"))
    }

    fn read_signing_keys(&self, answer: &Answer) -> Vec<String> {
        let keys = answer.body.get("keys").and_then(Value::as_array).into_iter().flatten();
        keys.filter_map(|key| text(key, "kid")).collect()
    }

    fn pace(&self) -> Pace {
        // 1000 in ten seconds, 100 for a development instance.
        Pace { requests_per_second: if self.is_development { 5 } else { 50 } }
    }
}

fn get(path: &str) -> Request {
    Request::get(path).with_header("clerk-api-version", API_VERSION)
}

impl ListPosition {
    /// The same list, by the time of creation.
    fn by_created(self) -> Result<Position, ListError> {
        if self.last_created_at.is_none() {
            return Err(ListError::repeats("starting_after"));
        }
        Ok(to_position(&Self { paging: Paging::Created, ..self }))
    }

    /// A page of users who were not read before.
    fn advance(mut self, users: Vec<Value>, paging: Paging) -> Page {
        for user in &users {
            let id = text(user, "id");
            self.first_id = self.first_id.or_else(|| id.clone());
            let created_at = user.get("created_at").and_then(Value::as_i64).or(self.last_created_at);
            if created_at != self.last_created_at {
                self.read_in_it.clear();
            }
            self.read_in_it.extend(id.clone());
            self.last_id = id;
            self.last_created_at = created_at;
        }
        self.paging = paging;
        Page { next: Next::At(to_position(&self)), users, total: None }
    }

    fn read_by_created(self, users: Vec<Value>) -> Result<Page, ListError> {
        let count = users.len();
        let created_at = |user: &Value| user.get("created_at").and_then(Value::as_i64);
        if users.first().and_then(created_at).is_some_and(|first| Some(first) < self.last_created_at) {
            return Err(ListError::repeats("created_at_after"));
        }
        let is_new = |user: &Value| !text(user, "id").is_some_and(|id| self.read_in_it.contains(&id));
        let fresh: Vec<Value> = users.into_iter().filter(is_new).collect();
        if !fresh.is_empty() {
            return Ok(self.advance(fresh, Paging::Created));
        }
        // All of them were read: either the list is over, or one millisecond has more users than a page.
        if count < LARGEST_PAGE {
            return Ok(Page { users: fresh, next: Next::End, total: None });
        }
        let next = to_position(&Self { paging: Paging::Within, ..self });
        Ok(Page { users: fresh, next: Next::At(next), total: None })
    }

    fn read_within(mut self, users: Vec<Value>) -> Result<Page, ListError> {
        if users.first().and_then(|user| text(user, "id")).is_some_and(|id| self.read_in_it.contains(&id)) {
            return Err(ListError::repeats("offset"));
        }
        if users.is_empty() {
            // On with the next millisecond.
            self.last_created_at = self.last_created_at.map(|created_at| created_at + 1);
            self.read_in_it.clear();
            let next = to_position(&Self { paging: Paging::Created, ..self });
            return Ok(Page { users, next: Next::At(next), total: None });
        }
        self.read_in_it.extend(users.iter().filter_map(|user| text(user, "id")));
        Ok(Page { next: Next::At(to_position(&self)), users, total: None })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::{ClerkDirectory, LARGEST_PAGE};
    use crate::providers::directory::{Answer, Directory, Lookup, Next, Page, Position};

    const DIRECTORY: ClerkDirectory = ClerkDirectory { is_development: false };

    /// A server that holds users as (id, milliseconds of creation).
    struct Server {
        users: Vec<(String, i64)>,
        ignores_cursor: bool,
        refuses_unknown_cursors: bool,
        largest_page: usize,
    }

    impl Server {
        fn with(users: impl IntoIterator<Item = i64>) -> Self {
            let users = users.into_iter().enumerate().map(|(n, at)| (format!("user_{n}"), at)).collect();
            Self { users, ignores_cursor: false, refuses_unknown_cursors: true, largest_page: LARGEST_PAGE }
        }

        fn answer(&self, query: &[(String, String)]) -> Answer {
            let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
            let number = |name: &str| value(name).map(|value| value.parse::<i64>().unwrap());
            let mut users: Vec<&(String, i64)> = self.users.iter().collect();
            users.sort_by_key(|(_, at)| *at);
            if let Some(after) = number("created_at_after") {
                users.retain(|(_, at)| *at > after);
            }
            if let Some(before) = number("created_at_before") {
                users.retain(|(_, at)| *at < before);
            }
            if let Some(offset) = number("offset") {
                users.drain(..usize::try_from(offset).unwrap().min(users.len()));
            }
            if let Some(cursor) = value("starting_after").filter(|_| !self.ignores_cursor) {
                match users.iter().position(|(id, _)| id == cursor) {
                    Some(at) => drop(users.drain(..=at)),
                    None if self.refuses_unknown_cursors => {
                        return Answer { status: 422, ..Answer::default() };
                    }
                    None => {}
                }
            }
            users.truncate(self.largest_page.min(number("limit").unwrap().try_into().unwrap()));
            let list = users.iter().map(|(id, at)| json!({"id": id, "created_at": at})).collect();
            Answer { status: 200, body: Value::Array(list), ..Answer::default() }
        }
    }

    /// Reads to the end; returns every user that was read, in order, and the number of requests.
    fn read_list(server: &mut Server, mut meanwhile: impl FnMut(usize, &mut Server)) -> (Vec<String>, usize) {
        let mut position: Option<Position> = None;
        let mut read = Vec::new();
        for request in 1..1000 {
            meanwhile(request, server);
            let answer = server.answer(&DIRECTORY.request(position.as_ref()).query);
            if answer.status != 200 {
                position = Some(DIRECTORY.after_refusal(position.as_ref(), &answer).unwrap().at);
                continue;
            }
            let page = DIRECTORY.read(position.as_ref(), &answer).unwrap();
            read.extend(page.users.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
            match page.next {
                Next::At(next) => position = Some(next),
                Next::End => return (read, request),
                other => panic!("{other:?}"),
            }
        }
        panic!("the run does not end");
    }

    fn assert_whole(server: &Server, read: &[String]) {
        let unique: BTreeSet<&String> = read.iter().collect();
        assert_eq!(unique.len(), read.len(), "no user is read twice");
        assert_eq!(unique, server.users.iter().map(|(id, _)| id).collect());
    }

    #[test]
    fn a_run_reads_every_user_once_whether_or_not_the_last_page_is_full() {
        for count in [0, 1, 9, 10, 499, 500, 501, 1000, 1234] {
            let mut server = Server::with(0..count);
            let (read, _) = read_list(&mut server, |_, _| {});
            assert_whole(&server, &read);
        }
    }

    #[test]
    fn a_server_that_limits_pages_to_ten_users_is_read_to_the_end() {
        let mut server = Server { largest_page: 10, ..Server::with(0..95) };
        let (read, _) = read_list(&mut server, |_, _| {});
        assert_whole(&server, &read);
    }

    #[test]
    fn a_server_that_ignores_the_cursor_is_read_by_the_time_of_creation() {
        let times = (0..2000).map(|n| n / 3);
        let mut server = Server { ignores_cursor: true, ..Server::with(times) };
        let (read, requests) = read_list(&mut server, |_, _| {});
        assert_whole(&server, &read);
        assert!(requests < 10, "{requests}");
    }

    #[test]
    fn reading_ends_if_a_server_ignores_the_time_of_creation_too() {
        let server = Server { ignores_cursor: true, ..Server::with(0..2000) };
        let mut position = None;
        for _ in 0..5 {
            let mut query = DIRECTORY.request(position.as_ref()).query;
            query.retain(|(name, _)| name != "created_at_after");
            match DIRECTORY.read(position.as_ref(), &server.answer(&query)) {
                Ok(Page { next: Next::At(next), .. }) => position = Some(next),
                Ok(page) => panic!("{page:?}"),
                Err(error) => return assert!(error.to_string().contains("created_at_after")),
            }
        }
        panic!("the run does not end");
    }

    #[test]
    fn a_millisecond_with_more_users_than_a_page_is_read_whole() {
        let times = (0..3).chain(std::iter::repeat_n(5, 1700)).chain(6..10);
        let mut server = Server { ignores_cursor: true, ..Server::with(times) };
        let (read, _) = read_list(&mut server, |_, _| {});
        assert_whole(&server, &read);
    }

    #[test]
    fn the_user_whom_the_cursor_names_may_be_deleted_meanwhile() {
        for refuses_unknown_cursors in [true, false] {
            let mut server = Server { refuses_unknown_cursors, ..Server::with(0..1200) };
            let (read, _) = read_list(&mut server, |request, server| {
                if request == 2 {
                    server.users.retain(|(id, _)| id != "user_499");
                }
            });
            let others: Vec<String> = read.into_iter().filter(|id| id != "user_499").collect();
            assert_whole(&server, &others);
        }
    }

    #[test]
    fn a_user_who_signs_up_during_the_run_is_read_and_no_other_user_is_skipped() {
        let mut server = Server::with(0..1200);
        let (read, _) = read_list(&mut server, |request, server| {
            if request < 5 {
                server.users.push((format!("late_{request}"), 5000 + i64::try_from(request).unwrap()));
            }
        });
        assert_eq!(read.iter().filter(|id| id.starts_with("user_")).count(), 1200);
        assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), read.len());
    }

    #[test]
    fn an_answer_of_another_server_is_not_a_list() {
        for body in [Value::Null, json!({"data": []}), json!([{"name": "x"}]), json!("<html>")] {
            let answer = Answer { status: 200, body, ..Answer::default() };
            assert!(DIRECTORY.read(None, &answer).is_err());
        }
    }

    #[test]
    fn only_clerks_own_error_code_means_that_a_user_does_not_exist() {
        let presence = |status, body| DIRECTORY.read_lookup(&Answer { status, body, ..Answer::default() });
        assert_eq!(presence(404, json!({"errors": [{"code": "resource_not_found"}]})), Lookup::NotFound);
        assert_eq!(presence(200, json!({"id": "user_1"})), Lookup::Found(json!({"id": "user_1"})));
        for (status, body) in [
            (404, Value::Null),
            (404, json!({"message": "no route"})),
            (404, json!({"errors": [{"code": "api_version_invalid"}]})),
            (401, json!({"errors": [{"code": "resource_not_found"}]})),
            (200, Value::Null),
            (500, Value::Null),
        ] {
            assert!(matches!(presence(status, body), Lookup::Unknown(_)), "{status}");
        }
    }
}
