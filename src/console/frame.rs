//! Around every request to the console: the host is checked, failures become pages, and the headers are set.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::uri::PathAndQuery;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use askama::Template;
use tracing::{error, warn};

use super::access::is_htmx;
use super::assets;
use super::failure::Failure;
use super::layout::link;
use super::state::{Access, Console};
use crate::http::{client_address, client_name, is_for_this_machine};

/// Nothing but the console's own files, and no script in a page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    base: &'a str,
    style: &'a str,
    title: &'a str,
    text: &'a str,
    /// Where to go from here: an address, and its name.
    way: (&'a str, &'a str),
    /// A page that reloads itself.
    again: Option<&'a str>,
}

pub(super) async fn frame(
    console: Console,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let is_wrong_host = console.access() == Access::Open && !is_for_this_machine(request.headers());
    let mut response = if is_wrong_host {
        request.into_response(HttpResponse::from_error(Failure::WrongHost))
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let failure = response.response().error().and_then(actix_web::Error::as_error::<Failure>);
    if let Some(page) = failure.map(|failure| render(&console, failure, response.request())) {
        response = response.into_response(page);
    }
    set(response.headers_mut());
    Ok(response)
}

fn set(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn render(console: &Console, failure: &Failure, request: &HttpRequest) -> HttpResponse {
    let address = request.uri().path_and_query();
    let base = console.base();
    match failure {
        // The page would replace a part of itself by a part of the login. Loaded again, it leads there.
        Failure::NotLoggedIn { .. } if is_htmx(request.headers()) => {
            return HttpResponse::Unauthorized().insert_header(("hx-refresh", "true")).finish();
        }
        Failure::NotLoggedIn { next } => {
            let login = link(&format!("{base}/login"), &[("next", next)]);
            return HttpResponse::SeeOther().insert_header((header::LOCATION, login)).finish();
        }
        Failure::Unavailable(why) => error!(why, "a page of the console cannot be shown"),
        _ => {}
    }
    if let Some(reason) = failure.logged_reason() {
        let client = client_name(client_address(request, &console.config().server.trusted_proxies));
        warn!(client, reason, "a request to the console was refused");
    }
    let (title, text) = failure.texts();
    // A path of two slashes would be another host's address.
    let own = address.map(PathAndQuery::as_str).filter(|address| !address.starts_with("//"));
    let again =
        matches!(failure, Failure::AskAgain).then(|| own.unwrap_or(if base.is_empty() { "/" } else { base }));
    let overview = format!("{base}/");
    let way = match failure {
        Failure::NotDone { page, .. } => (page.as_str(), "Back"),
        _ => (overview.as_str(), "To the overview"),
    };
    let page = FailurePage { base, style: assets::style(), title, text, way, again };
    let mut answer = HttpResponse::build(failure.status_code());
    if let Failure::WrongMethod { allowed } = failure {
        answer.insert_header((header::ALLOW, *allowed));
    }
    match page.render() {
        Ok(html) => answer.content_type("text/html; charset=utf-8").body(html),
        Err(_) => answer.body(title.to_owned()),
    }
}
