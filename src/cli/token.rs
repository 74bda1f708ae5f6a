//! `usersync token`: signs a token of the development issuer.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Usage;
use super::dev::development::{DIRECTORY, Development};
use crate::clock::Clock;

#[derive(Debug, Args)]
pub(super) struct Token {
    /// The user's id at the development source
    #[arg(long, value_name = "ID")]
    sub: String,
    /// How long the token is valid
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    expires_in: Duration,
    /// Another claim, such as email=ada@example.com; a value that is valid JSON is used as JSON
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// Directory of `usersync dev`
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    directory: PathBuf,
}

impl Token {
    pub(super) fn run(self, clock: &Clock) -> anyhow::Result<()> {
        let development = Development::load(&self.directory)?.ok_or_else(|| {
            let directory = self.directory.display();
            Usage(format!("no development issuer in {directory}; start `usersync dev` there first"))
        })?;
        let claims = self.claims.iter().map(|claim| parse(claim)).collect::<Result<_, _>>()?;
        say!("{}", development.token(&self.sub, claims, clock.now(), self.expires_in)?);
        Ok(())
    }
}

fn parse(claim: &str) -> Result<(String, Value), Usage> {
    let (name, value) =
        claim.split_once('=').ok_or_else(|| Usage(format!("--claim {claim:?} is not NAME=VALUE")))?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((name.to_owned(), value))
}
