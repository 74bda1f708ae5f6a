//! WorkOS' log of events, the newest users, and the endpoints of webhooks.
//!
//! Source: WorkOS's published API description and its events reference. Known pitfalls:
//! - The position to store is the id of the last event that was read: `list_metadata.after` is null at the end.
//! - `order` has no effect on events: they come oldest first.
//! - The log reaches 90 days back, and one request for a range 30 days.
//! - The answer for an id that WorkOS no longer knows is not documented: any 400, 404 or 422 counts as that. The
//!   official emulator returns the first page again, which is harmless: those events are duplicates.
//! - A time may be written with a space and without a zone: it is UTC.
//! - The list of endpoints has their secrets, which are not read.

use serde_json::Value;

use crate::domain::Timestamp;
use crate::providers::directory::{Answer, ListError, Request, items, text};
use crate::providers::event_log::{LogForm, LogPage, LogRefusal, LogStart, ProviderLog};
use crate::providers::watch::{Newest, ProviderEndpoint, ProviderWatch, USER_EVENTS};

const LARGEST_PAGE: usize = 100;

/// Watches one WorkOS environment.
#[derive(Debug)]
pub(super) struct WorkosWatch;

impl ProviderWatch for WorkosWatch {
    fn newest(&self) -> Option<Request> {
        Some(Request::get("/user_management/users").with("order", "desc").with("limit", 10))
    }

    fn read_newest(&self, answer: &Answer) -> Result<Newest, ListError> {
        Ok(Newest { users: items(&answer.body, "/data", "WorkOS's list of users")?, total: None })
    }

    fn endpoints(&self) -> Option<Request> {
        Some(Request::get("/webhook_endpoints").with("limit", LARGEST_PAGE))
    }

    fn read_endpoints(&self, answer: &Answer) -> Result<Vec<ProviderEndpoint>, ListError> {
        let endpoints = items(&answer.body, "/data", "WorkOS's list of webhook endpoints")?;
        let endpoint = |endpoint: &Value| ProviderEndpoint {
            id: text(endpoint, "id").unwrap_or_default(),
            url: Some(text(endpoint, "endpoint_url").unwrap_or_default()),
            is_enabled: endpoint.get("status").and_then(Value::as_str) == Some("enabled"),
            events: strings(endpoint.get("events")),
        };
        Ok(endpoints.iter().map(endpoint).collect())
    }

    fn event_log(&self) -> Option<&dyn ProviderLog> {
        Some(&WorkosEvents)
    }
}

/// Reads the events of one WorkOS environment.
#[derive(Debug)]
struct WorkosEvents;

impl ProviderLog for WorkosEvents {
    fn form(&self) -> LogForm {
        LogForm::Pages
    }

    fn request(&self, from: &LogStart) -> Request {
        let request =
            Request::get("/events").with("events", USER_EVENTS.join(",")).with("limit", LARGEST_PAGE);
        match from {
            LogStart::After(id) => request.with("after", id),
            LogStart::Since(time) => request.with("range_start", time),
        }
    }

    fn read_page(&self, from: &LogStart, answer: &Answer) -> Result<LogPage, ListError> {
        let mut events = items(&answer.body, "/data", "WorkOS's list of events")?;
        let last = events.last().map(|event| text(event, "id"));
        let cursor = match last {
            Some(None) => return Err(ListError::not_a_list("WorkOS's list of events")),
            last => last.flatten(),
        };
        events.iter_mut().for_each(with_zone);
        // A server that ignores `after` returns the same page again and again.
        let has_advanced = cursor.is_some() && *from != LogStart::After(cursor.clone().unwrap_or_default());
        let has_more = answer.body.pointer("/list_metadata/after").is_some_and(Value::is_string);
        Ok(LogPage { events, cursor, has_more: has_more && has_advanced })
    }

    fn refusal(&self, from: &LogStart, answer: &Answer) -> LogRefusal {
        match (answer.status, from) {
            (403, _) => LogRefusal::Forbidden,
            (400 | 404 | 410 | 422, LogStart::After(_)) => LogRefusal::PositionLost,
            _ => LogRefusal::Other,
        }
    }
}

