//! Many open streams, each read by a task of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::board::Notifications;
use super::events::Events;
use crate::call::Call;
use crate::connection::Connection;
use crate::deliveries::user;
use crate::program::Environment;

/// The route without its host.
const PATH: &str = "/v1/users/current/stream";
/// How many are being opened at a time.
const OPENING: u32 = 32;
/// Nothing takes as long as this.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Streams that are open; they are closed if this is dropped.
pub(super) struct OpenStreams {
    streams: u32,
    users: u32,
    board: Arc<Notifications>,
    _readers: JoinSet<()>,
}

impl OpenStreams {
    /// Opens so many streams, which follow the first so many users in turn, and waits for the first event of
    /// each.
    pub(super) async fn open(ground: &Environment, streams: u32, users: u32) -> anyhow::Result<Self> {
        let requests = (0..users).map(|number| {
            let bearer = ground.credentials.bearer(&user(number))?;
            Ok(Call::get(&ground.host(), PATH, &[("authorization", &bearer)]))
        });
        let requests: Arc<[Call]> = requests.collect::<anyhow::Result<_>>()?;
        let address = ground.address;
        let mut opening = JoinSet::new();
        for share in 0..OPENING {
            let requests = Arc::clone(&requests);
            opening.spawn(async move {
                let mut open = Vec::new();
                for (number, request) in (0..streams).zip(requests.iter().cycle()) {
                    if number % OPENING == share {
                        open.push(open_one(address, request, number % users).await?);
                    }
                }
                Ok::<_, anyhow::Error>(open)
            });
        }
        let board = Arc::new(Notifications::default());
        let mut readers = JoinSet::new();
        while let Some(open) = timeout(TIMEOUT, opening.join_next()).await.context("streams do not open")? {
            for events in open?? {
                readers.spawn(read(events, Arc::clone(&board)));
            }
        }
        Ok(Self { streams, users, board, _readers: readers })
    }

    /// Posts a delivery about a user and waits until all who follow it have been told.
    ///
    /// Tells how long its 200 took, and how long after that (or before) each stream was told, in milliseconds.
    pub(super) async fn tell(
        &self,
        address: SocketAddr,
        call: Call,
        followed: u32,
    ) -> anyhow::Result<(Duration, Vec<f64>)> {
        let followers = (0..self.streams).filter(|number| number % self.users == followed).count();
        self.board.expect(followers);
        // On a thread of its own, for this one may be busy with streams when the 200 comes.
        let (sent, answered) = spawn_blocking(move || post(address, &call)).await??;
        let told = timeout(TIMEOUT, self.board.all_told()).await;
        let (times, event) = told.map_err(|_| {
            anyhow!("{} of {followers} streams were told within {TIMEOUT:?}", self.board.count())
        })??;
        if !names(&event.data, followed) {
            bail!("received another user: {event:?}");
        }
        Ok((answered - sent, times.into_iter().map(|time| milliseconds(answered, time)).collect()))
    }

    /// Whether no stream has ended, or received an event more than once.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.board.check()
    }
}

async fn open_one(address: SocketAddr, request: &Call, followed: u32) -> anyhow::Result<Events> {
    let mut events = Events::open(address, &request.request).await?;
    let event = events.next().await?;
    if event.name != "user" || !names(&event.data, followed) {
        bail!("a stream begins with {event:?}");
    }
    Ok(events)
}

async fn read(mut events: Events, board: Arc<Notifications>) {
    loop {
        match events.next().await {
            Ok(event) if event.name == "user" => board.tell(event),
            Ok(event) => return board.fail(format!("a stream says {event:?}")),
            Err(error) => return board.fail(format!("{error:#}")),
        }
    }
}

fn names(data: &str, followed: u32) -> bool {
    data.contains(&format!(r#""externalId":"{}""#, user(followed)))
}

/// When it was sent and when it was answered.
fn post(address: SocketAddr, call: &Call) -> anyhow::Result<(Instant, Instant)> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = Connection::open(address).await?;
        let sent = Instant::now();
        let answer = timeout(TIMEOUT, connection.exchange(&call.request)).await.context("no answer")??;
        let answered = Instant::now();
        call.check(&answer).map_err(|wrong| anyhow!("the webhook was answered {wrong}"))?;
        Ok((sent, answered))
    })
}

/// From one moment to another, which may be the earlier one.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    (to.saturating_duration_since(from).as_secs_f64() - from.saturating_duration_since(to).as_secs_f64())
        * 1000.0
}
