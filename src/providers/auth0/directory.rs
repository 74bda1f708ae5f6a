//! Auth0's users: an export job, which gives a file of one JSON object a line.
//!
//! Source: Auth0's Management API. `GET /api/v2/users` is a search of the first thousand in an index that lags behind,
//! and is never used to list. Known pitfalls:
//! - Without `fields` the file has other keys.
//! - The file's address is valid for 60 seconds, so the job is requested again before every download; the job is
//!   deleted after a day, and then another one is made, as after one that failed. The address has its own signature: no
//!   token is sent to it.
//! - The file never changes, so a run continues by skipping the lines that were read.
//! - The file may be a sample or lag behind: it does not prove that a user is deleted.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::watch::Auth0Watch;
use crate::config;
use crate::domain::foreign_text;
use crate::providers::api::{Api, ApiCredentials, OAuthClient};
use crate::providers::directory::{
    Answer, Continuation, Directory, ListError, Lookup, Next, Pace, Page, Position, Request, encoded, state,
    text, to_position,
};

/// The fields of each user that are requested.
const FIELDS: [&str; 16] = [
    "user_id",
    "email",
    "email_verified",
    "username",
    "phone_number",
    "phone_verified",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
    "user_metadata",
    "blocked",
    "identities",
    "created_at",
    "updated_at",
];

/// The first and the longest pause between two requests for the state of a job.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// Reads the users of one Auth0 tenant.
#[derive(Debug)]
struct Auth0Directory;

pub(super) fn api(source: &config::Source) -> Option<Api> {
    let api = source.api.as_ref()?;
    let domain = api.domain.clone()?;
    // The audience is the tenant's own domain, and ends with a slash, whatever the URL of the API is.
    let audience = domain.join("/api/v2/").ok()?.into();
    let base_url = api.base_url.clone().unwrap_or(domain);
    Some(Api {
        directory: Box::new(Auth0Directory),
        watch: Box::new(Auth0Watch),
        authority: ApiCredentials::OAuthClient(OAuthClient {
            token_url: base_url.join("/oauth/token").ok()?,
            id: api.client_id.clone()?,
            secret: api.client_secret.clone()?,
            parameters: vec![("audience", audience)],
            is_json: true,
            scope: Some("read:users"),
            needs: "authorise the application for the Auth0 Management API with the permission read:users",
        }),
        base_url,
        headers: Vec::new(),
    })
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct ListPosition {
    /// The export job; `None` before it is made.
    job: Option<String>,
    /// How often its state was requested.
    looks: u32,
    /// The lines of its file that were read.
    lines: u64,
}

impl Directory for Auth0Directory {
    fn request(&self, position: Option<&Position>) -> Request {
        if let Some(job) = state::<ListPosition>(position).job {
            return Request::get(format!("/api/v2/jobs/{}", encoded(&job)));
        }
        let fields: Vec<Value> = FIELDS.iter().map(|name| json!({"name": name})).collect();
        Request::post("/api/v2/jobs/users-exports", json!({"format": "json", "fields": fields}))
    }

    fn read(&self, position: Option<&Position>, answer: &Answer) -> Result<Page, ListError> {
        let current: ListPosition = state(position);
        let job = text(&answer.body, "id").ok_or_else(|| ListError::not_a_list("an export job of Auth0"))?;
        let status = answer.body.get("status").and_then(Value::as_str).unwrap_or_default();
        let next = match (status, text(&answer.body, "location")) {
            ("completed", Some(url)) if is_safe(&url) => Next::Download { url, at: current.at(job, 0) },
            ("completed", Some(_)) => {
                return Err(ListError::Unusable(
                    "Auth0 returned a URL without TLS for the export; it is not used".to_owned(),
                ));
            }
            ("completed", None) => {
                return Err(ListError::not_a_list("a completed export job with its address"));
            }
            ("failed", _) => {
                let why =
                    text(&answer.body, "status_details").unwrap_or_else(|| "no reason given".to_owned());
                let why = foreign_text(&why, &[]);
                return Err(ListError::NotPrepared(format!("Auth0's export failed ({why})")));
            }
            // Those that the API names, and any that it may have later.
            _ => {
                let pause = PAUSES.0.saturating_mul(current.looks + 1).min(PAUSES.1);
                let percent = answer.body.get("percentage_done").and_then(Value::as_u64);
                let looks = current.looks + 1;
                Next::After { pause, at: current.at(job, looks), percent }
            }
        };
        Ok(Page { users: Vec::new(), next, total: None })
    }

    /// A job is deleted after a day. Another one may have the users in another order.
    fn after_refusal(&self, position: Option<&Position>, answer: &Answer) -> Option<Continuation> {
        let has_job = state::<ListPosition>(position).job.is_some();
        let why = "Auth0 no longer has the export; requesting another one, which is read from the beginning";
        (has_job && answer.status == 404)
            .then(|| Continuation { at: to_position(&ListPosition::default()), why })
    }

    fn lines_read(&self, position: &Position) -> u64 {
        state::<ListPosition>(Some(position)).lines
    }

    fn after_lines(&self, position: &Position, lines: u64) -> Position {
        let current: ListPosition = state(Some(position));
        to_position(&ListPosition { lines: current.lines + lines, ..current })
    }

    fn lookup(&self, external_id: &str) -> Option<Request> {
        Some(Request::get(format!("/api/v2/users/{}", encoded(external_id))))
    }

    fn read_lookup(&self, answer: &Answer) -> Lookup {
        match (answer.status, answer.body.get("errorCode").and_then(Value::as_str)) {
            (200, _) if text(&answer.body, "user_id").is_some() => Lookup::Found(answer.body.clone()),
            (404, Some("inexistent_user")) => Lookup::NotFound,
            (status, _) => Lookup::Unknown(format!("Auth0 answered {status}")),
        }
    }

    fn pace(&self) -> Pace {
        // A free tenant allows two a second.
        Pace { requests_per_second: 1 }
    }
}

fn is_safe(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| config::is_permitted(&url, false))
}

