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
use actix_web::{Error, HttpResponse, Scope};

use super::access::Admin;
use super::failure::Failure;
use super::methods::{form, page, page_with_form};

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
    scope
        .service(page("", overview::show))
        .service(page("/", overview::show))
        .service(page("/deliveries", deliveries::show))
        .service(page_with_form("/delivery", delivery::show, delivery::act))
        .service(page("/parked", parked::show))
        .service(page_with_form("/parked/replay", parked::preview, parked::replay))
        .service(page("/users", users::show))
        .service(page_with_form("/user", user::show, user::reveal))
        .service(page("/sources", sources::show))
        .service(page("/source", source::show))
        .service(form("/source/check", source::check))
        .service(form("/source/run", source::run))
        .service(page_with_form("/token", token::show, token::explain))
        .service(page_with_form("/webhook", webhook::show, webhook::explain))
        .service(page("/endpoints", endpoints::show))
        .service(form("/endpoints/test", endpoints::test))
        .service(form("/endpoints/enable", endpoints::enable))
        .service(form("/endpoints/replay", endpoints::replay))
        .service(page_with_form("/keys", keys::show, keys::create))
        .service(form("/keys/revoke", keys::revoke))
        .service(page("/audit", audit::show))
}

/// Any other path. Only an admin is told that it does not exist.
pub(super) async fn not_found(_admin: Admin) -> Result<HttpResponse, Failure> {
    Err(Failure::NotFound("There is no such page."))
}
