//! The command line: one file for each command.
#![expect(clippy::print_stderr, reason = "a command prints to the terminal")]

/// Prints a line. A closed standard output (`| head`) is ignored, and the work continues.
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{}", $crate::cli::printable(&format!($($what)*))).unwrap_or_default();
    }};
}

/// Prints a line to standard error.
macro_rules! say_error {
    ($($what:tt)*) => { eprintln!("{}", $crate::cli::printable(&format!($($what)*))) };
}

mod backfill;
mod dev;
mod doctor;
mod endpoints;
mod explain;
mod health;
mod keys;
mod migrate;
mod progress;
mod pulling;
mod reconcile;
mod replay;
mod run_bar;
mod send;
mod serve;
mod since;
mod system;
mod token;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::app::StartError;
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, Log};
use crate::domain::is_invisible;
use crate::store::StoreError;
use crate::telemetry::RunningTraces;
use crate::{providers, telemetry};

/// Your identity provider's users, in your own database, kept in sync.
#[derive(Debug, Parser)]
#[command(name = "usersync", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file [default: `USERSYNC_CONFIG`, else usersync.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Migrate the database, then run the service until SIGTERM
    Serve,
    /// Try it: runs the service on loopback with SQLite, a development source and a token issuer; needs no
    /// account
    Dev(dev::Dev),
    /// Apply migrations and exit
    Migrate(migrate::Migrate),
    /// Sign an event as Svix does, and post it
    Send(send::Send),
    /// Sign a token of the development issuer
    Token(token::Token),
    /// Process deliveries again: event files, the journal, parked deliveries; or rebuild the users table
    Replay(replay::Replay),
    /// Import existing users from a provider's API or an export file
    Backfill(backfill::Backfill),
    /// Compare the table with a provider's list of users; report differences, and repair them with --repair and
    /// --delete
    Reconcile(reconcile::Reconcile),
    /// Check configuration, database, keys and clock; each finding has the problem, why it matters, and the
    /// fix
    Doctor,
    /// Ask the service on this machine whether it is alive; exit code 1 if not
    Health(health::Health),
    /// Show each check of a token or a delivery, and how to fix the first one that failed
    #[command(subcommand)]
    Explain(explain::Explain),
    /// Show the endpoints that events are sent to; test or enable one, or send it all changed users again
    #[command(subcommand)]
    Endpoints(endpoints::Endpoints),
    /// Manage service keys
    #[command(subcommand)]
    Keys(keys::Keys),
}

/// Wrong usage: exit code 2, as for a wrong configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Runs a command: 0 done, 1 failed, 2 usage or configuration.
pub async fn run(cli: Cli) -> ExitCode {
    let clock = Clock::system();
    let config = cli.config.as_deref();
    let done = match cli.command {
        Command::Reconcile(reconcile) => match reconcile.run(config, clock).await {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Dev(_) if config.is_some() => {
            Err(Usage("`usersync dev` has built-in settings and reads no --config".to_owned()).into())
        }
        Command::Serve => serve::run(config, clock).await,
        Command::Dev(dev) => dev.run(clock).await,
        Command::Migrate(migrate) => migrate.run(config).await,
        Command::Send(send) => send.run(clock).await,
        Command::Token(token) => token.run(&clock),
        Command::Replay(replay) => replay.run(config, clock).await,
        Command::Backfill(backfill) => backfill.run(config, clock).await,
        Command::Doctor => doctor::run(config, clock).await,
        Command::Health(health) => health.run(config).await,
        Command::Explain(explain) => explain.run(config, clock).await,
        Command::Endpoints(endpoints) => endpoints.run(config, clock).await,
        Command::Keys(keys) => keys.run(config, clock).await,
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    print_error(&error);
    if is_usage(&error) { ExitCode::from(2) } else { ExitCode::FAILURE }
}

fn print_error(error: &anyhow::Error) {
    say_error!("error: {error:#}");
    if let Some(cause) = database_error(error) {
        say_error!("{}", database_remedy(cause));
    }
    if lacks_certificates(error) {
        say_error!(
            "HTTPS needs the certificates of authorities: install the system's package of them (ca-certificates), or name a \
             file of them in SSL_CERT_FILE"
        );
    }
}

/// Whether a client for HTTPS could not be made because this machine trusts no authority, as in an empty container. The
/// library has only a text for it.
fn lacks_certificates(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("No CA certificates were loaded"))
}

/// A text as a terminal may show it. A control or an invisible character, which an id of another program may have, is
/// shown as JSON escapes it.
fn printable(text: &str) -> Cow<'_, str> {
    let is_hidden =
        |letter: char| (letter.is_control() && !matches!(letter, '\n' | '\t')) || is_invisible(letter);
    if !text.contains(is_hidden) {
        return text.into();
    }
    let escape = |letter: char| match letter {
        letter if is_hidden(letter) => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    };
    text.chars().map(escape).collect::<String>().into()
}

/// How to fix a failure of the database.
fn database_remedy(error: &StoreError) -> &'static str {
    if error.is_table_name_taken() {
        "another application's table has this name: give usersync a schema of its own by `schema` under \
            [database] (USERSYNC_DATABASE__SCHEMA); on SQLite, use a separate file"
    } else {
        "check DATABASE_URL (or `url` under [database]), and that the database runs and accepts connections \
            from this user"
    }
}

/// Whether the error is wrong usage or a wrong configuration.
fn is_usage(error: &anyhow::Error) -> bool {
    let start = error.downcast_ref::<StartError>();
    error.is::<Usage>()
        || error.is::<ConfigErrors>()
        || matches!(start, Some(StartError::Source(_) | StartError::Tokens(_)))
}

/// The database's error, if that is why the command failed and its setup may be the reason.
fn database_error(error: &anyhow::Error) -> Option<&StoreError> {
    let of_start = error.downcast_ref::<StartError>().and_then(|start| match start {
        StartError::Store(store) => Some(store),
        _ => None,
    });
    let store = error.downcast_ref::<StoreError>().or(of_start)?;
    matches!(store, StoreError::Unavailable(_) | StoreError::Blocked(_)).then_some(store)
}

/// Loads the settings from the file and the environment, and starts logging with them.
fn configure(file: Option<&Path>) -> anyhow::Result<Config> {
    let config = settings(file)?;
    start_logs(&config.log)?;
    Ok(config)
}

/// The same for a command that prints its own findings: it logs only if `RUST_LOG` is set.
fn configure_quietly(file: Option<&Path>) -> anyhow::Result<Config> {
    let config = settings(file)?;
    start_logs(&Log { level: LevelFilter::OFF.to_string(), ..config.log.clone() })?;
    Ok(config)
}

fn settings(file: Option<&Path>) -> Result<Config, ConfigErrors> {
    Config::load(file, &environment(), &providers::kinds())
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Turns traces on, if the environment says so.
fn start_traces() -> anyhow::Result<RunningTraces> {
    telemetry::start_traces(&environment()).map_err(|error| Usage(error.to_string()).into())
}

/// Starts logging as configured, or as set by `RUST_LOG`.
fn start_logs(settings: &Log) -> anyhow::Result<()> {
    let directives = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    telemetry::start_logs(settings, directives.as_deref()).map_err(|error| {
        Usage(format!("the log level is invalid: {error}\nwrite it as `info` or `usersync=debug`")).into()
    })
}

/// Quotes a string as one word of a shell command.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=+@".contains(&byte);
    if word.bytes().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
