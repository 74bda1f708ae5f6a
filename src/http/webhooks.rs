//! `POST /webhooks/{source}`: the URL to register at the provider.

use actix_web::rt::spawn;
use actix_web::{HttpRequest, web};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::problem::{Code, Problem};
use super::{State, extract};
use crate::domain::Outcome;
use crate::sync::{Receipt, Refusal};

/// The answer to a delivery, sent after the commit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveryAnswer)]
pub(super) struct Answer {
    /// What became of the delivery.
    #[schema(schema_with = outcome_schema)]
    outcome: Outcome,
    /// The provider's id of the message.
    message_id: String,
}

/// Accepts one delivery.
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
    Ok(web::Json(Answer { outcome, message_id }))
}

fn outcome_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Outcome::ALL.map(Outcome::as_str)))
        .build()
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