/// Normalises the event's time: WorkOS writes some times with a space and without a time zone.
fn with_zone(event: &mut Value) {
    let Some(written) = text(event, "created_at") else { return };
    let normal = format!("{}Z", written.replacen(' ', "T", 1));
    if Timestamp::parse(&written).is_none() && Timestamp::parse(&normal).is_some() {
        event["created_at"] = Value::String(normal);
    }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{WorkosEvents, WorkosWatch};
    use crate::domain::Timestamp;
    use crate::providers::directory::Answer;
    use crate::providers::event_log::{LogRefusal, LogStart, ProviderLog as _};
    use crate::providers::watch::ProviderWatch as _;

    fn answer(body: Value) -> Answer {
        Answer { status: 200, body, ..Answer::default() }
    }

    fn page(ids: &[&str], after: Option<&str>) -> Answer {
        let event =
            |id: &&str| json!({"id": id, "event": "user.updated", "created_at": "2026-01-01T12:00:00Z"});
        let events: Vec<Value> = ids.iter().map(event).collect();
        answer(json!({"data": events, "list_metadata": {"before": null, "after": after}}))
    }

    fn after(id: &str) -> LogStart {
        LogStart::After(id.to_owned())
    }

    #[test]
    fn the_position_is_the_id_of_the_last_event_and_not_the_cursor_of_the_list() {
        let start = LogStart::Since(Timestamp::from_seconds(1_767_268_800));
        let query = WorkosEvents.request(&start).query;
        assert!(query.contains(&("range_start".to_owned(), "2026-01-01T12:00:00Z".to_owned())), "{query:?}");
        assert!(query.contains(&("events".to_owned(), "user.created,user.updated,user.deleted".to_owned())));

        let first = WorkosEvents.read_page(&start, &page(&["event_1", "event_2"], Some("event_2"))).unwrap();
        assert_eq!((first.cursor.as_deref(), first.has_more), (Some("event_2"), true));
        let last = WorkosEvents.read_page(&after("event_2"), &page(&["event_3"], None)).unwrap();
        assert_eq!((last.cursor.as_deref(), last.has_more), (Some("event_3"), false));
        let empty = WorkosEvents.read_page(&after("event_3"), &page(&[], None)).unwrap();
        assert_eq!((empty.cursor, empty.has_more), (None, false));
        assert!(
            WorkosEvents
                .request(&after("event_3"))
                .query
                .contains(&("after".to_owned(), "event_3".to_owned()))
        );
    }

    #[test]
    fn reading_ends_if_a_server_returns_the_same_page_again() {
        let again = page(&["event_1", "event_2"], Some("event_2"));
        assert!(!WorkosEvents.read_page(&after("event_2"), &again).unwrap().has_more);
    }

    #[test]
    fn a_refused_cursor_is_distinguished_from_other_refusals() {
        let refusal =
            |from: &LogStart, status| WorkosEvents.refusal(from, &Answer { status, ..Answer::default() });
        let since = LogStart::Since(Timestamp::EPOCH);
        for status in [400, 404, 410, 422] {
            assert_eq!(refusal(&after("event_1"), status), LogRefusal::PositionLost);
            assert_eq!(refusal(&since, status), LogRefusal::Other, "there was no cursor");
        }
        assert_eq!(refusal(&after("event_1"), 403), LogRefusal::Forbidden);
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let mut event = page(&["event_1"], None);
        event.body["data"][0]["created_at"] = json!("2023-04-28 20:05:31.093");
        let read = WorkosEvents.read_page(&after("event_0"), &event).unwrap();
        assert_eq!(read.events[0]["created_at"], "2023-04-28T20:05:31.093Z");
        event.body["data"][0]["created_at"] = json!("soon");
        assert_eq!(WorkosEvents.read_page(&after("e"), &event).unwrap().events[0]["created_at"], "soon");
    }

    #[test]
    fn an_answer_that_is_not_a_list_is_an_error_with_a_hint() {
        for body in [Value::Null, json!({"data": "x"}), json!({"data": [{"no": "id"}]})] {
            let error = WorkosEvents.read_page(&after("event_1"), &answer(body)).unwrap_err();
            assert!(error.to_string().contains("base_url"));
        }
    }

    #[test]
    fn endpoints_are_read_without_their_secrets() {
        let body = json!({"object": "list", "data": [{
            "object": "webhook_endpoint", "id": "we_1", "endpoint_url": "https://a.test/webhooks/workos",
            "secret": "SENTINEL", "status": "disabled", "events": ["user.created"],
        }]});
        let endpoints = WorkosWatch.read_endpoints(&answer(body)).unwrap();
        assert!(!format!("{endpoints:?}").contains("SENTINEL"));
        assert_eq!((endpoints[0].is_enabled, endpoints[0].events.len()), (false, 1));
    }
}
