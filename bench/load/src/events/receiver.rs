//! An app that events are sent to: it answers each with 204, and notes when it came and whom it is about.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use httparse::{EMPTY_HEADER, Request, Status};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

/// More than the largest event.
const BUFFER: usize = 64 * 1024;
/// More headers than this no event has.
const HEADERS: usize = 32;
/// No event takes as long as this.
const TIMEOUT: Duration = Duration::from_mins(2);
/// What stands before the user's id at the provider.
const EXTERNAL_ID: &[u8] = b"\"externalId\":\"";

/// A running app. A clone stands for the same one.
#[derive(Clone)]
pub(super) struct Receiver {
    address: SocketAddr,
    received: Arc<Received>,
}

#[derive(Default)]
struct Received {
    events: Mutex<Vec<Event>>,
    arrived: Notify,
}

/// An event that was received.
#[derive(Clone)]
pub(super) struct Event {
    pub(super) external_id: String,
    pub(super) at: Instant,
}

impl Receiver {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let receiver = Self { address: listener.local_addr()?, received: Arc::default() };
        let shared = Arc::clone(&receiver.received);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&shared)));
            }
        });
        Ok(receiver)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.received.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was received.
    pub(super) fn clear(&self) {
        self.events().clear();
    }

    /// Waits for this many events, and returns them.
    pub(super) async fn wait_for(&self, count: usize) -> anyhow::Result<Vec<Event>> {
        loop {
            let arrival = self.received.arrived.notified();
            {
                let events = self.events();
                if events.len() >= count {
                    return Ok(events.clone());
                }
            }
            if timeout(TIMEOUT, arrival).await.is_err() {
                bail!("{} of {count} events arrived", self.events().len());
            }
        }
    }
}

async fn serve(mut connection: TcpStream, received: Arc<Received>) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    loop {
        let read = connection.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let Some(length) = length(&buffer[..filled])? else { continue };
        if filled < length {
            continue;
        }
        let at = Instant::now();
        connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
        let external_id = external_id(&buffer[..length]).context("an event without a user")?;
        received.events.lock().unwrap_or_else(PoisonError::into_inner).push(Event { external_id, at });
        received.arrived.notify_waiters();
        buffer.copy_within(length..filled, 0);
        filled -= length;
    }
}

/// How many bytes a request has, once its head is there.
fn length(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut headers = [EMPTY_HEADER; HEADERS];
    let mut request = Request::new(&mut headers);
    let Status::Complete(head) = request.parse(bytes)? else { return Ok(None) };
    let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let body: usize = std::str::from_utf8(header.context("an event without a length")?.value)?.parse()?;
    if head + body > BUFFER {
        bail!("an event of {body} bytes");
    }
    Ok(Some(head + body))
}

fn external_id(request: &[u8]) -> Option<String> {
    let start = memmem::find(request, EXTERNAL_ID)? + EXTERNAL_ID.len();
    let end = memchr::memchr(b'"', &request[start..])?;
    Some(String::from_utf8_lossy(&request[start..start + end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Connection;

    #[test]
    fn a_request_is_complete_with_its_body() {
        let request = b"POST /events HTTP/1.1\r\ncontent-length: 27\r\n\r\n{\"data\":{\"externalId\":\"u\"}}";
        assert_eq!(length(&request[..20]).unwrap(), None);
        assert_eq!(length(request).unwrap(), Some(request.len()));
        assert_eq!(external_id(request).as_deref(), Some("u"));
        assert!(length(b"POST / HTTP/1.1\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn events_are_counted() {
        let receiver = Receiver::start().await.unwrap();
        let mut connection = Connection::open(receiver.address).await.unwrap();
        let request = b"POST /events HTTP/1.1\r\ncontent-length: 27\r\n\r\n{\"data\":{\"externalId\":\"u\"}}";
        // The generator's own client wants a length in each answer.
        connection.exchange(request).await.unwrap_err();
        assert_eq!(receiver.wait_for(1).await.unwrap()[0].external_id, "u");
        receiver.clear();
        assert!(receiver.events().is_empty());
    }
}
