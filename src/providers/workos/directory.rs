//! WorkOS's users: `GET /user_management/users`, oldest first.
//!
//! Source: WorkOS's published API description. Known pitfalls:
//! - The answer if the user in `after` was deleted is not documented; the official emulator returns the first page
//!   again. The run then continues from the user before.
//! - `list_metadata.after` is null at the end.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::watch::WorkosWatch;
use crate::config;
use crate::providers::api::{Api, ApiCredentials};
use crate::providers::directory::{
    Answer, Continuation, Directory, ListError, Lookup, Next, Pace, Page, Position, Request, encoded, items,
    state, text, to_position,
};

const LARGEST_PAGE: usize = 100;
/// From how many users back a run can continue.
const REMEMBERED: usize = 20;
/// How often a run starts from the beginning before it fails.
const MOST_RESTARTS: u32 = 3;

const BASE_URL: &str = "https://api.workos.com";

/// Reads the users of one WorkOS environment.
#[derive(Debug)]
struct WorkosDirectory;

pub(super) fn api(source: &config::Source) -> Option<Api> {
    let api = source.api.as_ref()?;
    Some(Api {
        directory: Box::new(WorkosDirectory),
        watch: Box::new(WorkosWatch),
        base_url: api.base_url(BASE_URL)?,
        authority: ApiCredentials::Bearer(api.secret_key.clone()?),
        headers: Vec::new(),
    })
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct ListPosition {
    first_id: Option<String>,
    /// The last users who were read; the run continues after the last one.
    last_ids: Vec<String>,
    restarts: u32,
}

impl ListPosition {
    /// The position of the user before, because the server no longer knows the user in the cursor.
    fn back(mut self) -> Option<Position> {
        self.last_ids.pop();
        if self.last_ids.is_empty() {
            self.restarts += 1;
            self.first_id = None;
        }
        (self.restarts <= MOST_RESTARTS).then(|| to_position(&self))
    }
}

impl Directory for WorkosDirectory {
    fn request(&self, position: Option<&Position>) -> Request {
        let current: ListPosition = state(position);
        let list = Request::get("/user_management/users").with("order", "asc").with("limit", LARGEST_PAGE);
        match current.last_ids.last() {
            Some(id) => list.with("after", id),
            None => list,
        }
    }

    fn read(&self, position: Option<&Position>, answer: &Answer) -> Result<Page, ListError> {
        let mut current: ListPosition = state(position);
        let users = items(&answer.body, "/data", "WorkOS's list of users")?;
        let ids: Option<Vec<String>> = users.iter().map(|user| text(user, "id")).collect();
        let ids = ids.ok_or_else(|| ListError::not_a_list("WorkOS's list of users"))?;
        let is_first_page_again =
            !current.last_ids.is_empty() && !ids.is_empty() && ids.first() == current.first_id.as_ref();
        if is_first_page_again {
            let at = current.back().ok_or_else(|| ListError::repeats("after"))?;
            return Ok(Page { users: Vec::new(), next: Next::At(at), total: None });
        }
        let has_more = match answer.body.pointer("/list_metadata/after") {
            None | Some(Value::Null) => false,
            Some(Value::String(after)) => !after.is_empty(),
            Some(_) => return Err(ListError::not_a_list("WorkOS's list of users")),
        };
        if has_more && users.is_empty() {
            return Err(ListError::Unusable("WorkOS reports more users, but lists none".to_owned()));
        }
        current.first_id = current.first_id.or_else(|| ids.first().cloned());
        current.last_ids.extend(ids);
        current.last_ids.drain(..current.last_ids.len().saturating_sub(REMEMBERED));
        let next = if has_more { Next::At(to_position(&current)) } else { Next::End };
        Ok(Page { users, next, total: None })
    }

    fn after_refusal(&self, position: Option<&Position>, _answer: &Answer) -> Option<Continuation> {
        let current: ListPosition = state(position);
        let at = if current.last_ids.is_empty() { None } else { current.back() }?;
        Some(Continuation {
            at,
            why: "WorkOS does not accept the position in its list; continuing before it",
        })
    }

    fn lookup(&self, external_id: &str) -> Option<Request> {
        Some(Request::get(format!("/user_management/users/{}", encoded(external_id))))
    }

    fn read_lookup(&self, answer: &Answer) -> Lookup {
        match (answer.status, answer.body.get("code").and_then(Value::as_str)) {
            (200, _) if text(&answer.body, "id").is_some() => Lookup::Found(answer.body.clone()),
            (404, Some("entity_not_found")) => Lookup::NotFound,
            (status, _) => Lookup::Unknown(format!("WorkOS answered {status}")),
        }
    }

    fn pace(&self) -> Pace {
        // 1000 reads in ten seconds.
        Pace { requests_per_second: 50 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::{LARGEST_PAGE, WorkosDirectory};
    use crate::providers::directory::{Answer, Directory, Lookup, Next, Position};

    /// What a server does with a cursor whose user is deleted.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum UnknownCursor {
        Refused,
        BeginsAgain,
    }

    fn answer(users: &[String], query: &[(String, String)], unknown: UnknownCursor) -> Answer {
        let after = query.iter().find(|(name, _)| name == "after").map(|(_, id)| id);
        let start = match after {
            None => 0,
            Some(id) => match users.iter().position(|user| user == id) {
                Some(at) => at + 1,
                None if unknown == UnknownCursor::Refused => {
                    return Answer { status: 422, ..Answer::default() };
                }
                None => 0,
            },
        };
        let page = &users[start..users.len().min(start + LARGEST_PAGE)];
        let has_more = start + page.len() < users.len();
        let after = if has_more { json!(page.last()) } else { Value::Null };
        let list: Vec<Value> = page.iter().map(|id| json!({"id": id})).collect();
        let body = json!({"data": list, "list_metadata": {"before": null, "after": after}});
        Answer { status: 200, body, ..Answer::default() }
    }

    fn read_list(
        users: &mut Vec<String>,
        unknown: UnknownCursor,
        mut meanwhile: impl FnMut(usize, &mut Vec<String>),
    ) -> Vec<String> {
        let mut position: Option<Position> = None;
        let mut read = Vec::new();
        for request in 1..200 {
            meanwhile(request, users);
            let answer = answer(users, &WorkosDirectory.request(position.as_ref()).query, unknown);
            if answer.status != 200 {
                position = Some(WorkosDirectory.after_refusal(position.as_ref(), &answer).unwrap().at);
                continue;
            }
            let page = WorkosDirectory.read(position.as_ref(), &answer).unwrap();
            read.extend(page.users.iter().map(|user| user["id"].as_str().unwrap().to_owned()));
            match page.next {
                Next::At(next) => position = Some(next),
                Next::End => return read,
                other => panic!("{other:?}"),
            }
        }
        panic!("the run does not end");
    }

    fn users(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("user_{n}")).collect()
    }

    #[test]
    fn a_run_reads_every_user_once_and_ends_where_the_list_ends() {
        for count in [0, 1, 99, 100, 101, 350] {
            let read = read_list(&mut users(count), UnknownCursor::Refused, |_, _| {});
            assert_eq!(read, users(count));
        }
    }

    #[test]
    fn the_users_whom_the_cursor_names_may_be_deleted_meanwhile() {
        for unknown in [UnknownCursor::Refused, UnknownCursor::BeginsAgain] {
            for gone in [1, 5, 25] {
                let read = read_list(&mut users(350), unknown, |request, users| {
                    if request == 2 {
                        users.retain(|id| !(100 - gone..100).any(|n| *id == format!("user_{n}")));
                    }
                });
                let read: BTreeSet<String> = read.into_iter().collect();
                assert!(users(350).iter().all(|id| read.contains(id)), "{unknown:?} {gone}");
            }
        }
    }

    #[test]
    fn a_server_that_ignores_the_cursor_is_an_error_and_no_endless_loop() {
        let mut position: Option<Position> = None;
        for _ in 0..200 {
            let page = answer(&users(350), &[], UnknownCursor::BeginsAgain);
            match WorkosDirectory.read(position.as_ref(), &page) {
                Ok(page) => match page.next {
                    Next::At(next) => position = Some(next),
                    other => panic!("{other:?}"),
                },
                Err(error) => return assert!(error.to_string().contains("`after`")),
            }
        }
        panic!("the run does not end");
    }

    #[test]
    fn a_list_whose_end_cannot_be_told_is_an_error() {
        let read = |data: Value, after: Value| {
            let body = json!({"data": data, "list_metadata": {"after": after}});
            WorkosDirectory.read(None, &Answer { status: 200, body, ..Answer::default() })
        };
        for after in [json!({}), json!([]), json!(false), json!(1)] {
            assert!(read(json!([{"id": "user_1"}]), after).is_err());
        }
        assert!(read(json!([]), json!("user_1")).is_err());
        assert!(read(json!([]), json!(null)).is_ok());
    }

    #[test]
    fn only_workoss_own_error_code_means_that_a_user_does_not_exist() {
        let presence =
            |status, body| WorkosDirectory.read_lookup(&Answer { status, body, ..Answer::default() });
        assert_eq!(presence(404, json!({"code": "entity_not_found", "message": "x"})), Lookup::NotFound);
        for (status, body) in [(404, Value::Null), (404, json!({"message": "Not Found"})), (403, Value::Null)]
        {
            assert!(matches!(presence(status, body), Lookup::Unknown(_)));
        }
    }
}
