//! Auth0's log of events, the newest users, and the event streams that send webhooks.
//!
//! Source: Auth0's Management API (`/api/v2/events`, `/api/v2/event-streams`) and its pages on consuming events. Known
//! pitfalls:
//! - The log is a stream of Server-Sent Events. Auth0 closes it every few minutes; the next connection continues at the
//!   last offset. `offset-only` messages move the offset forward while there are no events, so that it does not expire.
//! - 403 is a missing permission, or another connection that is still open: only the message shows which.
//! - The list of users is a search in an index that lags behind. So its newest users count only after ten minutes, and
//!   the number of users is that of the index.
//! - `from_timestamp` has whole seconds.

use std::time::Duration;

use serde_json::Value;

use crate::domain::{Timestamp, foreign_text};
use crate::providers::directory::{Answer, ListError, Request, encoded, items, text};
use crate::providers::event_log::{LogForm, LogMessage, LogRefusal, LogStart, ProviderLog, StreamMessage};
use crate::providers::watch::{Newest, ProviderEndpoint, ProviderWatch, USER_EVENTS};

/// Watches one Auth0 tenant.
#[derive(Debug)]
pub(super) struct Auth0Watch;

impl ProviderWatch for Auth0Watch {
    fn newest(&self) -> Option<Request> {
        let search = Request::get("/api/v2/users").with("sort", "created_at:-1").with("per_page", 10);
        Some(search.with("include_totals", "true").with("search_engine", "v3"))
    }

    fn read_newest(&self, answer: &Answer) -> Result<Newest, ListError> {
        let users = items(&answer.body, "/users", "a page of Auth0's users")?;
        let total = answer.body.get("total").and_then(Value::as_u64);
        let total =
            total.ok_or_else(|| ListError::not_a_list("a page of Auth0's users with their number"))?;
        Ok(Newest { users, total: Some(total) })
    }

    fn row_expected_after(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn endpoints(&self) -> Option<Request> {
        Some(Request::get("/api/v2/event-streams").with("take", 100))
    }

    fn read_endpoints(&self, answer: &Answer) -> Result<Vec<ProviderEndpoint>, ListError> {
        // The list is in `eventStreams`; older tenants return a plain array.
        let pointer = if answer.body.is_array() { "" } else { "/eventStreams" };
        let streams = items(&answer.body, pointer, "Auth0's list of event streams")?;
        Ok(streams.iter().map(endpoint).collect())
    }

    fn failed_deliveries(&self, endpoint: &ProviderEndpoint, since: Timestamp) -> Option<Request> {
        let path = format!("/api/v2/event-streams/{}/deliveries", encoded(&endpoint.id));
        let since = whole_seconds(since);
        Some(Request::get(path).with("statuses", "failed").with("date_from", since).with("take", 1))
    }

    fn has_failed_deliveries(&self, answer: &Answer) -> bool {
        let deliveries = answer.body.as_array().or_else(|| answer.body.get("deliveries")?.as_array());
        deliveries.is_some_and(|deliveries| !deliveries.is_empty())
    }

    fn event_log(&self) -> Option<&dyn ProviderLog> {
        Some(&Auth0Events)
    }
}

fn endpoint(stream: &Value) -> ProviderEndpoint {
    let string = |pointer: &str| stream.pointer(pointer).and_then(Value::as_str);
    let is_webhook = string("/destination/type").is_none_or(|kind| kind == "webhook");
    let url = string("/destination/configuration/webhook_endpoint").unwrap_or_default();
    let subscriptions = stream.get("subscriptions").and_then(Value::as_array).into_iter().flatten();
    ProviderEndpoint {
        id: text(stream, "id").unwrap_or_default(),
        // An Action can send to any URL.
        url: is_webhook.then(|| url.to_owned()),
        is_enabled: string("/status") == Some("enabled"),
        events: subscriptions.filter_map(|one| text(one, "event_type")).collect(),
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.as_seconds())
}

/// Reads the events of one Auth0 tenant.
#[derive(Debug)]
struct Auth0Events;

impl ProviderLog for Auth0Events {
    fn form(&self) -> LogForm {
        LogForm::Stream
    }

    fn request(&self, from: &LogStart) -> Request {
        let request = Request::get("/api/v2/events");
        let request = match from {
            LogStart::After(offset) => request.with("from", offset),
            LogStart::Since(time) => request.with("from_timestamp", whole_seconds(*time)),
        };
        USER_EVENTS.iter().fold(request, |request, event| request.with("event_type", event))
    }

    fn read_message(&self, message: &StreamMessage) -> LogMessage {
        let Ok(data) = serde_json::from_str::<Value>(&message.data) else { return LogMessage::Nothing };
        let offset = text(&data, "offset");
        match (message.event.as_str(), offset) {
            ("error", _) => of_error(data.get("error").unwrap_or(&data)),
            ("offset-only", Some(offset)) => LogMessage::Position(offset),
            (_, Some(cursor)) => match data.get("event") {
                Some(event) => LogMessage::Event { event: event.clone(), cursor },
                None => LogMessage::Position(cursor),
            },
            (_, None) => LogMessage::Nothing,
        }
    }

