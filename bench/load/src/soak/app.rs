//! An app that events are sent to. It checks signatures, keeps a copy of the table, and sometimes fails.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use httparse::{EMPTY_HEADER, Request, Status};
use serde_json::Value;
use svix::webhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::feed::{Rows, apply};
use super::random::Random;

/// More than the largest event.
const LARGEST: usize = 1024 * 1024;
const HEADERS: usize = 32;

/// A running app. Clones are the same one.
#[derive(Clone)]
pub(super) struct App {
    address: SocketAddr,
    secret: Arc<str>,
    state: Arc<Mutex<State>>,
}

struct State {
    random: Random,
    webhook: Webhook,
    rows: Rows,
    /// The last sequence of each user.
    sequences: HashMap<String, i64>,
    /// Users whose last event was refused: the next one is not, so that no event has to wait for minutes.
    refused: HashSet<String>,
    /// Everything is refused.
    is_out: bool,
    /// Whether it fails at all.
    is_reliable: bool,
    counts: Received,
    violations: Vec<String>,
}

/// How many events came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) taken: u64,
    /// Again, or older than what was known.
    pub(super) repeated: u64,
    pub(super) failed: u64,
}

/// What the app does with an event.
enum Reaction {
    Take,
    Fail,
    HangUp,
}

impl App {
    pub(super) async fn start(seed: u64, secret: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let state = State {
            random: Random::new(seed.wrapping_add(2)),
            webhook: Webhook::new(&secret)?,
            rows: Rows::new(),
            sequences: HashMap::new(),
            refused: HashSet::new(),
            is_out: false,
            is_reliable: false,
            counts: Received::default(),
            violations: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let app = Self { address: listener.local_addr()?, secret: secret.into(), state };
        let shared = app.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let app = shared.clone();
                tokio::spawn(async move { app.serve(connection).await });
            }
        });
        Ok(app)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rows(&self) -> Rows {
        self.state().rows.clone()
    }

    pub(super) fn counts(&self) -> Received {
        self.state().counts
    }

    pub(super) fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut self.state().violations)
    }

    /// Whether everything is refused.
    pub(super) fn set_out(&self, is_out: bool) {
        self.state().is_out = is_out;
    }

    /// Fails no more.
    pub(super) fn become_reliable(&self) {
        self.state().is_reliable = true;
    }

    async fn serve(&self, mut connection: TcpStream) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        loop {
            if connection.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            if bytes.len() > LARGEST {
                bail!("an event without end");
            }
            let Some((length, event)) = self.state().read(&bytes)? else { continue };
            bytes.drain(..length);
            let (reaction, pause) = self.state().react(&event);
            sleep(pause).await;
            let answer = match reaction {
                Reaction::Take => "HTTP/1.1 204 No Content\r\n\r\n",
                Reaction::Fail => "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
                Reaction::HangUp => return Ok(()),
            };
            connection.write_all(answer.as_bytes()).await?;
        }
    }
}

impl State {
    /// The next request, once it is whole, and how long it is.
    fn read(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(usize, Value)>> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut request = Request::new(&mut headers);
        let Status::Complete(head) = request.parse(bytes)? else { return Ok(None) };
        let header = |name: &str| {
            let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            std::str::from_utf8(found.with_context(|| format!("an event without {name}"))?.value)
                .map_err(anyhow::Error::from)
        };
        let length: usize = header("content-length")?.parse()?;
        let Some(body) = bytes.get(head..head + length) else { return Ok(None) };
        let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?.parse()?);
        let expected = self.webhook.sign(id, timestamp, body)?;
        if !header("webhook-signature")?.split(' ').any(|signature| signature == expected) {
            self.violations.push(format!("the event {id} has a wrong signature"));
        }
        Ok(Some((head + length, serde_json::from_slice(body)?)))
    }

    fn react(&mut self, event: &Value) -> (Reaction, Duration) {
        let user = event["data"]["externalId"].as_str().unwrap_or_default().to_owned();
        let pause = if self.random.one_in(50) { self.random.milliseconds(100, 3000) } else { Duration::ZERO };
        let fails = !self.refused.remove(&user) && self.random.one_in(20) && !self.is_reliable;
        if self.is_out || fails {
            self.counts.failed += 1;
            self.refused.insert(user);
            let reaction = if self.random.one_in(2) { Reaction::Fail } else { Reaction::HangUp };
            return (reaction, pause);
        }
        let id = event["data"]["id"].as_str().unwrap_or_default().to_owned();
        let sequence = event["sequence"].as_str().and_then(|text| text.parse().ok());
        let Some(sequence) = sequence else {
            self.violations.push(format!("an event without a sequence: {event}"));
            return (Reaction::Take, pause);
        };
        if event["type"] == "users.resync" {
            self.violations.push(format!("the app has missed events: {event}"));
        } else if self.sequences.get(&id).is_some_and(|last| *last >= sequence) {
            self.counts.repeated += 1;
        } else {
            self.counts.taken += 1;
            self.sequences.insert(id, sequence);
            apply(&mut self.rows, event);
        }
        // Sometimes the answer is lost, after the event was taken: it comes again.
        let is_lost = !self.is_reliable && self.random.one_in(100);
        if is_lost {
            self.refused.insert(user);
        }
        (if is_lost { Reaction::HangUp } else { Reaction::Take }, pause)
    }
}
