//! `tracing` to standard error, for people or as JSON.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{ParseError, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// Begins to log; `directives` such as `usersync=debug` (the environment's `RUST_LOG`) win over the
/// configured level.
///
/// Errors: the filter cannot be read.
pub fn start_logs(settings: &Log, directives: Option<&str>) -> Result<(), ParseError> {
    let directives = directives.unwrap_or(&settings.level);
    // An empty one would be taken for `error`.
    let directives: Vec<&str> = directives.split(',').filter(|one| !one.trim().is_empty()).collect();
    let filter: Targets = directives.join(",").parse()?;
    // Without a level of its own, whatever is not named is told as usual.
    let default = filter.default_level().unwrap_or(LevelFilter::INFO);
    let filter = filter.with_default(default);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    // Filters of the whole, not of the layer: of those, a library that asks whether it may speak and then
    // does not leaves the answer behind for the next line, which is lost.
    let started = tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .with(filter_fn(speaks_of_no_secret))
        .try_init();
    // A second start in one process (a test) keeps the first.
    drop(started);
    Ok(())
}

/// These repeat what they were given, however loud: parts of the database's address, values that a database
/// quotes.
const INDISCREET: [&str; 2] = ["sqlx_postgres::options", "sqlx::postgres::notice"];

/// What libraries say below `warn` can hold statements, headers and bodies, or repeats what our own lines
/// say, whatever the filter asks for.
fn speaks_of_no_secret(metadata: &Metadata<'_>) -> bool {
    if INDISCREET.iter().any(|target| metadata.target().starts_with(target)) {
        return false;
    }
    let root = metadata.target().split("::").next().unwrap_or_default();
    root == "usersync" || *metadata.level() <= Level::WARN
}
