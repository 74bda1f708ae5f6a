//! `tracing` to standard error, for people or as JSON.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{ParseError, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// Starts to log. `directives` such as `usersync=debug` (the environment's `RUST_LOG`) win over the
/// configured level.
///
/// Fails if the filter cannot be parsed.
pub fn start_logs(settings: &Log, directives: Option<&str>) -> Result<(), ParseError> {
    let directives = directives.unwrap_or(&settings.level);
    // An empty directive would mean `error`.
    let directives: Vec<&str> = directives.split(',').filter(|one| !one.trim().is_empty()).collect();
    let filter: Targets = directives.join(",").parse()?;
    // Targets that no directive names are logged at the usual level, unless a directive sets another.
    let default = filter.default_level().unwrap_or(LevelFilter::INFO);
    let filter = filter.with_default(default);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    // Global filters, not filters of the layer: with those, a library that checks whether an event is enabled and then
    // does not emit it leaves a state behind that loses the next line.
    let started =
        tracing_subscriber::registry().with(lines).with(filter).with(filter_fn(holds_no_secret)).try_init();
    // A second start in one process (in tests) keeps the first subscriber.
    drop(started);
    Ok(())
}

/// These log parts of the database's URL, or values that a database quotes, at every level.
const SECRET_TARGETS: [&str; 2] = ["sqlx_postgres::options", "sqlx::postgres::notice"];

/// What the SDK of OpenTelemetry logs of itself. A failure of an export is logged once, by our own code.
const SPANS_DROPPED: [&str; 2] =
    ["BatchSpanProcessor.SpanDroppingStarted", "BatchSpanProcessor.SpansDropped"];

/// Whether an event may be logged, independently of the filter: below `warn`, events of libraries can hold statements,
/// headers and bodies.
fn holds_no_secret(metadata: &Metadata<'_>) -> bool {
    if SECRET_TARGETS.iter().any(|target| metadata.target().starts_with(target)) {
        return false;
    }
    let root = metadata.target().split("::").next().unwrap_or_default();
    if root.starts_with("opentelemetry") {
        return SPANS_DROPPED.contains(&metadata.name());
    }
    root == "usersync" || *metadata.level() <= Level::WARN
}
