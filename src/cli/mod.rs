//! The command line: one file a command.
#![expect(clippy::print_stderr, reason = "a command speaks to the terminal")]

/// Prints a line. Where nobody reads any more (`| head`) there is nobody to tell, and the work goes on.
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($what)*).unwrap_or_default();
    }};
}

mod bind;
mod dev;
mod development;
mod doctor;
mod explain;
mod fetching;
mod keys;
mod migrate;
mod progress;
mod replay;
mod round_trip;
mod rules;
mod send;
mod serve;
mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::app::StartError;
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, Log};
use crate::store::StoreError;
use crate::{providers, telemetry};

/// Your identity provider's users, in your own database, always right.
#[derive(Debug, Parser)]
#[command(name = "usersync", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file [default: the one that `USERSYNC_CONFIG` names, else usersync.toml if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Migrate the database, then run the service until SIGTERM
    Serve,
    /// Try it: the service on loopback with SQLite, a development source and a token issuer; no account
    /// needed
    Dev(dev::Dev),
    /// Apply migrations and exit
    Migrate(migrate::Migrate),
    /// Sign an event as Svix does and post it
    Send(send::Send),
    /// Mint a token of the development issuer
    Token(token::Token),
    /// Take deliveries in once more: fixtures, the journal, what is parked; or work the table out anew
    Replay(replay::Replay),
    /// Check configuration, database, keys and clock; each finding says what, why, and how to fix it
    Doctor,
    /// Show each check of a token or a delivery, and how to fix the first that failed
    #[command(subcommand)]
    Explain(explain::Explain),
    /// Service API keys
    #[command(subcommand)]
    Keys(keys::Keys),
}

/// The command was called in a way that cannot work: exit code 2, as for a wrong configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Runs a command: 0 done, 1 failed, 2 usage or configuration.
pub async fn run(cli: Cli) -> ExitCode {
    let clock = Clock::system();
    let config = cli.config.as_deref();
    let done = match cli.command {
        Command::Dev(_) if config.is_some() => {
            Err(Usage("`usersync dev` configures itself and reads no --config".to_owned()).into())
        }
        Command::Serve => serve::run(config, clock).await,
        Command::Dev(dev) => dev.run(clock).await,
        Command::Migrate(migrate) => migrate.run(config).await,
        Command::Send(send) => send.run(clock).await,
        Command::Token(token) => token.run(&clock),
        Command::Replay(replay) => replay.run(config, clock).await,
        Command::Doctor => doctor::run(config, clock).await,
        Command::Explain(explain) => explain.run(config, clock).await,
        Command::Keys(keys) => keys.run(config, clock).await,
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    if is_of_the_database(&error) {
        eprintln!("{}", remedy_of_the_database(&format!("{error:#}")));
    }
    if is_usage(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// What to do about a failure in the database's own words, which are all that it gives.
fn remedy_of_the_database(words: &str) -> &'static str {
    if words.contains("already exists") {
        "somebody else's table has this name: give usersync a schema of its own, made beforehand, by \
         `?options=-csearch_path%3Dusersync` at the end of DATABASE_URL; on SQLite a file of its own"
    } else if words.contains("no schema has been selected") {
        "the schema that DATABASE_URL names as search_path is not there: make it with CREATE SCHEMA"
    } else {
        "check DATABASE_URL (or `url` under [database]), and that the database runs and lets this user in"
    }
}

/// Whether what failed is how the command was called or configured.
fn is_usage(error: &anyhow::Error) -> bool {
    let start = error.downcast_ref::<StartError>();
    error.is::<Usage>()
        || error.is::<ConfigErrors>()
        || matches!(start, Some(StartError::Source(_) | StartError::Tokens(_)))
}

fn is_of_the_database(error: &anyhow::Error) -> bool {
    let start = error.downcast_ref::<StartError>();
    let store = error.downcast_ref::<StoreError>();
    matches!(store, Some(StoreError::Unavailable(_) | StoreError::Blocked(_)))
        || matches!(start, Some(StartError::Store(StoreError::Unavailable(_))))
}

/// The settings, from the file and the process's environment; logging begins with them.
fn configure(file: Option<&Path>) -> anyhow::Result<Config> {
    let config = settings(file)?;
    start_logs(&config.log)?;
    Ok(config)
}

/// The same for a command that tells everything itself: it logs only what `RUST_LOG` asks for.
fn configure_quietly(file: Option<&Path>) -> anyhow::Result<Config> {
    let config = settings(file)?;
    start_logs(&Log { level: LevelFilter::OFF.to_string(), ..config.log.clone() })?;
    Ok(config)
}

fn settings(file: Option<&Path>) -> Result<Config, ConfigErrors> {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Config::load(file, &environment, &providers::kinds())
}

/// Begins to log as configured, or as `RUST_LOG` says.
fn start_logs(settings: &Log) -> anyhow::Result<()> {
    let directives = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    telemetry::start_logs(settings, directives.as_deref()).map_err(|error| {
        Usage(format!("the log level cannot be read: {error}\nwrite it as `info` or `usersync=debug`")).into()
    })
}

/// A text as one word of a shell command.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=+@".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
