//! Which web pages may ask `/v1` from a browser.

use actix_cors::Cors;
use actix_web::middleware::Condition;

/// Seconds for which a browser need not ask again; some take no more than two hours.
const MAX_AGE: usize = 7_200;

/// Lets the scripts of these origins ask, and read refusals too. Without any origin there is nothing of it.
///
/// Credentials are never allowed: what vouches is the `Authorization` header, which a page sets itself, and
/// no cookie, which a browser would add to any page's request.
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
