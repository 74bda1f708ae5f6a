//! Around every request: its id, its line in the log, its place in the metrics.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use tracing::{Instrument, debug, error, error_span, info, warn};

use super::State;
use super::problem::Problem;
use crate::clock::Clock;
use crate::telemetry::Request;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_REQUEST_ID: usize = 128;

pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let state = request.app_data::<web::Data<State>>();
    let clock = state.map_or_else(Clock::system, |state| state.clock.clone());
    let id = request_id(&request, &clock);
    // The pattern, not the path, and no query: both can hold what belongs in no log.
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let method = known_method(&request);
    let is_about_users = request.path().starts_with("/v1/");
    // Of the highest level, so that the id stands beside whatever a stricter filter lets through. It is written out
    // for every request, logged or not, so it holds nothing more.
    let span = error_span!("request", request_id = %id);

    let answering = async move {
        let mut response = next.call(request).await?;
        let elapsed = started.elapsed();
        log(&response, method, &route, elapsed);
        if let Ok(value) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if is_about_users {
            // What is said of a user is for who asked, now.
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(state) = response.request().app_data::<web::Data<State>>() {
            let status = response.status().as_u16();
            state.metrics.request(Request { method, route, status }, elapsed);
        }
        Ok(response)
    };
    answering.instrument(span).await
}

/// The method, if it is one of HTTP's own: any other word would be a label of the caller's making.
fn known_method(request: &ServiceRequest) -> &'static str {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    let asked = request.method().as_str();
    METHODS.into_iter().find(|method| *method == asked).unwrap_or("other")
}

fn log<B>(response: &ServiceResponse<B>, method: &str, route: &str, elapsed: Duration) {
    let status = response.status().as_u16();
    let milliseconds = elapsed.as_secs_f64() * 1000.0;
    let problem = response.response().error().and_then(actix_web::Error::as_error::<Problem>);
    let (code, cause) = problem.map_or(("", ""), |problem| (problem.code(), problem.cause()));
    match status {
        500.. => error!(method, route, status, code, cause, milliseconds, "answered"),
        // Without a cause it is an answer like others, such as that a user has not come yet.
        400.. if !cause.is_empty() => warn!(method, route, status, code, cause, milliseconds, "answered"),
        // What changed something has a line of its own, and the metrics count all.
        200..300 => debug!(method, route, status, milliseconds, "answered"),
        _ => info!(method, route, status, code, milliseconds, "answered"),
    }
}

/// The caller's own id of the request if it is a plain one, else a new one.
fn request_id(request: &ServiceRequest, clock: &Clock) -> String {
    let plain = |id: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        !id.is_empty() && id.len() <= LONGEST_REQUEST_ID && id.bytes().all(allowed)
    };
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(plain);
    given.map_or_else(|| clock.fresh_id().to_string(), str::to_owned)
}
