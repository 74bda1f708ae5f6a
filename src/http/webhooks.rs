//! `POST /webhooks/{source}`: the URL to register at the provider.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::middleware::Next;
use actix_web::rt::spawn;
use actix_web::{HttpMessage as _, HttpRequest, web};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use super::extract;
use super::problem::{Code, Problem};
use super::state::IntakeContext;
use crate::domain::Outcome;
use crate::sync::{Receipt, Refusal};
use crate::telemetry::Span;

/// The answer to a delivery, sent after the commit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveryAnswer)]
pub(super) struct Answer {
    /// The outcome of the delivery.
    #[schema(schema_with = outcome_schema)]
    outcome: Outcome,
    /// The provider's id of the message.
    message_id: String,
}

/// Accepts one delivery.
pub(super) async fn receive(
    deliveries: web::Data<IntakeContext>,
    source: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<web::Json<Answer>, Problem> {
    let headers = headers_of(&request);
    let span = request.extensions().get::<Span>().cloned().unwrap_or_default();
    let receiving = async move {
        let body = extract::body(payload, deliveries.body_limit);
        deliveries.intake.receive::<Problem>(&source, &headers, body, &span).await
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

/// Accepts a webhook URL that was registered with an extra slash, such as `/webhooks/clerk/` or
/// `//webhooks/clerk`. Some providers never repeat a delivery that was answered with a 404.
pub(super) async fn ignore_extra_slashes(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Some(uri) = without_extra_slashes(request.path()).and_then(|path| path.parse::<Uri>().ok()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

/// The path without extra slashes, if it is the path of a webhook that has some.
fn without_extra_slashes(path: &str) -> Option<String> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let ("webhooks", source, None) = (segments.next()?, segments.next()?, segments.next()) else {
        return None;
    };
    Some(format!("/webhooks/{source}")).filter(|plain| plain != path)
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

#[cfg(test)]
mod tests {
    use super::without_extra_slashes;

    #[test]
    fn only_the_path_of_a_webhook_loses_extra_slashes() {
        for path in ["/webhooks/clerk/", "//webhooks/clerk", "/webhooks//clerk", "///webhooks//clerk//"] {
            assert_eq!(without_extra_slashes(path).as_deref(), Some("/webhooks/clerk"), "{path}");
        }
        assert_eq!(without_extra_slashes("/webhooks/a%2Fb/").as_deref(), Some("/webhooks/a%2Fb"));
        for path in ["/webhooks/clerk", "/webhooks/", "/webhooks/clerk/more", "/v1/users/", "/", "", "//"] {
            assert_eq!(without_extra_slashes(path), None, "{path}");
        }
    }
}
