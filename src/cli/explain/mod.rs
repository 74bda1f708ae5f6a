//! `usersync explain`: the checks of a token or a delivery, one by one, and how to fix the one that failed.
//!
//! The decision is made by the service's own code; this command only explains it. Nothing is written.

mod token;
mod webhook;

use std::path::Path;

use anyhow::bail;
use clap::Subcommand;

use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::explain::Report;

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

/// Shows a report; an error names the first check that failed.
fn show(report: &Report, if_all_passed: &str) -> anyhow::Result<()> {
    say!("{report}");
    if let Some(check) = report.first_failed() {
        bail!("the check `{check}` failed; the fix is shown above");
    }
    say!("{if_all_passed}");
    Ok(())
}

/// Parses `--at`.
fn time(text: &str) -> Result<Timestamp, String> {
    let seconds = || text.parse().ok().map(Timestamp::from_seconds);
    Timestamp::parse(text)
        .or_else(seconds)
        .ok_or_else(|| "write it as 2026-01-31T12:00:00Z or in seconds since 1970".to_owned())
}
