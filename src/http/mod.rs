//! The HTTP API. All routes are on this page; each handler is in the file of its area.

mod client;
mod cors;
mod current;
mod development;
mod extract;
mod forward_auth;
mod identity;
mod key_use;
mod limits;
mod observe;
mod openapi;
mod operations;
mod problem;
mod server;
mod stream;
mod users;
mod views;
mod webhooks;

use std::sync::Arc;

use actix_web::guard;
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig, get, post};
use actix_web::{Resource, Route};

pub use development::DevelopmentIssuer;
pub use extract::CurrentUser;
pub use key_use::KeyUse;
pub use limits::Limits;
pub use openapi::document as openapi_document;
pub use problem::Problem;
pub use server::{Running, serve};

use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::providers::Sources;
use crate::store::Store;
use crate::sync::{Feed, Intake, UserCache};
use crate::telemetry::Metrics;

/// Everything that the handlers need.
#[derive(Clone, Debug)]
pub struct State {
    /// The configured sources.
    pub sources: Arc<Sources>,
    /// Accepts deliveries.
    pub intake: Intake,
    /// Verifies tokens.
    pub authenticator: Arc<Authenticator>,
    /// Reads users by whom a token speaks for.
    pub users: UserCache,
    /// Reads users in every other way, and service keys.
    pub store: Store,
    /// When service keys were last used.
    pub key_use: KeyUse,
    /// Notifies requests that wait for a user.
    pub feed: Feed,
    /// Cancelled when the service is told to stop.
    pub stopping: CancellationToken,
    /// The time.
    pub clock: Clock,
    /// The metrics.
    pub metrics: Metrics,
    /// The rate limits, and the places for streams.
    pub limits: Limits,
    /// The origins of the web pages whose scripts may call `/v1`. A single `*` allows all.
    pub cors_origins: Vec<String>,
    /// The largest delivery that is accepted, in bytes.
    pub body_limit: usize,
    /// The development issuer, only in `usersync dev`.
    pub development: Option<DevelopmentIssuer>,
}

/// Which routes a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Everything.
    All,
    /// Everything except metrics, which have a listener of their own.
    NoMetrics,
    /// Only metrics.
    MetricsAlone,
}

fn routes(app: &mut ServiceConfig, state: &State, offer: Offer) {
    if offer != Offer::MetricsAlone {
        // Routes are tried in this order, and a path with a parameter is a regular expression: those come last.
        app.service(
            web::scope("/v1")
                .wrap(from_fn(limits::limit))
                .wrap(cors::allow(&state.cors_origins))
                .service(
                    web::resource("/users/current")
                        .route(read().to(current::show))
                        .route(post().to(current::store))
                        .default_service(other("GET, HEAD, POST")),
                )
                .service(one("/identity", "GET, HEAD", read().to(identity::show)))
                .service(one("/users/current/stream", "GET", get().to(stream::follow)))
                .service(
                    web::resource("/users")
                        .route(read().guard(guard::fn_guard(users::names_ids)).to(users::by_ids))
                        .route(read().to(users::list))
                        .default_service(other("GET, HEAD")),
                )
                // Envoy uses the method of the original request, and appends its path to this path.
                .service(web::resource(["/auth", "/auth/{path:.*}"]).to(forward_auth::check))
                .service(one("/users/{id}", "GET, HEAD", read().to(users::show))),
        )
        .service(one("/healthz", "GET, HEAD", read().to(operations::healthz)))
        .service(one("/readyz", "GET, HEAD", read().to(operations::readyz)))
        .service(one("/openapi.json", "GET, HEAD", read().to(openapi::show)))
        .service(one("/webhooks/{source}", "POST", post().to(webhooks::receive)))
        .service(web::redirect("/docs", "/docs/"))
        .service(openapi::page("/docs/{_:.*}"));
    }
    if offer != Offer::NoMetrics {
        app.service(one("/metrics", "GET, HEAD", read().to(operations::metrics)));
    }
    if let Some(issuer) = state.development.as_ref().filter(|_| offer != Offer::MetricsAlone) {
        app.app_data(web::Data::new(issuer.clone()))
            .service(one(
                "/dev/.well-known/openid-configuration",
                "GET, HEAD",
                read().to(development::discovery),
            ))
            .service(one("/dev/jwks.json", "GET, HEAD", read().to(development::keys)));
    }
    app.default_service(web::to(operations::not_found));
}

/// A path with one route. Other methods are refused, with an `Allow` header.
fn one(path: &str, allow: &'static str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(other(allow))
}

/// Refuses every other method.
fn other(allow: &'static str) -> Route {
    web::to(move || async move { operations::method_not_allowed(allow) })
}

/// GET, and HEAD for probes.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