    fn refusal(&self, from: &LogStart, answer: &Answer) -> LogRefusal {
        let message = text(&answer.body, "message").unwrap_or_default().to_ascii_lowercase();
        match (answer.status, from) {
            (400, LogStart::After(_)) | (410, _) => LogRefusal::PositionLost,
            (403, _) if message.contains("concurrent") => LogRefusal::Busy,
            (403, _) => LogRefusal::Forbidden,
            (404, _) => LogRefusal::NotOffered,
            _ => LogRefusal::Other,
        }
    }
}

fn of_error(error: &Value) -> LogMessage {
    let code = error.get("code").and_then(Value::as_str).unwrap_or("an unnamed error");
    match (code, text(error, "offset")) {
        ("invalid_cursor" | "cursor_expired", _) => LogMessage::PositionLost,
        // The event at this offset can never be sent.
        ("payload_too_large", Some(offset)) => LogMessage::Skipped(offset),
        _ => LogMessage::Failed(foreign_text(code, &[])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Auth0Events, Auth0Watch};
    use crate::domain::Timestamp;
    use crate::providers::directory::Answer;
    use crate::providers::event_log::{LogMessage, LogRefusal, LogStart, ProviderLog as _, StreamMessage};
    use crate::providers::watch::ProviderWatch as _;

    fn message(event: &str, data: &Value) -> LogMessage {
        let message = StreamMessage { event: event.to_owned(), data: data.to_string() };
        Auth0Events.read_message(&message)
    }

    #[test]
    fn the_log_is_requested_from_the_last_offset_or_from_a_whole_second() {
        let since = LogStart::Since(Timestamp::from_micros(1_767_268_800_123_456));
        let query = Auth0Events.request(&since).query;
        assert_eq!(query[0], ("from_timestamp".to_owned(), "2026-01-01T12:00:00Z".to_owned()));
        assert_eq!(query.iter().filter(|(name, _)| name == "event_type").count(), 3);
        let query = Auth0Events.request(&LogStart::After("MTIz==".to_owned())).query;
        assert_eq!(query[0], ("from".to_owned(), "MTIz==".to_owned()));
    }

    #[test]
    fn messages_carry_events_and_offsets() {
        let event =
            json!({"type": "user.updated", "id": "evt_1", "data": {"object": {"user_id": "auth0|1"}}});
        let sent = json!({"offset": "1", "event": event});
        assert_eq!(message("user.updated", &sent), LogMessage::Event { event, cursor: "1".to_owned() });
        assert_eq!(message("offset-only", &json!({"offset": "2"})), LogMessage::Position("2".to_owned()));
        assert_eq!(message("user.updated", &json!({"event": {}})), LogMessage::Nothing);
        let garbled = StreamMessage { event: "user.updated".to_owned(), data: "{".to_owned() };
        assert_eq!(Auth0Events.read_message(&garbled), LogMessage::Nothing);
    }

    #[test]
    fn errors_of_the_stream_are_distinguished() {
        let error = |code: &str, offset: Option<&str>| {
            message("error", &json!({"error": {"code": code, "message": "x", "offset": offset}}))
        };
        assert_eq!(error("cursor_expired", None), LogMessage::PositionLost);
        assert_eq!(error("invalid_cursor", Some("1")), LogMessage::PositionLost);
        assert_eq!(error("payload_too_large", Some("7")), LogMessage::Skipped("7".to_owned()));
        for code in ["timeout", "processing_error", "connection_timeout", "something_new"] {
            assert_eq!(error(code, Some("1")), LogMessage::Failed(code.to_owned()));
        }
    }

    #[test]
    fn a_missing_permission_is_distinguished_from_an_open_connection() {
        let refusal = |status, from: &LogStart, words: &str| {
            let body = json!({"statusCode": status, "message": words});
            Auth0Events.refusal(from, &Answer { status, body, ..Answer::default() })
        };
        let (since, after) = (LogStart::Since(Timestamp::EPOCH), LogStart::After("1".to_owned()));
        let busy = "Maximum concurrent event stream connections reached. Please close existing connections.";
        assert_eq!(refusal(403, &after, busy), LogRefusal::Busy);
        assert_eq!(
            refusal(403, &after, "Insufficient scope; expected any of: read:events."),
            LogRefusal::Forbidden
        );
        assert_eq!(refusal(410, &after, ""), LogRefusal::PositionLost);
        assert_eq!(refusal(400, &after, "Invalid cursor format."), LogRefusal::PositionLost);
        assert_eq!(refusal(400, &since, "Unsupported event type."), LogRefusal::Other);
        assert_eq!(refusal(404, &since, ""), LogRefusal::NotOffered);
    }

    #[test]
    fn event_streams_are_endpoints_and_an_action_has_no_url() {
        let webhook = json!({"id": "est_1", "status": "enabled", "subscriptions": [{"event_type": "user.created"}],
            "destination": {"type": "webhook", "configuration": {
                "webhook_endpoint": "https://a.test/webhooks/auth0",
                "webhook_authorization": {"method": "bearer", "token": "SENTINEL"}}}});
        let action = json!({"id": "est_2", "status": "disabled", "destination": {"type": "action"}});
        let body = json!({"eventStreams": [webhook, action]});
        let read = Auth0Watch.read_endpoints(&Answer { status: 200, body, ..Answer::default() }).unwrap();
        assert!(read[0].is_at("/webhooks/auth0") && read[0].is_enabled && read[0].events == ["user.created"]);
        assert!(read[1].url.is_none() && !read[1].is_enabled);
        assert!(!format!("{read:?}").contains("SENTINEL"));
        let request = Auth0Watch.failed_deliveries(&read[0], Timestamp::from_micros(1_500_000)).unwrap();
        assert!(request.query.contains(&("date_from".to_owned(), "1970-01-01T00:00:01Z".to_owned())));
    }
}
