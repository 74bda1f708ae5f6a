//! `tracing` to standard error, for people or as JSON.

use std::fmt::Debug;
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{ParseError, Targets, filter_fn};
use tracing_subscriber::layer::{Context, SubscriberExt};
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
    let started = tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .with(filter_fn(holds_no_secret))
        .with(WithoutLateConnections)
        .try_init();
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

/// Leaves out what actix-server says of a connection that arrives while it stops: that is not an error. The connection
/// is closed, as it would be a moment later.
struct WithoutLateConnections;

impl<S: Subscriber> Layer<S> for WithoutLateConnections {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        if event.metadata().target() != "actix_server::accept" {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        message.0 != "No workers"
    }
}

/// The text of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::error;
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::WithoutLateConnections;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn of_a_listener_only_late_connections_are_left_out() {
        let output = Output::default();
        let writer = output.clone();
        let lines = fmt::layer().with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(lines).with(WithoutLateConnections);
        tracing::subscriber::with_default(subscriber, || {
            error!(target: "actix_server::accept", "No workers");
            error!(target: "actix_server::accept", "Error accepting connection: too many open files");
            error!(target: "actix_server::worker", "No workers");
        });
        let lines = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(!lines.contains("actix_server::accept: No workers"), "{lines}");
    }
}
