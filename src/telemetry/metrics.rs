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
use prometheus_client::registry::{Registry, Unit};
use strum::VariantArray as _;

use crate::domain::EndpointState;

/// In seconds: a lookup takes less than a millisecond, one that waits takes up to thirty seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Deliveries; up to the largest batch.
const BATCH_SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The metrics of one service.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    deliveries: Family<Delivery, Counter>,
    refused: Family<Refused, Counter>,
    tokens: Family<Token, Counter>,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    batches: Histogram,
    commits: Histogram,
    parked: Gauge<i64, AtomicI64>,
    key_fetches: Family<KeyFetch, Gauge<u64, AtomicU64>>,
    event_attempts: Family<EventAttempt, Counter>,
    endpoint_states: Family<EndpointInState, Gauge<i64, AtomicI64>>,
    events_pending: Family<OfEndpoint, Gauge<i64, AtomicI64>>,
    events_lag: Family<OfEndpoint, Gauge<f64, AtomicU64>>,
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
        let deliveries = Family::default();
        registry.register("deliveries", "Verified deliveries by outcome", deliveries.clone());
        let refused = Family::default();
        registry.register("deliveries_refused", "Refused deliveries by problem code", refused.clone());
        let tokens = Family::default();
        registry.register("tokens", "Checked tokens by result: `ok` or the problem code", tokens.clone());
        let requests = Family::default();
        registry.register("http_requests", "Answered requests", requests.clone());
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        registry.register_with_unit(
            "http_request_duration",
            "Time from request to response",
            Unit::Seconds,
            durations.clone(),
        );
        let batches = Histogram::new(BATCH_SIZES);
        registry.register("batch_deliveries", "Deliveries written by each transaction", batches.clone());
        let commits = Histogram::new(BUCKETS);
        registry.register_with_unit(
            "commit",
            "Duration of each transaction that writes deliveries",
            Unit::Seconds,
            commits.clone(),
        );
        let parked = Gauge::default();
        registry.register("journal_parked", "Parked deliveries in the journal", parked.clone());
        let key_fetches: Family<KeyFetch, _> = Family::default();
        // Both exist from the start, so that an alert can tell "none failed" from "not measured".
        for result in ["ok", "failed"] {
            drop(key_fetches.get_or_create(&KeyFetch { result }));
        }
        registry.register("key_fetches", "Fetches of signing keys since the start", key_fetches.clone());
        let event_attempts = Family::default();
        registry.register(
            "event_attempts",
            "Attempts to send events to endpoints by result",
            event_attempts.clone(),
        );
        let endpoint_states = Family::default();
        registry.register(
            "endpoint_state",
            "1 for the state that the endpoint has, 0 for the others",
            endpoint_states.clone(),
        );
        let events_pending = Family::default();
        registry.register("events_pending", "Events that wait for the endpoint", events_pending.clone());
        let events_lag = Family::default();
        registry.register_with_unit(
            "events_lag",
            "Age of the oldest event that waits for the endpoint",
            Unit::Seconds,
            events_lag.clone(),
        );
        registry.register(
            "build",
            "Version of the running program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let inner = Inner {
            registry,
            deliveries,
            refused,
            tokens,
            requests,
            durations,
            batches,
            commits,
            parked,
            key_fetches,
            event_attempts,
            endpoint_states,
            events_pending,
            events_lag,
        };
        Self(Arc::new(inner))
    }
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

    /// An event was sent to an endpoint, or could not be; `result` is in a word what came of it.
    pub fn event_attempt(&self, endpoint: &str, result: &'static str) {
        self.0.event_attempts.get_or_create(&EventAttempt { endpoint: endpoint.to_owned(), result }).inc();
    }

    /// How an endpoint stands now.
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
