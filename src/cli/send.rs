//! `usersync send`: signs one event as Svix does, and posts it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use url::Url;

use super::Usage;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::outgoing::client_for;
use crate::signature;

#[derive(Debug, Args)]
pub(super) struct Send {
    /// File with the event's JSON, or `-` for standard input
    file: PathBuf,
    /// Webhook URL, such as <http://127.0.0.1:8787/webhooks/clerk>
    #[arg(long, value_name = "URL")]
    to: Url,
    /// Secret to sign with
    #[arg(long, value_name = "whsec_…")]
    secret: String,
    /// Message id [default: a new one]
    #[arg(long)]
    id: Option<String>,
    /// Time of the attempt, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    timestamp: Option<i64>,
}

impl Send {
    pub(super) async fn run(self, clock: Clock) -> anyhow::Result<()> {
        let body = read(&self.file)?;
        let id = self.id.unwrap_or_else(|| new_message_id(&clock));
        let timestamp = self.timestamp.map_or_else(|| clock.now(), Timestamp::from_seconds);
        let answer = post(&self.to, &self.secret, &id, timestamp, body).await?;
        say!("{} {}", answer.status, answer.body);
        if !answer.status.is_success() {
            bail!("{} was not accepted", self.file.display());
        }
        Ok(())
    }
}

/// The webhook's answer.
pub(super) struct Answer {
    pub(super) status: reqwest::StatusCode,
    pub(super) body: String,
}

/// A new, unique message id.
pub(super) fn new_message_id(clock: &Clock) -> String {
    format!("msg_{}", clock.fresh_id().simple())
}

/// Signs a body and posts it.
pub(super) async fn post(
    to: &Url,
    secret: &str,
    id: &str,
    timestamp: Timestamp,
    body: Vec<u8>,
) -> anyhow::Result<Answer> {
    let signature = signature::sign(secret, id, timestamp, &body).map_err(|error| {
        Usage(format!("{error}; a secret is `whsec_` followed by base64, and a body must be UTF-8"))
    })?;
    let response = client_for(to)
        .build()?
        .post(to.clone())
        .header("content-type", "application/json")
        .header("svix-id", id)
        .header("svix-timestamp", timestamp.as_seconds().to_string())
        .header("svix-signature", signature)
        .body(body)
        .send()
        .await
        .with_context(|| format!("no answer from {to}; is the service running?"))?;
    Ok(Answer { status: response.status(), body: response.text().await? })
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body)?;
        return Ok(body);
    }
    std::fs::read(file).map_err(|error| Usage(format!("cannot read {}: {error}", file.display())).into())
}
