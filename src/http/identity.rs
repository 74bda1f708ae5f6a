//! `GET /v1/identity`: what a token says, with or without a row for its user.

use actix_web::HttpResponse;

use super::extract::Caller;
use super::problem::Document;

/// The token's identity.
#[utoipa::path(
    get, path = "/v1/identity", tag = "users", security(("userToken" = [])),
    responses(
        (status = 200, description = "`tokenIdentifier`, `subject`, `issuer` and the token's profile claims", body = Object),
        (status = 401, description = "`invalid_auth_header`, `no_auth_provider`, `unauthenticated`", body = Document),
        (status = 410, description = "`user_deleted`", body = Document),
        (status = 429, description = "`too_many_requests`", body = Document),
        (status = 503, description = "`keys_unavailable`, `database_unavailable`", body = Document),
    )
)]
pub(super) async fn show(caller: Caller) -> HttpResponse {
    HttpResponse::Ok().json(&caller.authenticated.identity)
}
