//! What an answer of a provider's API says beside its content: the provider's time, a pause, an error message.

use std::time::Duration;

use serde_json::Value;

use crate::domain::{Timestamp, retry_after};
use crate::providers::directory::Answer;

/// The provider's clock. An answer from a cache has an older time.
pub(super) fn date(answer: &Answer) -> Option<Timestamp> {
    let is_cached = answer.header("age").is_some_and(|age| age.trim() != "0");
    if is_cached { None } else { Timestamp::from_http_date(answer.header("date")?) }
}

/// The pause that the provider requests: `Retry-After` in seconds or as a date, or `X-RateLimit-Reset` in Unix seconds.
pub(super) fn requested_pause(answer: &Answer, now: Timestamp) -> Option<Duration> {
    if let Some(text) = answer.header("retry-after") {
        return retry_after(text, now);
    }
    let reset = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
    Some(Timestamp::from_seconds(reset).since(now))
}

/// The provider's error message, if it is in one of the usual places, exactly as it was sent.
pub(super) fn error_message_in(body: &Value) -> String {
    let places = [
        "/errors/0/long_message",
        "/errors/0/message",
        "/error_description",
        "/message",
        "/detail",
        "/error",
    ];
    let words = places.iter().find_map(|place| body.pointer(place)?.as_str());
    let trace = body.get("clerk_trace_id").and_then(Value::as_str);
    let words = words.map(|words| format!(", {words}")).unwrap_or_default();
    let trace = trace.map(|trace| format!(", trace {trace}")).unwrap_or_default();
    words + &trace
}
