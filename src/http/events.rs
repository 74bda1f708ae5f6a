//! `GET /v1/events`: what changed since a cursor, at once or as soon as something changes.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use utoipa::IntoParams;

use super::extract::ServiceKey;
use super::problem::{Code, Problem};
use super::query;
use super::state::{Events, WaitContext};
use crate::domain::{EventKind, EventsRead};
use crate::events::{EventBodies, EventBody};
use crate::store::EventFilter;

const DEFAULT_LIMIT: u64 = 100;
const HIGHEST_LIMIT: u64 = 1_000;
/// The longest wait that can be requested, in seconds.
const LONGEST_WAIT: u64 = 30;
/// The log is read again after this time, in case a notification was lost.
const REREAD_INTERVAL: Duration = Duration::from_secs(1);

/// The query parameters of `GET /v1/events`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// `next` of the previous answer, or the `sequence` of an event. Without it, from the oldest event that is kept.
    after: Option<String>,
    /// The most events in one answer.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u64>,
    /// How many seconds to wait if there is no event yet. Values over 30 count as 30.
    #[serde(default)]
    #[param(maximum = 30, default = 0)]
    wait: u64,
    /// Only events of users of this source.
    source: Option<String>,
    /// Only events of this type: `user.created`, `user.updated` or `user.deleted`.
    r#type: Option<String>,
}

/// Events, and the cursor to continue from.
#[derive(Debug, Serialize)]
pub(super) struct EventList {
    events: Vec<EventBody>,
    next: String,
}

/// The parameters, checked.
struct Request {
    after: Option<i64>,
    limit: u64,
    wait: Duration,
    filter: EventFilter,
}

impl TryFrom<EventsQuery> for Request {
    type Error = Problem;

    fn try_from(query: EventsQuery) -> Result<Self, Problem> {
        let invalid = |cause: &str| Problem::because(Code::InvalidQuery, cause);
        let EventsQuery { after, limit, wait, source, r#type } = query;
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=HIGHEST_LIMIT).contains(&limit) {
            return Err(Problem::because(Code::InvalidQuery, format!("limit is {limit}")));
        }
        if source.as_ref().is_some_and(|source| source.contains('\0')) {
            return Err(invalid("a filter contains U+0000"));
        }
        let after = after.map(|after| cursor(&after).ok_or_else(|| invalid("the cursor is not a number")));
        let kind: Option<Result<EventKind, _>> = r#type.map(|name| name.parse());
        let kind = kind.transpose().map_err(|_| invalid("there is no event of this type"))?;
        let filter = EventFilter { source, kind };
        Ok(Self {
            after: after.transpose()?,
            limit,
            wait: Duration::from_secs(wait.min(LONGEST_WAIT)),
            filter,
        })
    }
}

fn cursor(text: &str) -> Option<i64> {
    let is_plain = !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// What changed since a cursor.
pub(super) async fn list(
    events: web::Data<Events>,
    waiting: web::Data<WaitContext>,
    _key: ServiceKey<EventsRead>,
    request: HttpRequest,
) -> Result<web::Json<EventList>, Problem> {
    let Request { after, limit, wait, filter } = query::read::<EventsQuery>(&request)?.try_into()?;
    if !events.is_logged {
        warn!(
            "events are requested, but none are logged: write [events] or [[endpoints]] into the configuration"
        );
    }
    let _permit = if wait.is_zero() { None } else { Some(waiting.limits.permit(&request, None)?) };
    let deadline = Instant::now() + wait;
    // Subscribe first, then read: so no change is missed between the two.
    let mut changes = waiting.feed.subscribe_to_all();
    let mut after = match after {
        Some(after) => after,
        None => events.log.start().await?,
    };
    loop {
        let EventBodies { events: page, next } = events.log.read(after, &filter, limit).await?;
        after = next;
        if !page.is_empty() || Instant::now() >= deadline {
            return Ok(web::Json(EventList { events: page, next: next.to_string() }));
        }
        tokio::select! {
            () = changes.changed() => {}
            () = sleep_until(deadline.min(Instant::now() + REREAD_INTERVAL)) => {}
            () = waiting.stopping.cancelled() => {
                return Ok(web::Json(EventList { events: Vec::new(), next: next.to_string() }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cursor;

    #[test]
    fn a_cursor_is_a_plain_number() {
        assert_eq!(cursor("0"), Some(0));
        assert_eq!(cursor("9223372036854775807"), Some(i64::MAX));
        for wrong in ["", "-1", "+1", "1.0", "abc", "9223372036854775808", " 1"] {
            assert_eq!(cursor(wrong), None, "{wrong:?}");
        }
    }
}
