//! `GET /v1/users/current/stream`: the current user as Server-Sent Events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::Stream;
use futures_util::stream::unfold;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tracing::warn;

use super::State;
use super::extract::{Caller, user_of};
use super::limits::Place;
use super::problem::{Code, Document, Problem};
use super::views::shown;
use crate::auth::Authenticated;
use crate::sync::Subscription;

/// Between two signs of life, as proxies close what is silent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Should a wake be lost, the row is read again after so many signs of life.
const BEATS_A_READING: u32 = 4;

/// The current user, now and on every change.
#[utoipa::path(
    get, path = "/v1/users/current/stream", tag = "users", security(("userToken" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String,
         description = "`pending` while there is no row; `user` with the user as data, at the start and on every change; \
                        `deleted` and `expired`, each the last one. A comment line every 15 s"),
        (status = 401, description = "`invalid_auth_header`, `no_auth_provider`, `unauthenticated`", body = Document),
        (status = 410, description = "`user_deleted`", body = Document),
        (status = 429, description = "`too_many_requests`", body = Document),
        (status = 503, description = "`keys_unavailable`, `database_unavailable`", body = Document),
    )
)]
pub(super) async fn follow(
    state: web::Data<State>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let place = state.limits.place(&request)?;
    let known = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let follower = Follower::new(state, caller.authenticated, known.to_owned(), place);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        // nginx would otherwise keep events back until its buffer is full.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(follower.events()))
}

/// Follows one user for one client. It works as the client reads: a slow one holds up only itself.
struct Follower {
    state: web::Data<State>,
    token: Arc<Authenticated>,
    _place: Place,
    changes: Subscription,
    heart: Interval,
    expiry: Instant,
    /// Signs of life so far.
    beats: u32,
    /// The id of what was told last.
    told: String,
    /// Whether the row is to be read.
    due: bool,
    /// Whether the last event was told.
    over: bool,
}

/// Why something is to be done.
enum Wake {
    Changed,
    Heartbeat,
    Expired,
    Stopping,
}

impl Follower {
    fn new(state: web::Data<State>, token: Arc<Authenticated>, told: String, place: Place) -> Self {
        let mut heart = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        // Signs of life that a slow client did not take are not made up for.
        heart.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            // First subscribe, then read: a change between the two is not missed.
            changes: state.feed.subscribe(&token.user),
            heart,
            expiry: Instant::now() + token.expires_at.since(state.clock.now()),
            state,
            token,
            _place: place,
            beats: 0,
            told,
            due: true,
            over: false,
        }
    }

    fn events(self) -> impl Stream<Item = Result<web::Bytes, Infallible>> {
        unfold(self, |mut follower| async move {
            let next = follower.next().await?;
            Some((Ok(next), follower))
        })
    }

    /// The next piece as it goes over the wire; `None` at the end.
    async fn next(&mut self) -> Option<web::Bytes> {
        while !self.over {
            if std::mem::take(&mut self.due) {
                match self.read().await {
                    Ok(Some(event)) => return Some(event),
                    Ok(None) => {}
                    Err(problem) => {
                        // The client comes again and hears why.
                        warn!(code = problem.code(), cause = problem.cause(), "a stream ends");
                        return None;
                    }
                }
            }
            match self.wait().await {
                Wake::Changed => self.due = true,
                Wake::Heartbeat => {
                    self.beats += 1;
                    self.due = self.beats.is_multiple_of(BEATS_A_READING);
                    return Some(web::Bytes::from_static(b":\n\n"));
                }
                Wake::Expired => return Some(self.last("expired")),
                Wake::Stopping => return None,
            }
        }
        None
    }

    /// Reads the row; something to tell, if it is not what was told last.
    async fn read(&mut self) -> Result<Option<web::Bytes>, Problem> {
        let (event, data) = match user_of(&self.state, &self.token).await {
            // JSON holds no line break, so it is one line of an event.
            Ok(Some(user)) => ("user", shown(&user)),
            Ok(None) => ("pending", web::Bytes::from_static(b"{}")),
            Err(problem) if problem.is(Code::UserDeleted) => return Ok(Some(self.last("deleted"))),
            Err(problem) => return Err(problem),
        };
        let id = id_of(&data);
        if self.told == id {
            return Ok(None);
        }
        let text = format!("event: {event}\nid: {id}\ndata: {}\n\n", String::from_utf8_lossy(&data));
        self.told = id;
        Ok(Some(text.into()))
    }

    async fn wait(&mut self) -> Wake {
        tokio::select! {
            () = self.changes.changed() => Wake::Changed,
            () = sleep_until(self.expiry) => Wake::Expired,
            () = self.state.stopping.cancelled() => Wake::Stopping,
            _ = self.heart.tick() => Wake::Heartbeat,
        }
    }

    fn last(&mut self, event: &str) -> web::Bytes {
        self.over = true;
        format!("event: {event}\ndata: {{}}\n\n").into()
    }
}

/// What a client that comes again names as the last thing it knows: the same for the same data.
fn id_of(data: &[u8]) -> String {
    Sha256::digest(data).iter().take(8).fold(String::new(), |id, byte| format!("{id}{byte:02x}"))
}
