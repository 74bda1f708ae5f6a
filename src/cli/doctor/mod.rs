//! `usersync doctor`: checks the configuration and everything that the service depends on, before a user
//! notices a problem.
//!
//! It is read-only: it reports pending migrations but does not apply them, and it does not create a missing
//! database file.

mod configuration;
mod database;
mod endpoints;
mod issuers;
mod privileges;
mod sources;

use std::fmt;
use std::path::Path;

use anyhow::bail;

use crate::app;
use crate::clock::Clock;
use crate::explain::configured_rules;
use crate::telemetry;

/// The result of one check.
#[derive(Debug)]
struct Finding {
    level: Level,
    what: String,
    /// Why it matters and how to fix it; `None` if the check passed.
    advice: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ok,
    Warning,
    Error,
}

impl Finding {
    fn ok(what: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), advice: None }
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
            Level::Ok => "ok",
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
    let rules = configured_rules(&config);
    let authenticator = app::authenticator(&config, clock.clone()).map_err(app::StartError::from)?;

    let mut levels = Vec::new();
    print("configuration", configuration::check(&config, &rules), &mut levels);
    let [of_database, of_sources] = database::check(&config, clock.clone()).await;
    print("database", of_database, &mut levels);
    if !of_sources.is_empty() {
        print("sources", of_sources, &mut levels);
    }
    print("keys", issuers::check_keys(&authenticator, &rules).await, &mut levels);
    print("clock", issuers::check_clock(&rules, &config.tokens, &clock).await, &mut levels);

    let of_traces = check_traces();
    if !of_traces.is_empty() {
        print("traces", of_traces, &mut levels);
    }

    let count = |level| levels.iter().filter(|it| **it == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if errors > 0 {
        bail!("errors: {errors}, warnings: {warnings}");
    }
    say!("errors: 0, warnings: {warnings}");
    Ok(())
}

/// The variables of OpenTelemetry. Nothing, if traces are off.
fn check_traces() -> Vec<Finding> {
    let why = "`usersync serve` does not start with it";
    match telemetry::collector(&super::environment()) {
        Ok(collector) => {
            collector.map(|collector| Finding::ok(format!("exported to {collector}"))).into_iter().collect()
        }
        Err(invalid) => {
            let problems = invalid.0.into_iter();
            problems
                .map(|problem| Finding::error(problem, why, "correct the variable, or unset it"))
                .collect()
        }
    }
}

/// Prints the findings of one section as soon as they are known.
fn print(section: &str, findings: Vec<Finding>, levels: &mut Vec<Level>) {
    say!("{section}");
    for finding in findings {
        say!("{finding}");
        levels.push(finding.level);
    }
    say!("");
}
