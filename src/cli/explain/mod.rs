//! `usersync explain`: the checks of a token or a delivery, one by one, and how to fix the one that failed.
//!
//! The decision is made by the service's own code; this command only explains it. Nothing is written.

mod json_variants;
mod near_miss;
mod report;
mod signature_diagnosis;
mod token;
mod token_fix;
mod webhook;
mod webhook_fix;

use std::path::Path;

use clap::Subcommand;

use crate::clock::Clock;
use crate::domain::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Explain {
    /// Why a token is accepted or refused
    Token(token::Token),
    /// Why a delivery is accepted or refused, and what it would do
    Webhook(webhook::Webhook),
}

impl Explain {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
        match self {
            Self::Token(token) => token.run(config, clock).await,
            Self::Webhook(webhook) => webhook.run(config, &clock),
        }
    }
}

/// Parses `--at`.
fn time(text: &str) -> Result<Timestamp, String> {
    let seconds = || text.parse().ok().map(Timestamp::from_seconds);
    Timestamp::parse(text)
        .or_else(seconds)
        .ok_or_else(|| "write it as 2026-01-31T12:00:00Z or in seconds since 1970".to_owned())
}

/// The time between two timestamps, to the second, for people.
fn between(one: Timestamp, other: Timestamp) -> String {
    let seconds = one.as_seconds().abs_diff(other.as_seconds());
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}
