//! `GET /v1/identity`: the content of a token, with or without a row for its user.

use actix_web::{HttpRequest, HttpResponse};

use super::extract::Caller;
use super::problem::Problem;
use super::query;

/// The token's identity.
pub(super) async fn show(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Problem> {
    query::refuse_parameters(&request)?;
    Ok(HttpResponse::Ok().json(&caller.authenticated.identity))
}
