//! Traces by OpenTelemetry. Every span is made here. Off unless [`start_traces`] has turned them on: then there is no span,
//! and every function here returns at once.
//!
//! `tracing-opentelemetry` is not used: it would also export the log lines, which have the ids of users.

mod export;
mod variables;
mod w3c;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use opentelemetry::trace::{
    SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use quick_cache::sync::Cache;
use url::Url;
use uuid::Uuid;

use variables::{InvalidVariables, Settings};

/// How many events are remembered with their spans. An event is usually sent immediately after its commit.
const REMEMBERED_EVENTS: usize = 10_000;

/// One for the process, as the subscriber of the log is.
static TRACES: OnceLock<Traces> = OnceLock::new();

#[derive(Debug)]
struct Traces {
    tracer: SdkTracer,
    /// The spans that have logged events, by the ids of the events.
    events: Cache<Uuid, SpanContext>,
}

/// Ends the traces; nothing if they are off.
#[derive(Debug)]
pub struct RunningTraces(Option<SdkTracerProvider>);

/// Turns the traces on, if the standard variables of OpenTelemetry say so. Must be called within a tokio runtime.
///
/// `environment` has the variables of this process, which the SDK also reads by itself.
pub fn start_traces(environment: &BTreeMap<String, String>) -> Result<RunningTraces, InvalidVariables> {
    let Some(settings) = Settings::read(environment)? else { return Ok(RunningTraces(None)) };
    let provider = export::provider(&settings)?;
    let traces = Traces { tracer: provider.tracer("usersync"), events: Cache::new(REMEMBERED_EVENTS) };
    // A second start in one process (in tests) keeps the first ones.
    drop(TRACES.set(traces));
    Ok(RunningTraces(Some(provider)))
}

/// Where traces are exported to, without a password; `None` if they are off.
pub fn collector(environment: &BTreeMap<String, String>) -> Result<Option<String>, InvalidVariables> {
    let settings = Settings::read(environment)?;
    Ok(settings.map(|settings| settings.collector.origin().ascii_serialization()))
}

impl RunningTraces {
    /// Exports the spans that have ended, within a bounded time.
    pub async fn stop(self) {
        if let Some(provider) = self.0 {
            export::stop(provider).await;
        }
    }
}

/// A span; nothing while traces are off. It ends when [`Span::end`] is called, or the last clone is dropped.
///
/// An attribute may be a constant, a number, a name of the configuration or an id that was made here. Whatever a user or a
/// sender has written is never one: it could be personal data or a secret.
#[derive(Clone, Debug, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// The span of a request that is answered here. `header` returns all values of a header; `route` returns the pattern
    /// of the route, if there is one.
    ///
    /// Its parent is the `traceparent` of the request, if that is valid.
    pub fn of_request<'a, V: Iterator<Item = &'a str>>(
        method: &'static str,
        route: impl FnOnce() -> Option<String>,
        header: impl Fn(&'static str) -> V,
    ) -> Self {
        let Some(traces) = TRACES.get() else { return Self(None) };
        let parent = w3c::read(header(w3c::TRACEPARENT), header(w3c::TRACESTATE));
        let route = route();
        let name = route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let span = traces.begin(name, SpanKind::Server, parent);
        span.set("http.request.method", method);
        if let Some(route) = &route {
            span.set("http.route", route);
        }
        span
    }

    /// The span of an attempt to send an event. Its parent is the commit that has logged the event, if that was here and
    /// not long ago.
    pub fn of_event(event_id: Uuid) -> Self {
        let Some(traces) = TRACES.get() else { return Self(None) };
        let span = traces.begin("send event".to_owned(), SpanKind::Client, traces.events.get(&event_id));
        span.set("usersync.event_id", &event_id.to_string());
        span
    }

    /// The span of a request to another server, outside any other span.
    pub fn of_call(name: &'static str) -> Self {
        TRACES.get().map_or(Self(None), |traces| traces.begin(name.to_owned(), SpanKind::Client, None))
    }

    /// A step within this span.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Self {
        let (Some(parent), Some(traces)) = (&self.0, TRACES.get()) else { return Self(None) };
        let span = traces.tracer.build_with_context(traces.tracer.span_builder(name), parent);
        Self(Some(Context::new().with_span(span)))
    }

    /// Sets an attribute.
    pub fn set(&self, name: &'static str, value: &str) {
        self.set_value(name, || value.to_owned().into());
    }

    /// The same with a number.
    pub fn set_number(&self, name: &'static str, value: impl TryInto<i64>) {
        self.set_value(name, || value.try_into().unwrap_or(i64::MAX).into());
    }

    fn set_value(&self, name: &'static str, value: impl FnOnce() -> Value) {
        if let Some(context) = &self.0
            && context.span().is_recording()
        {
            context.span().set_attribute(KeyValue::new(name, value()));
        }
    }

    /// Of a request to another server: the method and the host. The rest of the URL may have a secret or an id of a user.
    pub fn set_call(&self, method: &str, url: &Url) {
        self.set("http.request.method", method);
        self.set("server.address", url.host_str().unwrap_or_default());
        self.set_number("server.port", url.port_or_known_default().unwrap_or_default());
    }

    /// The status of another server's answer. No redirect is followed, so it is a failure too.
    pub fn answered(&self, status: u16) {
        self.set_number("http.response.status_code", status);
        if self.is_on() && status >= 300 {
            self.fail(&status.to_string());
        }
    }

    /// What the span is about has failed.
    pub fn fail(&self, kind: &str) {
        self.set("error.type", kind);
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(""));
        }
    }

    /// Ends the span now.
    pub fn end(&self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }

    /// The id of its trace.
    pub fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|context| context.span().span_context().trace_id().to_string())
    }

    /// The headers that pass the trace on to another server.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        self.0.as_ref().map(|context| w3c::write(context.span().span_context())).unwrap_or_default()
    }

    /// An event was logged within this span; [`Span::of_event`] continues it.
    pub fn remember(&self, event_id: Uuid) {
        if let (Some(context), Some(traces)) = (&self.0, TRACES.get()) {
            traces.events.insert(event_id, context.span().span_context().clone());
        }
    }

    /// Whether there is a span.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }
}

impl Traces {
    fn begin(&self, name: String, kind: SpanKind, parent: Option<SpanContext>) -> Span {
        let builder = self.tracer.span_builder(name).with_kind(kind);
        let parent =
            parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        Span(Some(Context::new().with_span(self.tracer.build_with_context(builder, &parent))))
    }
}
