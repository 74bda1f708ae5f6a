//! Server-Sent Events as they come: only what usersync sends is understood.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use httparse::{EMPTY_HEADER, Response, Status, parse_chunk_size};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Ten thousand of them are open: each begins small, and grows with what comes.
const BUFFER: usize = 2048;
/// No stream answers more headers than this.
const HEADERS: usize = 32;
const LINE_END: &[u8] = b"\r\n";

/// One event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

/// An open stream.
pub(crate) struct Events {
    stream: TcpStream,
    wire: Wire,
}

impl Events {
    /// Asks for a stream and reads the head of the answer.
    pub(crate) async fn open(address: SocketAddr, request: &[u8]) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        stream.write_all(request).await?;
        let mut events = Self { stream, wire: Wire::default() };
        while !events.wire.take_head()? {
            events.read().await?;
        }
        Ok(events)
    }

    /// Waits for the next event; signs of life are none.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            while let Some(event) = self.wire.take_event()? {
                if event != Event::default() {
                    return Ok(event);
                }
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.wire.bytes.reserve(BUFFER);
        if self.stream.read_buf(&mut self.wire.bytes).await? == 0 {
            bail!("the program closed a stream");
        }
        Ok(())
    }
}

/// What has come and was not taken yet.
#[derive(Default)]
struct Wire {
    /// As they came, in chunks.
    bytes: Vec<u8>,
    /// Out of the chunks.
    text: Vec<u8>,
}

impl Wire {
    /// Whether the head was there.
    fn take_head(&mut self) -> anyhow::Result<bool> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut response = Response::new(&mut headers);
        let parsed = response.parse(&self.bytes).context("the program does not speak HTTP")?;
        let Status::Complete(length) = parsed else { return Ok(false) };
        let chunked = response.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("transfer-encoding")
                && header.value.eq_ignore_ascii_case(b"chunked")
        });
        if response.code != Some(200) || !chunked {
            bail!("no stream: {}", String::from_utf8_lossy(&self.bytes));
        }
        self.bytes.drain(..length);
        Ok(true)
    }

    /// The next event, if all of it is there.
    fn take_event(&mut self) -> anyhow::Result<Option<Event>> {
        // Before the next chunk is read: that may be the end of the stream.
        let end = loop {
            if let Some(end) = memmem::find(&self.text, b"\n\n") {
                break end;
            }
            if !self.take_chunk()? {
                return Ok(None);
            }
        };
        let mut event = Event::default();
        for line in str::from_utf8(&self.text[..end])?.lines() {
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("data", data)) => data.clone_into(&mut event.data),
                Some(("retry", _)) => {}
                _ if line.starts_with(':') => {}
                _ => bail!("a stream says {line:?}"),
            }
        }
        self.text.drain(..end + 2);
        Ok(Some(event))
    }

    /// Whether all of a chunk was there.
    fn take_chunk(&mut self) -> anyhow::Result<bool> {
        let Ok(parsed) = parse_chunk_size(&self.bytes) else { bail!("a stream does not come in chunks") };
        let Status::Complete((begin, size)) = parsed else { return Ok(false) };
        if size == 0 {
            bail!("the program ended a stream");
        }
        let end = begin + usize::try_from(size)?;
        let Some(after) = self.bytes.get(end..end + LINE_END.len()) else { return Ok(false) };
        if after != LINE_END {
            bail!("a chunk is longer than it says");
        }
        self.text.extend_from_slice(&self.bytes[begin..end]);
        self.bytes.drain(..end + LINE_END.len());
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    fn event(name: &str, id: &str, data: &str) -> Event {
        Event { name: name.to_owned(), id: id.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_may_come_in_any_pieces() {
        let chunks = ["retry: 2000\n\nevent: user\nid: 7\ndata: {\"a\"", ":1}\n", "\n", ":\n\n"];
        let body = chunks.map(|text| format!("{:x}\r\n{text}\r\n", text.len())).concat();
        let whole = [HEAD, body.as_bytes()].concat();
        for size in 1..whole.len() {
            let (mut wire, mut begun, mut seen) = (Wire::default(), false, Vec::new());
            for piece in whole.chunks(size) {
                wire.bytes.extend_from_slice(piece);
                begun = begun || wire.take_head().unwrap();
                while begun && let Some(event) = wire.take_event().unwrap() {
                    seen.push(event);
                }
            }
            let expected = [Event::default(), event("user", "7", r#"{"a":1}"#), Event::default()];
            assert_eq!(seen, expected, "pieces of {size}");
        }
    }

    #[test]
    fn the_last_event_comes_before_the_end() {
        let bytes = [HEAD, b"18\r\nevent: deleted\ndata: {}\n\r\n1\r\n\n\r\n0\r\n\r\n"].concat();
        let mut wire = Wire { bytes, ..Wire::default() };
        assert!(wire.take_head().unwrap());
        assert_eq!(wire.take_event().unwrap(), Some(event("deleted", "", "{}")));
        assert!(wire.take_event().unwrap_err().to_string().contains("ended a stream"));
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let failure = |bytes: &[u8]| {
            let mut wire = Wire { bytes: bytes.to_vec(), ..Wire::default() };
            wire.take_head().and_then(|_| wire.take_event()).unwrap_err().to_string()
        };
        assert!(failure(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n").contains("429"));
        assert!(failure(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").contains("no stream"));
        assert!(failure(&[HEAD, b"0\r\n\r\n"].concat()).contains("ended a stream"));
        assert!(failure(&[HEAD, b"event: user\n\n"].concat()).contains("in chunks"));
        assert!(failure(&[HEAD, b"2\r\nhello\r\n"].concat()).contains("longer than it says"));
    }
}
