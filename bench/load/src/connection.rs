//! One connection to a program, over which requests go as bytes: of an answer no more is read than must be known.
//!
//! What the generator uses is taken from what it measures, so this does the least: one write and mostly one
//! read for each exchange, into a buffer that stays.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use httparse::{EMPTY_HEADER, Response, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// As much as an answer usually takes, and more; the buffer grows with a larger one.
const BUFFER: usize = 16 * 1024;
/// More headers than this no program answers.
const HEADERS: usize = 32;

/// Carries one request after the other.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as it stands in the connection's buffer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER] })
    }

    /// Sends a request and waits for its answer; after an error nothing more can be sent.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let (status, length, end) = loop {
            if filled == self.buffer.len() {
                self.buffer.resize(2 * filled, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                bail!("the program closed a connection");
            }
            filled += read;
            let Some(head) = Head::parse(&self.buffer[..filled])? else { continue };
            let end = head.length + head.body;
            if filled > end {
                bail!("the program answers more than it was asked");
            }
            if filled == end {
                break (head.status, head.length, end);
            }
        };
        Ok(Answer { status, head: &self.buffer[..length], body: &self.buffer[length..end] })
    }
}

/// What must be known of an answer before its body.
#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    /// In bytes.
    length: usize,
    /// How many bytes follow.
    body: usize,
}

impl Head {
    /// `None` while it is not whole.
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut response = Response::new(&mut headers);
        let Status::Complete(length) = response.parse(bytes).context("the program does not speak HTTP")?
        else {
            return Ok(None);
        };
        let status = response.code.context("an answer has no status")?;
        let value = |name: &str| {
            let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            header.map(|header| String::from_utf8_lossy(header.value))
        };
        if let Some(encoding) = value("transfer-encoding") {
            bail!(
                "{status} with transfer-encoding {encoding}: only answers with a content-length are understood"
            );
        }
        let body = value("content-length").with_context(|| format!("{status} without a content-length"))?;
        let body = body.trim().parse().with_context(|| format!("{status} with content-length {body}"))?;
        Ok(Some(Self { status, length, body }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of one request to a program that writes these pieces and hangs up.
    async fn ask(pieces: &'static [&'static str]) -> anyhow::Result<(u16, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut connection = Connection::open(listener.local_addr()?).await?;
        let (mut peer, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut request = [0; 64];
            let _ = peer.read(&mut request).await;
            for piece in pieces {
                peer.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await?;
        Ok((answer.status, String::from_utf8(answer.body.to_vec())?))
    }

    #[tokio::test]
    async fn an_answer_may_come_in_pieces() {
        let whole = ask(&["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"]).await.unwrap();
        assert_eq!(whole, (200, "hello".to_owned()));
        let pieces =
            ask(&["HTTP/1.1 404 No", "t Found\r\ncontent-length: 5\r\n\r\nhe", "llo"]).await.unwrap();
        assert_eq!(pieces, (404, "hello".to_owned()));
    }

    #[tokio::test]
    async fn an_answer_may_be_larger_than_the_buffer() {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {0}\r\n\r\n{1:0$}", 3 * BUFFER, "");
        let (_, body) = ask(Box::leak(Box::new([answer.leak() as &str]))).await.unwrap();
        assert_eq!(body.len(), 3 * BUFFER);
    }

    #[tokio::test]
    async fn what_is_not_understood_is_refused() {
        let failures: [(&'static [&'static str], &str); 5] = [
            (
                &["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
                "transfer-encoding chunked",
            ),
            (&["HTTP/1.1 200 OK\r\n\r\n"], "without a content-length"),
            (&["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nok"], "more than it was asked"),
            (&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"], "closed a connection"),
            (&["220 mail.example.com ESMTP\r\n"], "does not speak HTTP"),
        ];
        for (pieces, failure) in failures {
            let error = format!("{:#}", ask(pieces).await.unwrap_err());
            assert!(error.contains(failure), "{pieces:?} leads to: {error}");
        }
    }
}
