//! The routes, all on this page; what each does stands in the file of its area.

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

/// What the handlers work with.
#[derive(Clone, Debug)]
pub struct State {
    /// The configured sources.
    pub sources: Arc<Sources>,
    /// Takes deliveries in.
    pub intake: Intake,
    /// Decides about tokens.
    pub authenticator: Arc<Authenticator>,
    /// Reads users by whom a token speaks for.
    pub users: UserCache,
    /// Reads users in every other way, and service keys.
    pub store: Store,
    /// When service keys were last used.
    pub key_use: KeyUse,
    /// Wakes those who wait for a user.
    pub feed: Feed,
    /// Cancelled when the service is told to stop.
    pub stopping: CancellationToken,
    /// What time it is.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
    /// Who has taken how much.
    pub limits: Limits,
    /// The origins of the web pages whose scripts may ask `/v1`; `*`, alone, is all of them.
    pub cors_origins: Vec<String>,
    /// The largest delivery taken, in bytes.
    pub body_limit: usize,
    /// The development issuer, in `usersync dev` alone.
    pub development: Option<DevelopmentIssuer>,
}

/// Which part of the service a listener offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Everything.
    All,
    /// Everything but metrics, which are elsewhere.
    NoMetrics,
    /// Metrics alone.
    MetricsAlone,
}

fn routes(app: &mut ServiceConfig, state: &State, offer: Offer) {
    if offer != Offer::MetricsAlone {
        // They are tried in this order, and a path with a parameter is a regular expression: those come last.
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
                // Envoy asks with the method of the request in question, and puts its path behind this
                // one.
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

/// A path with one method; every other is refused by name.
fn one(path: &str, allow: &'static str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(other(allow))
}

/// Any method but those.
fn other(allow: &'static str) -> Route {
    web::to(move || async move { operations::method_not_allowed(allow) })
}

/// GET, and HEAD for those who probe.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
