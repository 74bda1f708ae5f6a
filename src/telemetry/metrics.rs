//! Every metric of the service.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};
use strum::VariantArray as _;

use crate::domain::{EndpointState, SourceState, Timestamp};

/// In seconds: a lookup takes less than a millisecond, one that waits takes up to thirty seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Deliveries; up to the largest batch.
const BATCH_SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The metrics of one service.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    deliveries: Family<Delivery, Counter>,
    refused: Family<Refused, Counter>,
    tokens: Family<Token, Counter>,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    batches: Histogram,
    commits: Histogram,
    parked: Gauge<i64, AtomicI64>,
    key_fetches: Family<KeyFetch, Gauge<u64, AtomicU64>>,
    logged_events: Family<Delivery, Counter>,
    last_deliveries: Family<Source, Gauge<f64, AtomicU64>>,
    reconciled: Family<Source, Gauge<f64, AtomicU64>>,
    drift: Family<Drift, Gauge<i64, AtomicI64>>,
    states: Family<State, Gauge<i64, AtomicI64>>,
    event_attempts: Family<EventAttempt, Counter>,
    endpoint_states: Family<EndpointInState, Gauge<i64, AtomicI64>>,
    events_pending: Family<OfEndpoint, Gauge<i64, AtomicI64>>,
    events_lag: Family<OfEndpoint, Gauge<f64, AtomicU64>>,
    registry: Registry,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventAttempt {
    endpoint: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointInState {
    endpoint: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEndpoint {
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivery {
    source: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    source: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Token {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Drift {
    source: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    source: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyFetch {
    result: &'static str,
}

/// An answered request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The route's pattern, not the path: its values are few.
    pub route: String,
    /// The status of the answer.
    pub status: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("usersync");
        let key_fetches: Family<KeyFetch, _> = Family::default();
        // Both exist from the start, so that an alert can distinguish "none failed" from "not measured".
        for result in ["ok", "failed"] {
            drop(key_fetches.get_or_create(&KeyFetch { result }));
        }
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let r = &mut registry;
        let inner = Inner {
            deliveries: new(r, "deliveries", "Verified deliveries by outcome"),
            refused: new(r, "deliveries_refused", "Refused deliveries by problem code"),
            tokens: new(r, "tokens", "Checked tokens by result: `ok` or the problem code"),
            requests: new(r, "http_requests", "Answered requests"),
            durations: in_seconds(r, "http_request_duration", "Time from request to response", durations),
            batches: registered(
                r,
                "batch_deliveries",
                "Deliveries written by each transaction",
                Histogram::new(BATCH_SIZES),
            ),
            commits: in_seconds(
                r,
                "commit",
                "Duration of each transaction that writes deliveries",
                Histogram::new(BUCKETS),
            ),
            parked: new(r, "journal_parked", "Parked deliveries in the journal"),
            key_fetches: registered(r, "key_fetches", "Fetches of signing keys since the start", key_fetches),
            logged_events: new(
                r,
                "source_logged_events",
                "Events read from a provider's own log, by outcome: `duplicate` if a webhook had delivered it",
            ),
            last_deliveries: in_seconds(
                r,
                "source_last_delivery_timestamp",
                "When a delivery was last accepted",
                Family::default(),
            ),
            reconciled: in_seconds(
                r,
                "reconcile_last_success_timestamp",
                "When the table was last compared with the provider's whole list",
                Family::default(),
            ),
            drift: new(r, "source_drift", "Differences between table and provider, by kind"),
            states: new(r, "source_state", "1 for the state that a source has, 0 for the others"),
            event_attempts: new(r, "event_attempts", "Attempts to send events to endpoints by result"),
            endpoint_states: new(
                r,
                "endpoint_state",
                "1 for the state that the endpoint has, 0 for the others",
            ),
            events_pending: new(r, "events_pending", "Events that wait for the endpoint"),
            events_lag: in_seconds(
                r,
                "events_lag",
                "Age of the oldest event that waits for the endpoint",
                Family::default(),
            ),
            registry: with_version(registry),
        };
        Self(Arc::new(inner))
    }
}

/// Registers a new metric.
fn new<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    registered(registry, name, help, M::default())
}

fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn in_seconds<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn with_version(mut registry: Registry) -> Registry {
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Version of the running program", version);
    registry
}

impl Metrics {
    /// A verified delivery has its outcome.
    pub fn delivery(&self, source: &str, outcome: &'static str) {
        self.0.deliveries.get_or_create(&Delivery { source: source.to_owned(), outcome }).inc();
    }

    /// A delivery was refused. `source` must be a configured one, or a caller could make any number of labels.
    pub fn delivery_refused(&self, source: &str, code: &'static str) {
        self.0.refused.get_or_create(&Refused { source: source.to_owned(), code }).inc();
    }

    /// How many deliveries were refused since the start.
    pub fn refused(&self, source: &str, code: &'static str) -> u64 {
        let counted = self.0.refused.get(&Refused { source: source.to_owned(), code });
        counted.map_or(0, |counter| counter.get())
    }

    /// An event of a provider's own log has its outcome.
    pub fn logged_event(&self, source: &str, outcome: &'static str) {
        self.0.logged_events.get_or_create(&Delivery { source: source.to_owned(), outcome }).inc();
    }

    /// When a delivery of this source was last accepted.
    pub fn last_delivery(&self, source: &str, at: Timestamp) {
        self.0.last_deliveries.get_or_create(&Source { source: source.to_owned() }).set(seconds(at));
    }

    /// When this source was last compared with its provider's list.
    pub fn reconciled(&self, source: &str, at: Timestamp) {
        self.0.reconciled.get_or_create(&Source { source: source.to_owned() }).set(seconds(at));
    }

    /// How many differences of one kind there are between the table and the provider; `None` if it is not known.
    pub fn drift(&self, source: &str, kind: &'static str, count: Option<i64>) {
        let labels = Drift { source: source.to_owned(), kind };
        match count {
            Some(count) => drop(self.0.drift.get_or_create(&labels).set(count)),
            None => drop(self.0.drift.remove(&labels)),
        }
    }

    /// The state of a source.
    pub fn source_state(&self, source: &str, state: SourceState) {
        for known in SourceState::VARIANTS {
            let labels = State { source: source.to_owned(), state: known.as_str() };
            self.0.states.get_or_create(&labels).set(i64::from(*known == state));
        }
    }

    /// A token was checked; `result` is `ok` or the problem's code.
    pub fn token(&self, result: &'static str) {
        self.0.tokens.get_or_create(&Token { result }).inc();
    }

    /// A request was answered.
    pub fn request(&self, Request { method, route, status }: Request, duration: Duration) {
        let route = Route { route };
        self.0.durations.get_or_create(&route).observe(duration.as_secs_f64());
        let request = Request { method, route: route.route, status };
        self.0.requests.get_or_create(&request).inc();
    }

    /// A transaction is about to write this many deliveries.
    pub fn batch(&self, deliveries: usize) {
        self.0.batches.observe(f64::from(u32::try_from(deliveries).unwrap_or(u32::MAX)));
    }

    /// A transaction took this long.
    pub fn commit(&self, duration: Duration) {
        self.0.commits.observe(duration.as_secs_f64());
    }

    /// How many deliveries are parked now.
    pub fn parked(&self, count: u64) {
        self.0.parked.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Signing keys were fetched, or could not be.
    pub fn keys_fetched(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.0.key_fetches.get_or_create(&KeyFetch { result }).inc();
    }

    /// Counts an attempt to send an event to an endpoint; `result` is its result in one word.
    pub fn event_attempt(&self, endpoint: &str, result: &'static str) {
        self.0.event_attempts.get_or_create(&EventAttempt { endpoint: endpoint.to_owned(), result }).inc();
    }

    /// Sets the state of an endpoint.
    pub fn endpoint(&self, endpoint: &str, state: EndpointState, pending: u64, lag: Duration) {
        for one in EndpointState::VARIANTS {
            let labels = EndpointInState { endpoint: endpoint.to_owned(), state: one.name() };
            self.0.endpoint_states.get_or_create(&labels).set(i64::from(*one == state));
        }
        let labels = OfEndpoint { endpoint: endpoint.to_owned() };
        self.0.events_pending.get_or_create(&labels).set(i64::try_from(pending).unwrap_or(i64::MAX));
        self.0.events_lag.get_or_create(&labels).set(lag.as_secs_f64());
    }

    /// All metrics in the `OpenMetrics` text format.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        text::encode(&mut page, &self.0.registry).unwrap_or_default();
        page
    }
}

#[expect(clippy::cast_precision_loss, reason = "to the microsecond for some centuries")]
fn seconds(moment: Timestamp) -> f64 {
    moment.as_micros() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::{Metrics, Request};
    use crate::domain::{EndpointState, SourceState, Timestamp};

    /// By name: the type and the labels.
    type Described = BTreeMap<String, (String, BTreeSet<String>)>;

    /// The page of a service that has used each of its metrics.
    fn page() -> String {
        let metrics = Metrics::default();
        metrics.delivery("clerk", "applied");
        metrics.delivery_refused("clerk", "invalid_json");
        metrics.logged_event("clerk", "applied");
        metrics.last_delivery("clerk", Timestamp::EPOCH);
        metrics.reconciled("clerk", Timestamp::EPOCH);
        metrics.drift("clerk", "missing", Some(1));
        metrics.source_state("clerk", SourceState::Ok);
        metrics.token("ok");
        let request = Request { method: "GET", route: "/healthz".to_owned(), status: 200 };
        metrics.request(request, Duration::ZERO);
        metrics.event_attempt("app", "2xx");
        metrics.endpoint("app", EndpointState::Healthy, 0, Duration::ZERO);
        metrics.encode()
    }

    fn served() -> Described {
        let page = page();
        let mut described = Described::new();
        for (name, kind) in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            // A histogram has a label of its own, and then samples without it.
            let series = format!("{name}{}", if kind == "histogram" { "_count" } else { suffix });
            let sample = page.lines().find_map(|line| line.strip_prefix(&*series)?.split_once([' ', '{']));
            let Some((_, rest)) = sample else { panic!("the test has to use {name}:\n{page}") };
            let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
            let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            described.insert(format!("{name}{suffix}"), (kind.to_owned(), labels.collect()));
        }
        described
    }

    fn documented() -> Described {
        let rows = include_str!("../../docs/metrics.md").lines().filter(|line| line.starts_with("| `"));
        let cells = rows.map(|row| row.split('|').map(str::trim).skip(1).collect::<Vec<_>>());
        let described = cells.map(|cells| {
            let labels = cells[2].split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels))
        });
        described.collect()
    }

    #[test]
    fn the_documented_metrics_are_those_that_are_served() {
        assert_eq!(served(), documented());
    }
}
