//! The pages, one file for each.

mod audit;
mod deliveries;
mod delivery;
mod endpoints;
mod keys;
pub(super) mod login;
mod overview;
mod parked;
mod source;
mod sources;
mod token;
mod user;
mod users;
mod webhook;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpResponse, Scope, web};

use super::access::Admin;
use super::failure::Failure;

/// Adds every page.
pub(super) fn mount<T, B>(scope: Scope<T>) -> Scope<T>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        >,
    B: MessageBody + 'static,
{
    let get = web::get;
    let post = web::post;
    scope
        .route("", get().to(overview::show))
        .route("/", get().to(overview::show))
        .route("/deliveries", get().to(deliveries::show))
        .service(web::resource("/delivery").get(delivery::show).post(delivery::act))
        .service(web::resource("/parked").get(parked::show))
        .service(web::resource("/parked/replay").get(parked::preview).post(parked::replay))
        .route("/users", get().to(users::show))
        .service(web::resource("/user").get(user::show).post(user::reveal))
        .route("/sources", get().to(sources::show))
        .route("/source", get().to(source::show))
        .route("/source/check", post().to(source::check))
        .route("/source/run", post().to(source::run))
        .service(web::resource("/token").get(token::show).post(token::explain))
        .service(web::resource("/webhook").get(webhook::show).post(webhook::explain))
        .route("/endpoints", get().to(endpoints::show))
        .route("/endpoints/test", post().to(endpoints::test))
        .route("/endpoints/enable", post().to(endpoints::enable))
        .route("/endpoints/replay", post().to(endpoints::replay))
        .service(web::resource("/keys").get(keys::show).post(keys::create))
        .route("/keys/revoke", post().to(keys::revoke))
        .route("/audit", get().to(audit::show))
}

/// Any other path. Only an admin is told that it does not exist.
pub(super) async fn not_found(_admin: Admin) -> Result<HttpResponse, Failure> {
    Err(Failure::NotFound("There is no such page."))
}
