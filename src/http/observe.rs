//! Around every request: its id, its log line, its metrics, its span of a trace.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, web};
use tracing::{Instrument, debug, error, error_span, info, warn};

use super::endpoint::RoutePattern;
use super::problem::Problem;
use super::state::AuthContext;
use crate::clock::Clock;
use crate::telemetry::{Request, Span};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;
/// The route of a request that no handler is for.
const UNMATCHED: &str = "unmatched";
/// These are requested every few seconds, so they have no trace.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let access = request.app_data::<web::Data<AuthContext>>();
    let clock = access.map_or_else(Clock::system, |access| access.clock.clone());
    let id = request_id(&request, &clock);
    let method = known_method(&request);
    let is_about_users = request.path().starts_with("/v1/");
    let trace = trace_of(&request, method);
    // The span has the level error, so that every log line has the id, whatever the filter. It is formatted for every request,
    // logged or not, so it has no other field. Without a trace the second one is absent.
    let span =
        error_span!("request", request_id = %id, trace_id = trace.trace_id().map(tracing::field::display));

    let answering = async move {
        let mut response = next.call(request).await?;
        let elapsed = started.elapsed();
        let route = route_of(response.request()).unwrap_or_else(|| UNMATCHED.to_owned());
        log(&response, method, &route, elapsed);
        describe(&trace, &response);
        if let Ok(value) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if is_about_users && !response.headers().contains_key(CACHE_CONTROL) {
            // The answer is for this client only, and true only now.
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(access) = response.request().app_data::<web::Data<AuthContext>>() {
            let status = response.status().as_u16();
            access.metrics.request(Request { method, route, status }, elapsed);
        }
        Ok(response)
    };
    answering.instrument(span).await
}

/// The pattern of the route, without the real path and query: both can contain personal data.
fn route_of(request: &HttpRequest) -> Option<String> {
    // Once an endpoint has answered, its pattern is known, without matching the path again.
    let answered = request.app_data::<RoutePattern>().map(|pattern| pattern.0.to_owned());
    answered.or_else(|| request.match_pattern())
}

/// The span of the request. The handler finds it among the extensions.
fn trace_of(request: &ServiceRequest, method: &'static str) -> Span {
    if PROBES.contains(&request.path()) {
        return Span::default();
    }
    let header = |name| request.headers().get_all(name).filter_map(|value| value.to_str().ok());
    let span = Span::of_request(method, || route_of(request.request()), header);
    if span.is_on() {
        request.extensions_mut().insert(span.clone());
    }
    span
}

/// Ends the span of a request with its answer.
fn describe<B>(span: &Span, response: &ServiceResponse<B>) {
    if !span.is_on() {
        return;
    }
    let status = response.status().as_u16();
    span.set_number("http.response.status_code", status);
    let problem = response.response().error().and_then(actix_web::Error::as_error::<Problem>);
    if let Some(problem) = problem {
        span.set("usersync.problem", problem.code());
    }
    if status >= 500 {
        span.fail(problem.map_or("500", Problem::code));
    }
    span.end();
}

/// The method, if it is a standard one. Otherwise clients could create any number of metric labels.
fn known_method(request: &ServiceRequest) -> &'static str {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    let name = request.method().as_str();
    METHODS.into_iter().find(|method| *method == name).unwrap_or("other")
}

fn log<B>(response: &ServiceResponse<B>, method: &str, route: &str, elapsed: Duration) {
    let status = response.status().as_u16();
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    let problem = response.response().error().and_then(actix_web::Error::as_error::<Problem>);
    let (code, cause) = problem.map_or(("", ""), |problem| (problem.code(), problem.cause()));
    match status {
        500.. => error!(method, route, status, code, cause, milliseconds, "answered"),
        // Without a cause it is an ordinary answer, for example `user_not_synced`.
        400.. if !cause.is_empty() => warn!(method, route, status, code, cause, milliseconds, "answered"),
        // A change is logged where it is made, and the metrics count every request.
        200..300 => debug!(method, route, status, milliseconds, "answered"),
        _ => info!(method, route, status, code, milliseconds, "answered"),
    }
}

/// The client's own request id if it is short and plain, else a new one.
fn request_id(request: &ServiceRequest, clock: &Clock) -> String {
    let plain = |id: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        !id.is_empty() && id.len() <= LONGEST_REQUEST_ID && id.bytes().all(allowed)
    };
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain);
    given.map_or_else(|| clock.fresh_id().to_string(), str::to_owned)
}
