//! The HTTP API. This page has all endpoints; each handler is in the file of its area.

mod client;
mod cors;
mod current;
mod described;
mod development;
mod endpoint;
mod events;
mod events_described;
mod extract;
mod forward_auth;
mod identity;
mod key_use;
mod limits;
mod observe;
mod openapi;
mod operations;
mod problem;
mod query;
mod server;
mod sources;
mod state;
mod stream;
mod users;
mod views;
mod webhooks;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};

pub use client::{client_address, client_name, is_for_this_machine};
pub use development::{DevelopmentDirectory, DevelopmentProvider};
pub use extract::CurrentUser;
pub use key_use::KeyUse;
pub use limits::Limits;
pub use problem::Problem;
pub use server::{Running, serve, serve_mounted};
pub use state::{AuthContext, Events, IntakeContext, Mount, State, WaitContext};

use current::CurrentQuery;
use endpoint::{Endpoint, Methods, resource};
use events::EventsQuery;
use openapi::OpenApi;
use problem::Code;
use sources::SourceView;
use users::{ListQuery, UserList, UsersById};
use views::{UserView, View};

use crate::domain::Scope;

/// Which endpoints a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// Everything.
    All,
    /// Everything except metrics, which have a listener of their own.
    WithoutMetrics,
    /// Only metrics.
    MetricsOnly,
}

/// The endpoints of a listener. The routes and `/openapi.json` are made from this list.
fn endpoints(served: Routes) -> Vec<Endpoint> {
    match served {
        Routes::All => [api(), operations(), metrics()].into_iter().flatten().collect(),
        Routes::WithoutMetrics => [api(), operations()].into_iter().flatten().collect(),
        Routes::MetricsOnly => metrics(),
    }
}

fn api() -> Vec<Endpoint> {
    use Methods::{Any, Post, Read, Stream};

    vec![
        Endpoint::new(Post, "/webhooks/{source}", "receiveWebhook", webhooks::receive)
            .about("webhooks", "Accepts one delivery of a provider.")
            .description(described::DELIVERY)
            .parameter(described::source_parameter())
            .body(described::delivery_body())
            .answers::<webhooks::Answer>(200, "The delivery is committed; this is its outcome.")
            .refuses(&described::DELIVERY_REFUSALS),
        Endpoint::new(Read, "/v1/users/current", "getCurrentUser", current::show)
            .about("users", "The row of the token's user.")
            .for_users()
            .query::<CurrentQuery>()
            .answers::<UserView>(200, "The user.")
            .refuses(&[Code::UserNotSynced]),
        Endpoint::new(Post, "/v1/users/current", "storeCurrentUser", current::store)
            .about(
                "users",
                "Stores the user from the claims of the token, unless a webhook about the user has arrived.",
            )
            .for_users()
            .without_parameters()
            .answers::<UserView>(200, "The row existed. Facts from the provider win over claims.")
            .answers::<UserView>(201, "The row was created.")
            .refuses(&[Code::UserNotSynced, Code::NotAUser]),
        Endpoint::new(Stream, "/v1/users/current/stream", "streamCurrentUser", stream::follow)
            .about("users", "The current user, now and on every change, as Server-Sent Events.")
            .for_users()
            .without_parameters()
            .parameter(described::last_event_id_parameter())
            .schema::<UserView>()
            .named_schema(described::EVENT, described::event_schema())
            .answers_with(200, described::STREAM, described::stream_response()),
        Endpoint::new(Read, "/v1/identity", "getIdentity", identity::show)
            .about("users", "The content of the token, whether or not its user has a row.")
            .for_users()
            .without_parameters()
            .named_schema(described::OIDC_IDENTITY, described::oidc_identity_schema())
            .named_schema(described::CUSTOM_IDENTITY, described::custom_identity_schema())
            .answers_with(200, "The identity.", described::identity_response()),
        Endpoint::new(Read, "/v1/users", "listUsers", users::list)
            .with_alternative(users::has_ids, users::by_ids)
            .about("users", "Users by their ids; or a page of users.")
            .description(described::LIST)
            .for_services(Scope::UsersRead)
            .for_users()
            .query::<ListQuery>()
            .parameter(described::ids_parameter())
            .schema::<UserList>()
            .schema::<UsersById>()
            .answers_with(
                200,
                "A page of users; or, with `ids`, the users with these ids.",
                described::list_response(),
            ),
        Endpoint::new(Read, "/v1/users/{id}", "getUser", users::show)
            .about("users", "One user: the public view for a user token, the full view for a service key.")
            .for_services(Scope::UsersRead)
            .for_users()
            .without_parameters()
            .parameter(described::id_parameter())
            .answers::<View>(200, "The user.")
            .refuses(&[Code::UserNotFound]),
        Endpoint::new(Read, "/v1/events", "listEvents", events::list)
            .about("events", "The changes since a cursor, in order.")
            .description(events_described::EVENTS)
            .for_services(Scope::EventsRead)
            .query::<EventsQuery>()
            .schema::<UserView>()
            .named_schemas(events_described::schemas())
            .answers_with(200, "The events, and the cursor to continue from.", events_described::response())
            .refuses(&[Code::CursorExpired]),
        Endpoint::new(Read, "/v1/sources", "listSources", sources::list)
            .about(
                "sources",
                "Whether the deliveries of each source arrive, and whether its rows match the provider.",
            )
            .for_services(Scope::Admin)
            .without_parameters()
            .schema::<SourceView>()
            .answers_with(200, "Every source, by name.", described::sources_response()),
        Endpoint::new(Post, "/v1/sources/{name}/check", "checkSource", sources::check)
            .about("sources", "Checks a source at its provider now, and returns its state.")
            .description(described::CHECK)
            .for_services(Scope::Admin)
            .without_parameters()
            .parameter(described::source_name_parameter())
            .answers::<SourceView>(200, "The source, after the checks.")
            .refuses(&[Code::UnknownSource]),
        Endpoint::new(Any, "/v1/auth", "checkAuth", forward_auth::check)
            .about("forward-auth", "Whether a reverse proxy may pass a request on, and for which user.")
            .description(described::FORWARD_AUTH)
            .for_users()
            .refuses_as(403, &[Code::UserNotSynced, Code::UserDeleted])
            .answers_with(200, "The user, as headers for the app.", described::forward_auth_response()),
    ]
}

