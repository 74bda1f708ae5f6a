//! An app that events are sent to: it records what it receives, and its answers are set by the test.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// This is long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The answer of the app.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// This status and these additional headers.
    Status(u16, &'static str),
    /// No answer while the test runs.
    Silence,
    /// An answer whose body never ends.
    Endless,
    /// 200, after a pause.
    Slowly(Duration),
}

/// A message as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) traceparent: String,
    pub(crate) tracestate: String,
    pub(crate) body: Value,
    pub(crate) raw: String,
    /// When it was received.
    pub(crate) begun: Instant,
    pub(crate) answered: Option<Instant>,
}

impl Received {
    /// The type and the external id.
    pub(crate) fn brief(&self) -> String {
        let external_id = self.body["data"]["externalId"].as_str().unwrap_or("-");
        format!("{} {external_id}", self.body["type"].as_str().unwrap())
    }

    pub(crate) fn sequence(&self) -> i64 {
        self.body["sequence"].as_str().unwrap().parse().unwrap()
    }
}

/// A running app.
pub(crate) struct Receiver {
    url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

struct State {
    reply: Reply,
    received: Vec<Received>,
}

impl Receiver {
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/users", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { reply, received: Vec::new() }));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&shared)));
            }
        });
        Self { url, state, server }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn answer_with(&self, reply: Reply) {
        self.state.lock().unwrap().reply = reply;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    pub(crate) fn briefs(&self) -> Vec<String> {
        self.received().iter().map(Received::brief).collect()
    }

    pub(crate) fn forget(&self) {
        self.state.lock().unwrap().received.clear();
    }

    /// Waits until the received messages meet a condition.
    pub(crate) async fn until(&self, condition: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let until = Instant::now() + TIMEOUT;
        loop {
            let received = self.received();
            if condition(&received) {
                return received;
            }
            assert!(Instant::now() < until, "did not receive what was expected: {received:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits for this number of messages.
    pub(crate) async fn count(&self, count: usize) -> Vec<Received> {
        self.until(|received| received.len() >= count).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut connection: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut connection, &mut buffer).await {
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines
                .into_iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map_or("", |(_, it)| it)
                .to_owned()
        };
        let received = Received {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            traceparent: header("traceparent"),
            tracestate: header("tracestate"),
            body: serde_json::from_str(&body).unwrap(),
            raw: body,
            begun: Instant::now(),
            answered: None,
        };
        let (reply, place) = {
            let mut state = state.lock().unwrap();
            state.received.push(received);
            (state.reply.clone(), state.received.len() - 1)
        };
        let answer = match reply {
            Reply::Status(status, headers) => {
                format!("HTTP/1.1 {status} x\r\n{headers}content-length: 0\r\n\r\n")
            }
            Reply::Slowly(pause) => {
                tokio::time::sleep(pause).await;
                "HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            Reply::Silence => std::future::pending().await,
            Reply::Endless => {
                let chunk = [b'x'; 4096];
                connection.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 1073741824\r\n\r\n").await.ok();
                while connection.write_all(&chunk).await.is_ok() {}
                return;
            }
        };
        if let Some(received) = state.lock().unwrap().received.get_mut(place) {
            received.answered = Some(Instant::now());
        }
        if connection.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The head and the body of the next request.
async fn request(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or_default();
            if rest.len() >= length {
                buffer.drain(..head.len() + 4 + length);
                return Some((head.to_owned(), rest[..length].to_owned()));
            }
        }
        if connection.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
