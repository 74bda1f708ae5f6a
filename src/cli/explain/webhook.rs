//! `usersync explain webhook`

use std::path::{Path, PathBuf};

use clap::Args;
use http::HeaderMap;

use super::{show, time};
use crate::cli::Usage;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::explain::webhook::{self, Saved};

#[derive(Debug, Args)]
pub(in crate::cli) struct Webhook {
    /// File with the request's headers, a line `name: value` for each
    #[arg(long, value_name = "FILE")]
    headers: PathBuf,
    /// File with the request's body, byte for byte, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// The source that it was sent to: the last part of the URL
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Check it as of this time, for a request saved earlier: RFC 3339, or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    at: Option<Timestamp>,
}

impl Webhook {
    pub(super) fn run(self, config: Option<&Path>, clock: &Clock) -> anyhow::Result<()> {
        let config = crate::cli::configure_quietly(config)?;
        let headers = headers(&self.headers)?;
        let body = crate::cli::send::read(&self.body)?;
        let at = self.at.unwrap_or_else(|| clock.now());
        let saved = Saved { source: &self.source, headers: &headers, body: &body, at };
        let report = webhook::report(&config, saved).map_err(|error| Usage(error.to_string()))?;
        show(&report, webhook::ALL_PASSED)
    }
}

fn headers(file: &Path) -> anyhow::Result<HeaderMap> {
    let bytes = crate::cli::send::read(file)?;
    // The line itself is not shown, because it may hold a secret.
    let wrong = |line: usize| Usage(format!("{}: line {line} is not `name: value`", file.display()));
    Ok(webhook::parse_headers(&bytes).map_err(wrong)?)
}
