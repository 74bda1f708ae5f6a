//! Which web pages may call `/v1` from a browser (CORS).

use actix_cors::{Cors, CorsError};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Condition, Next};

use super::problem::{Code, Problem};
use crate::config::origin_matches;

/// How long a browser may cache a preflight, in seconds. Chromium caches it for two hours at most.
const MAX_AGE: usize = 7_200;

/// Allows scripts of these origins to call the API and to read refusals too. Without origins, no CORS header is sent.
///
/// Credentials mode is never allowed: a page sends its token in the `Authorization` header. No cookie is read, so a
/// browser has nothing to add to the request of another page.
pub(super) fn allow(origins: &[String]) -> Condition<Cors> {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST"])
        // Tracing libraries add headers of their own to each request of a page. Headers that are not read do no harm.
        .allow_any_header()
        // With `date` a page can calculate the difference between its clock and the service's, which decides when
        // tokens expire.
        .expose_headers(["date", "retry-after", "www-authenticate", "x-request-id"])
        .max_age(MAX_AGE);
    let cors = if origins == ["*"] {
        cors.allow_any_origin().send_wildcard()
    } else {
        let origins = origins.to_vec();
        cors.allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|origin| origins.iter().any(|one| origin_matches(one, origin)))
        })
    };
    Condition::new(!origins.is_empty(), cors)
}

/// Makes a problem document of a refused preflight, so that the page's developer and the log learn the reason.
pub(super) async fn explain_refusal(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let response = next.call(request).await?;
    let refused = response.response().error().and_then(actix_web::Error::as_error::<CorsError>);
    match refused.map(ToString::to_string) {
        None => Ok(response.map_into_left_body()),
        Some(cause) => {
            let problem = Problem::because(Code::PreflightRefused, cause);
            Ok(response.error_response(problem).map_into_right_body())
        }
    }
}
