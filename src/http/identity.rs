//! `GET /v1/identity`: what a token says, with or without a row for its user.

use actix_web::HttpResponse;

use super::extract::Caller;

/// The token's identity.
pub(super) async fn show(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().json(&caller.authenticated.identity)
}