/// The names of the problems for which a delivery is refused.
pub fn delivery_refusals() -> impl Iterator<Item = &'static str> {
    described::DELIVERY_REFUSALS.iter().map(|code| code.name())
}

fn operations() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Methods::Read, "/healthz", "getHealth", operations::healthz)
            .about("operations", "The process runs.")
            .answers::<operations::Health>(200, "The process runs."),
        Endpoint::new(Methods::Read, "/readyz", "getReadiness", operations::readyz)
            .about("operations", "Whether deliveries can be written.")
            .answers::<operations::Readiness>(200, "The service is ready.")
            .refuses(&[Code::DatabaseUnavailable, Code::QueueFull]),
        Endpoint::new(Methods::Read, "/openapi.json", "getOpenApi", openapi::show)
            .about("operations", "This document.")
            .answers_with(200, "The OpenAPI document.", described::document_response()),
    ]
}

fn metrics() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Methods::Read, "/metrics", "getMetrics", operations::metrics)
            .about("operations", "The metrics, for Prometheus.")
            .answers_with(
                200,
                "The metrics in the text format of OpenMetrics.",
                described::metrics_response(),
            ),
    ]
}

/// Mounts everything that a listener serves.
fn routes(app: &mut ServiceConfig, state: &State, served: Routes) {
    state.provide(app);
    app.app_data(web::Data::new(OpenApi::of(served)));
    let (limited, others): (Vec<_>, Vec<_>) = by_path(endpoints(served))
        .into_iter()
        .partition(|group| group.iter().any(|endpoint| endpoint.path().starts_with("/v1/")));
    let scope = web::scope("/v1")
        .wrap(from_fn(limits::limit))
        .wrap(cors::allow(&state.cors_origins))
        .wrap(from_fn(cors::explain_refusal));
    app.service(limited.into_iter().fold(scope, |scope, group| scope.service(resource("/v1", group))));
    for group in others {
        app.service(resource("", group));
    }
    if served != Routes::MetricsOnly {
        app.service(web::redirect("/docs", "/docs/")).service(openapi::page("/docs/{_:.*}"));
        if let Some(issuer) = &state.development {
            development::mount(app, issuer);
        }
        if let Some(Mount(mount)) = &state.mounted {
            mount(app);
        }
    }
    app.default_service(web::to(operations::not_found));
}

/// The endpoints of each path together. Paths with a parameter come last: paths are tried in order, and a parameter
/// matches the fixed words of other paths too.
fn by_path(endpoints: Vec<Endpoint>) -> Vec<Vec<Endpoint>> {
    let mut groups: Vec<Vec<Endpoint>> = Vec::new();
    for endpoint in endpoints {
        match groups.iter_mut().find(|group| group.iter().any(|other| other.path() == endpoint.path())) {
            Some(group) => group.push(endpoint),
            None => groups.push(vec![endpoint]),
        }
    }
    groups.sort_by_key(|group| group.iter().any(|endpoint| endpoint.path().contains('{')));
    groups
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Routes, endpoints, openapi};

    #[test]
    fn every_endpoint_is_described_once_under_an_id_of_its_own() {
        for served in [Routes::All, Routes::WithoutMetrics, Routes::MetricsOnly] {
            let endpoints = endpoints(served);
            let document = openapi::document(&endpoints);
            let paths = document["paths"].as_object().unwrap();
            let described: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
            assert_eq!(described, endpoints.len(), "two endpoints have the same path and method");
            let ids: BTreeSet<&str> = endpoints
                .iter()
                .map(|endpoint| {
                    document["paths"][endpoint.path()][endpoint.method()]["operationId"].as_str().unwrap()
                })
                .collect();
            assert_eq!(ids.len(), endpoints.len());
        }
    }
}
