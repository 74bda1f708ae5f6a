//! `GET /v1/users/current/stream`: the current user as Server-Sent Events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{ConnectionType, Version, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::Stream;
use futures_util::stream::unfold;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::extract::{Caller, user_of};
use super::limits::StreamPermit;
use super::problem::{Code, Problem};
use super::query;
use super::state::{AuthContext, WaitContext};
use super::views::shown;
use crate::auth::Authenticated;
use crate::sync::Subscription;

/// A line of the first event: how long a client waits, in milliseconds, before it connects again after the end.
const RETRY: &str = "retry: 2000\n";
/// The time between two heartbeats. Proxies close connections that are silent for longer.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The row is read again after this many heartbeats, in case a notification was lost.
const HEARTBEATS_PER_READ: u32 = 4;

/// The current user, now and on every change.
pub(super) async fn follow(
    access: web::Data<AuthContext>,
    waiting: web::Data<WaitContext>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    query::refuse_parameters(&request)?;
    let permit = waiting.limits.permit(&request, Some(&caller.authenticated.user))?;
    let last_event_id =
        request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let token = caller.authenticated;
    let stream = UserEventStream {
        // Subscribe first, then read: so no change is missed between the two.
        changes: waiting.feed.subscribe(&token.user),
        heartbeat: heartbeat(),
        expiry: Instant::now() + token.expires_at.since(access.clock.now()),
        access,
        stopping: waiting.stopping.clone(),
        token,
        _permit: permit,
        heartbeats: 0,
        last_id: last_event_id.to_owned(),
        retry: RETRY,
        read_is_due: true,
        ended: false,
    };
    let mut response = HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        // Proxies that compress, such as those of Next.js and Express, would hold events back as well.
        .insert_header((header::CACHE_CONTROL, "no-store, no-transform"))
        // Without this nginx holds events back until its buffer is full.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(stream.events());
    if request.version() < Version::HTTP_11 {
        // HTTP/1.0 has no chunks: there the end of the connection is the end of the stream.
        response.head_mut().no_chunking(true);
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// The events of one user for one client. The next event is made when the client reads, so a slow client does not delay
/// others.
struct UserEventStream {
    access: web::Data<AuthContext>,
    stopping: CancellationToken,
    token: Arc<Authenticated>,
    _permit: StreamPermit,
    changes: Subscription,
    heartbeat: Interval,
    expiry: Instant,
    heartbeats: u32,
    /// The id of the last event that was sent.
    last_id: String,
    /// What is added to the next event.
    retry: &'static str,
    /// Whether the row must be read before anything else.
    read_is_due: bool,
    /// Whether the last event of the stream was sent.
    ended: bool,
}

/// What the stream waits for.
enum StreamWakeup {
    Changed,
    Heartbeat,
    Expired,
    Stopping,
}

impl UserEventStream {
    fn events(self) -> impl Stream<Item = Result<web::Bytes, Infallible>> {
        unfold(self, |mut stream| async move {
            let next = stream.next().await?;
            Some((Ok(next), stream))
        })
    }

    /// The next event or heartbeat, as bytes of the stream; `None` at the end.
    async fn next(&mut self) -> Option<web::Bytes> {
        while !self.ended {
            if std::mem::take(&mut self.read_is_due) {
                match self.read().await {
                    Ok(Some(event)) => return Some(event),
                    Ok(None) => {}
                    Err(problem) => {
                        // The client connects again, and that answer contains the reason.
                        warn!(
                            code = problem.code(),
                            cause = problem.cause(),
                            "a stream of the current user ends early"
                        );
                        return None;
                    }
                }
            }
            match self.wait().await {
                StreamWakeup::Changed => self.read_is_due = true,
                StreamWakeup::Heartbeat => {
                    self.heartbeats += 1;
                    self.read_is_due = self.heartbeats.is_multiple_of(HEARTBEATS_PER_READ);
                    return Some(web::Bytes::from_static(b":\n\n"));
                }
                StreamWakeup::Expired => return Some(self.last("expired")),
                StreamWakeup::Stopping => return None,
            }
        }
        None
    }

    /// Reads the row, and makes an event of it unless it is the event that was sent last.
    async fn read(&mut self) -> Result<Option<web::Bytes>, Problem> {
        let (event, data) = match user_of(&self.access, &self.token).await {
            // Compact JSON has no line break, so it fits in one `data` line.
            Ok(Some(user)) => ("user", shown(&user)),
            Ok(None) => ("pending", web::Bytes::from_static(b"{}")),
            Err(problem) if problem.is(Code::UserDeleted) => return Ok(Some(self.last("deleted"))),
            Err(problem) => return Err(problem),
        };
        let id = id_of(&data);
        if self.last_id == id {
            return Ok(None);
        }
        let retry = std::mem::take(&mut self.retry);
        let text = format!("event: {event}\nid: {id}\ndata: {}\n{retry}\n", String::from_utf8_lossy(&data));
        self.last_id = id;
        Ok(Some(text.into()))
    }

    async fn wait(&mut self) -> StreamWakeup {
        tokio::select! {
            () = self.changes.changed() => StreamWakeup::Changed,
            () = sleep_until(self.expiry) => StreamWakeup::Expired,
            () = self.stopping.cancelled() => StreamWakeup::Stopping,
            _ = self.heartbeat.tick() => StreamWakeup::Heartbeat,
        }
    }

    fn last(&mut self, event: &str) -> web::Bytes {
        self.ended = true;
        format!("event: {event}\ndata: {{}}\n\n").into()
    }
}

fn heartbeat() -> Interval {
    let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    // Heartbeats that a slow client missed are not sent later.
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

/// The id of an event: the same for the same data, on every replica. A client that connects again sends it as
/// `Last-Event-ID`.
fn id_of(data: &[u8]) -> String {
    Sha256::digest(data).iter().take(8).fold(String::new(), |id, byte| format!("{id}{byte:02x}"))
}