impl ListPosition {
    fn at(self, job: String, looks: u32) -> Position {
        // The lines are those of one job's file.
        let lines = if self.job.as_ref().is_none_or(|known| *known == job) { self.lines } else { 0 };
        to_position(&Self { job: Some(job), looks, lines })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::Auth0Directory;
    use crate::providers::directory::{Answer, Directory, Lookup, Method, Next, Position};

    fn answer(body: Value) -> Answer {
        Answer { status: 200, body, ..Answer::default() }
    }

    fn next(position: Option<&Position>, body: Value) -> Next {
        Auth0Directory.read(position, &answer(body)).unwrap().next
    }

    fn at(next: Next) -> Position {
        match next {
            Next::At(at) | Next::After { at, .. } | Next::Download { at, .. } => at,
            Next::End => panic!("the run ended"),
        }
    }

    #[test]
    fn a_job_is_created_once_polled_with_backoff_and_then_downloaded() {
        let made = Auth0Directory.request(None);
        assert_eq!((made.method, &*made.path), (Method::Post, "/api/v2/jobs/users-exports"));
        assert!(made.body.unwrap()["fields"].as_array().unwrap().contains(&json!({"name": "user_metadata"})));

        let mut position = at(next(None, json!({"id": "job_1", "status": "pending"})));
        let mut pauses = Vec::new();
        for percent in 0..9 {
            assert_eq!(Auth0Directory.request(Some(&position)).path, "/api/v2/jobs/job_1");
            let body = json!({"id": "job_1", "status": "processing", "percentage_done": percent});
            let Next::After { pause, at, percent: reported } = next(Some(&position), body) else { panic!() };
            assert_eq!(reported, Some(percent));
            pauses.push(pause);
            position = at;
        }
        assert!(pauses.is_sorted());
        assert_eq!(pauses.last(), Some(&Duration::from_secs(15)));

        let body = json!({"id": "job_1", "status": "completed", "location": "https://s3.test/file.gz?sig=x"});
        let Next::Download { url, at } = next(Some(&position), body) else { panic!() };
        assert_eq!(url, "https://s3.test/file.gz?sig=x");
        assert_eq!(Auth0Directory.lines_read(&at), 0);
    }

    #[test]
    fn a_download_continues_after_the_lines_read_with_a_new_url() {
        let completed = |url: &str| json!({"id": "job_1", "status": "completed", "location": url});
        let position = at(next(None, completed("https://a.test/1")));
        let position = Auth0Directory.after_lines(&Auth0Directory.after_lines(&position, 500), 200);
        assert_eq!(Auth0Directory.lines_read(&position), 700);
        assert_eq!(Auth0Directory.request(Some(&position)).path, "/api/v2/jobs/job_1");
        let again = at(next(Some(&position), completed("https://a.test/2")));
        assert_eq!(Auth0Directory.lines_read(&again), 700);
    }

    #[test]
    fn a_job_that_is_gone_is_made_anew_from_its_first_line() {
        let position =
            at(next(None, json!({"id": "job_1", "status": "completed", "location": "https://a.test/1"})));
        let position = Auth0Directory.after_lines(&position, 500);
        let gone = Answer { status: 404, ..Answer::default() };
        let restarted = Auth0Directory.after_refusal(Some(&position), &gone).unwrap().at;
        assert_eq!(Auth0Directory.request(Some(&restarted)).method, Method::Post);
        assert_eq!(Auth0Directory.lines_read(&restarted), 0);
        let forbidden = Answer { status: 403, ..Answer::default() };
        assert_eq!(Auth0Directory.after_refusal(Some(&position), &forbidden), None);
    }

    #[test]
    fn a_failed_job_and_what_is_no_job_say_what_to_do() {
        let error = |body| Auth0Directory.read(None, &answer(body)).unwrap_err().to_string();
        let failed = error(json!({"id": "job_1", "status": "failed", "status_details": "no connection"}));
        assert!(failed.contains("no connection") && failed.contains("another one"), "{failed}");
        assert!(error(json!([])).contains("base_url"));
        assert!(error(json!({"id": "j", "status": "completed"})).contains("address"));
        assert!(
            error(json!({"id": "j", "status": "completed", "location": "http://a.test/"})).contains("TLS")
        );
    }

    #[test]
    fn only_auth0s_own_error_code_means_that_a_user_does_not_exist() {
        let presence =
            |status, body| Auth0Directory.read_lookup(&Answer { status, body, ..Answer::default() });
        assert_eq!(presence(404, json!({"errorCode": "inexistent_user"})), Lookup::NotFound);
        for (status, body) in
            [(404, Value::Null), (404, json!({"errorCode": "invalid_uri"})), (401, Value::Null)]
        {
            assert!(matches!(presence(status, body), Lookup::Unknown(_)));
        }
        assert_eq!(Auth0Directory.lookup("auth0|5f/x").unwrap().path, "/api/v2/users/auth0%7C5f%2Fx");
    }
}
