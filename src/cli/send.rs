//! `usersync send`: what Svix does, once.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Client;
use url::Url;

use super::Usage;
use crate::clock::Clock;
use crate::config::is_loopback;
use crate::domain::Timestamp;
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
    /// Time of the attempt in seconds since 1970 [default: now]
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

/// What the webhook answered.
pub(super) struct Answer {
    pub(super) status: reqwest::StatusCode,
    pub(super) body: String,
}

/// An id that no message had before.
pub(super) fn new_message_id(clock: &Clock) -> String {
    format!("msg_{}", clock.fresh_id().simple())
}

/// A client for this address: no proxy stands between this machine and itself.
pub(super) fn client_to(url: &Url) -> reqwest::Result<Client> {
    let builder = Client::builder();
    if is_loopback(url) { builder.no_proxy() } else { builder }.build()
}

/// Signs a body and posts it.
pub(super) async fn post(
    to: &Url,
    secret: &str,
    id: &str,
    timestamp: Timestamp,
    body: Vec<u8>,
) -> anyhow::Result<Answer> {
    let signature = signature::sign(secret, id, timestamp, &body)
        .map_err(|error| Usage(format!("{error}; a secret is `whsec_` and base64, and a body is UTF-8")))?;
    let response = client_to(to)?
        .post(to.clone())
        .header("content-type", "application/json")
        .header("svix-id", id)
        .header("svix-timestamp", timestamp.as_seconds().to_string())
        .header("svix-signature", signature)
        .body(body)
        .send()
        .await
        .with_context(|| format!("nothing answers at {to}; is the service running?"))?;
    Ok(Answer { status: response.status(), body: response.text().await? })
}

/// A file's bytes, or those of standard input for `-`.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body)?;
        return Ok(body);
    }
    std::fs::read(file).map_err(|error| Usage(format!("cannot read {}: {error}", file.display())).into())
}
