//! `GET /v1/auth`: whether a reverse proxy may let a request through, and for which user.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};

use super::extract::Caller;
use super::problem::{Code, Problem};
use crate::domain::User;

/// The user of the token, as headers for the app. Every method and every path below `/v1/auth` is answered.
pub(super) async fn check(caller: Result<Caller, Problem>) -> Result<HttpResponse, Problem> {
    let user = caller.and_then(|caller| caller.user.ok_or_else(|| Problem::new(Code::UserNotSynced)));
    let user = user.map_err(Problem::into_forbidden)?;
    Ok(allowed(&user))
}

fn allowed(user: &User) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    for (name, value) in [
        ("x-user-id", Some(user.id.to_string())),
        ("x-user-external-id", Some(user.key.external_id.clone())),
        ("x-user-source", Some(user.key.source.clone())),
        ("x-user-email", user.profile.email.clone()),
    ] {
        // Always set, so that a header of the same name from outside never gets through. Empty if the value
        // is not known, or if a header cannot hold it.
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        response
            .insert_header((HeaderName::from_static(name), value.unwrap_or(HeaderValue::from_static(""))));
    }
    response.finish()
}
