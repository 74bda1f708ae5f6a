//! One round trip through the real routes, printed step by step: the event, the row, the answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Response;
use serde_json::{Map, Value, json};
use url::Url;

use super::development::{Development, SOURCE};
use crate::cli::send::{new_message_id, post};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::outgoing::client_for;

pub(super) const CREATED: &str = include_str!("../../../tests/fixtures/clerk/user_created_password.json");

const SAMPLES: [(&str, &str); 3] = [
    ("user_created.json", CREATED),
    ("user_updated.json", include_str!("../../../tests/fixtures/clerk/user_updated.json")),
    ("user_deleted.json", include_str!("../../../tests/fixtures/clerk/user_deleted.json")),
];
const TOKEN_LIFETIME: Duration = Duration::from_hours(1);

/// The round trip's inputs, and the files with the sample events that it writes.
pub(super) struct RoundTrip<'a> {
    base: &'a str,
    development: &'a Development,
    clock: &'a Clock,
    samples: Vec<PathBuf>,
}

impl<'a> RoundTrip<'a> {
    /// Writes the sample events: the payloads of the tests, for the sample user, each one second later than
    /// the one before.
    pub(super) fn new(
        base: &'a str,
        directory: &Path,
        development: &'a Development,
        clock: &'a Clock,
    ) -> anyhow::Result<Self> {
        let now = clock.now();
        let mut samples = Vec::new();
        for (seconds, (name, payload)) in SAMPLES.iter().enumerate() {
            let stamp = now.plus(Duration::from_secs(seconds as u64));
            let file = directory.join(name);
            fs::write(&file, sample(payload, &development.subject, stamp)?)
                .with_context(|| format!("cannot write {}", file.display()))?;
            samples.push(file);
        }
        Ok(Self { base, development, clock, samples })
    }

    /// The files with the sample events: created, updated, deleted.
    pub(super) fn samples(&self) -> &[PathBuf] {
        &self.samples
    }

    /// Sends the first sample event, reads the row, and requests the user of a token.
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let Development { secret, service_key, subject, .. } = self.development;
        let Some(sample) = self.samples.first() else { return Ok(()) };

        say!("1. The provider sends a signed event: user.created, for {subject} ({})", sample.display());
        let to = Url::parse(&format!("{}/webhooks/{SOURCE}", self.base))?;
        let answer =
            post(&to, secret, &new_message_id(self.clock), self.clock.now(), fs::read(sample)?).await?;
        say!("   POST /webhooks/{SOURCE} -> {} {}\n", answer.status, answer.body);
        ensure!(answer.status.is_success(), "the event was not accepted");

        say!("2. The user is now a row of the users table. Your own programs read it with a service key");
        let row = self.get(&format!("/v1/users?externalId={subject}"), service_key).await?;
        self.print(row).await?;

        say!("3. An app asks which user a token belongs to");
        let token = self.development.token(subject, Map::new(), self.clock.now(), TOKEN_LIFETIME)?;
        let user = self.get("/v1/users/current", &token).await?;
        self.print(user).await
    }

    async fn get(&self, path: &str, bearer: &str) -> anyhow::Result<(String, Response)> {
        let url = Url::parse(&format!("{}{path}", self.base))?;
        let request = client_for(&url).build()?.get(url).bearer_auth(bearer);
        Ok((path.to_owned(), request.send().await?))
    }

    async fn print(&self, (path, response): (String, Response)) -> anyhow::Result<()> {
        let status = response.status();
        let body: Value = serde_json::from_str(&response.text().await?)?;
        say!("   GET {path} -> {status}");
        for line in serde_json::to_string_pretty(&body)?.lines() {
            say!("   {line}");
        }
        say!("");
        ensure!(status.is_success(), "GET {path} answered {status}");
        Ok(())
    }
}

/// A payload of the tests with another user id and another time.
fn sample(payload: &str, subject: &str, stamp: Timestamp) -> anyhow::Result<String> {
    let milliseconds = json!(stamp.as_micros() / 1000);
    let mut event: Value = serde_json::from_str(payload)?;
    event["timestamp"] = milliseconds.clone();
    event["data"]["id"] = json!(subject);
    if event["data"].get("updated_at").is_some() {
        event["data"]["updated_at"] = milliseconds;
    }
    Ok(serde_json::to_string_pretty(&event)?)
}
