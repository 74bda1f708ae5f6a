//! `usersync doctor`: what is wrong, or will be, before a user finds out.
//!
//! It looks and changes nothing: a migration that is due is named, not applied, and a database file that is
//! not there is not made.

mod clock;
mod configuration;
mod database;
mod keys;

use std::fmt;
use std::path::Path;

use anyhow::bail;

use super::rules;
use crate::app;
use crate::clock::Clock;

/// Something that was looked at.
#[derive(Debug)]
struct Finding {
    level: Level,
    what: String,
    /// Why it matters, and what to do; not for what is well.
    advice: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Well,
    Warning,
    Error,
}

impl Finding {
    fn well(what: impl Into<String>) -> Self {
        Self { level: Level::Well, what: what.into(), advice: None }
    }

    fn warning(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warning, what: what.into(), advice: Some((why.into(), fix.into())) }
    }

    fn error(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Error, ..Self::warning(what, why, fix) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Well => "well",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        };
        write!(f, "  {mark:<8} {}", self.what)?;
        if let Some((why, fix)) = &self.advice {
            write!(f, "\n           why: {why}\n           fix: {fix}")?;
        }
        Ok(())
    }
}

pub(super) async fn run(file: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
    let config = super::configure_quietly(file)?;
    let rules = rules::all(&config);
    let authenticator = app::authenticator(&config, clock.clone()).map_err(app::StartError::from)?;

    let mut all = Vec::new();
    tell("configuration", configuration::look(&config, &rules), &mut all);
    tell("database", database::look(&config).await, &mut all);
    tell("keys", keys::look(&authenticator, &rules).await, &mut all);
    tell("clock", clock::look(&rules, &config.tokens, &clock).await, &mut all);

    let count = |level| all.iter().filter(|it| **it == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if errors > 0 {
        bail!("{errors} to mend, {warnings} to think about");
    }
    say!("nothing to mend, {warnings} to think about");
    Ok(())
}

/// Shows what was found about one thing, as soon as it was.
fn tell(about: &str, findings: Vec<Finding>, all: &mut Vec<Level>) {
    say!("{about}");
    for finding in findings {
        say!("{finding}");
        all.push(finding.level);
    }
    say!();
}
