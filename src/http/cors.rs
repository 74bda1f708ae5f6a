//! Which web pages may call `/v1` from a browser (CORS).

use actix_cors::Cors;
use actix_web::middleware::Condition;

/// How long a browser may cache a preflight, in seconds. Chromium caches it for two hours at most.
const MAX_AGE: usize = 7_200;

/// Allows scripts of these origins to call the API and to read refusals too. Without origins, no CORS header is sent.
///
/// Credentials mode is never allowed: a page sends its token in the `Authorization` header. No cookie is read, so a
/// browser has nothing to add to the request of another page.
pub(super) fn allow(origins: &[String]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers(["authorization", "content-type", "last-event-id", "x-request-id"])
        .expose_headers(["retry-after", "x-request-id"])
        .max_age(MAX_AGE);
    let cors = if origins == ["*"] {
        cors.allow_any_origin().send_wildcard()
    } else {
        origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
    };
    Condition::new(!origins.is_empty(), cors)
}
