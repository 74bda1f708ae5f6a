//! Requests to a replica that may be gone: each over a connection of its own.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::connection::Connection;

/// An answer that was read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(formatter, "{} {}", self.status, body.chars().take(300).collect::<String>())
    }
}

impl Answer {
    #[cfg(test)]
    pub(super) fn of(status: u16, body: &str) -> Self {
        Self { status, head: String::new(), body: body.as_bytes().to_vec() }
    }

    pub(super) fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.split(':').next().is_some_and(|it| it.eq_ignore_ascii_case(header)))
    }

    pub(super) fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// Sends a request and reads the answer within a time.
pub(super) async fn ask(address: SocketAddr, request: &[u8], within: Duration) -> anyhow::Result<Answer> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(request).await?;
        let head = String::from_utf8_lossy(answer.head).into_owned();
        Ok(Answer { status: answer.status, head, body: answer.body.to_vec() })
    };
    timeout(within, exchange).await?
}
