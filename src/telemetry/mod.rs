//! Logs, metrics and traces.

mod logs;
mod metrics;
mod traces;

pub use logs::start_logs;
pub use metrics::{Metrics, Request};
pub use traces::{RunningTraces, Span, collector, start_traces};
