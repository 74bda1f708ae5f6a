//! `usersync explain token`

use std::io::Read;
use std::path::Path;

use clap::Args;

use super::{show, time};
use crate::app;
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::explain::{configured_rules, token};

#[derive(Debug, Args)]
pub(in crate::cli) struct Token {
    /// The token, without `Bearer`; or `-` for standard input, which keeps it out of the shell's history
    jwt: String,
    /// Check it as of this time: RFC 3339, or seconds since 1970 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    at: Option<Timestamp>,
}

impl Token {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
        let config = crate::cli::configure_quietly(config)?;
        let clock = self.at.map_or(clock, Clock::fixed);
        let mut token = self.jwt;
        if token == "-" {
            token.clear();
            std::io::stdin().read_to_string(&mut token)?;
        }
        let token = token.trim();
        let authenticator = app::authenticator(&config, clock.clone()).map_err(app::StartError::from)?;
        let explained = authenticator.explain(token).await;
        let report = token::report(token, &explained, &configured_rules(&config), clock.now());
        show(&report, token::ALL_PASSED)
    }
}
