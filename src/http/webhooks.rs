//! `POST /webhooks/{source}`: the URL to register at the provider.

use actix_web::rt::spawn;
use actix_web::{HttpRequest, web};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;

use super::problem::{Code, Document, Problem};
use super::{State, extract};
use crate::sync::{Receipt, Refusal};

/// The answer to a delivery, sent after the commit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// `applied`, `stale`, `duplicate`, `ignored` or `parked`.
    outcome: &'static str,
    /// The provider's id of the message.
    message_id: String,
}

/// Accepts one delivery.
#[utoipa::path(
    post, path = "/webhooks/{source}", tag = "webhooks",
    params(("source" = String, Path, description = "Name of a configured source")),
    request_body(content = String, content_type = "application/json", description = "The event, signed over its raw bytes"),
    responses(
        (status = 200, description = "The delivery is committed; this is its outcome", body = Answer),
        (status = 400, description = "`missing_signature`, `invalid_signature`, `stale_timestamp`, `invalid_json`", body = Document),
        (status = 401, description = "Of a source with bearer tokens: `invalid_auth_header`, `invalid_bearer_token`", body = Document),
        (status = 404, description = "`unknown_source`", body = Document),
        (status = 408, description = "`body_timeout`", body = Document),
        (status = 413, description = "`body_too_large`", body = Document),
        (status = 503, description = "`database_unavailable`, `queue_full`: send it again", body = Document),
    )
)]
pub(super) async fn receive(
    state: web::Data<State>,
    source: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<web::Json<Answer>, Problem> {
    let headers = headers_of(&request);
    let receiving = async move {
        let body = extract::body(payload, state.body_limit);
        state.intake.receive::<Problem>(&source, &headers, body).await
    };
    // In a task of its own, so that a delivery is logged and counted even if its sender closes the connection.
    let received = spawn(receiving.in_current_span()).await;
    let Receipt { outcome, message_id } =
        received.map_err(|error| Problem::because(Code::Internal, error))??;
    Ok(web::Json(Answer { outcome: outcome.as_str(), message_id }))
}

impl Refusal for Problem {
    fn code(&self) -> &'static str {
        Problem::code(self)
    }
}

/// The headers as the signature schemes take them: actix-web uses an older major version of `http`.
fn headers_of(request: &HttpRequest) -> HeaderMap {
    let copy =
        |(name, value): (&actix_web::http::header::HeaderName, &actix_web::http::header::HeaderValue)| {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        };
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers().iter().filter_map(copy) {
        headers.append(name, value);
    }
    headers
}
