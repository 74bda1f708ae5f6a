//! `GET /openapi.json` and `GET /docs`: the description of the API, for programs and for people.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use serde_json::{Value, json};
use strum::VariantNames as _;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::endpoint::Endpoint;
use super::{Routes, endpoints, events_described};
use crate::domain::Scope;

/// What is true of all operations.
const DESCRIPTION: &str = "\
Your identity provider's users, in your own database, kept in sync.

Every path with GET also has HEAD, except `/v1/users/current/stream`. Other methods are refused with 405 and an `Allow` \
header.

Every refusal is `application/problem+json` (RFC 9457). Programs decide by its `code`, which is stable. A request that \
is not valid HTTP is refused before it reaches an operation, with an empty body: 400, 408 (the headers did not arrive \
in time) or 431 (the headers are too large).

Answers of `/v1` have `Cache-Control: no-store`.";

/// The OpenAPI document of a listener. It is made when it is requested first: it takes a megabyte for a moment, and most
/// processes are never asked for it.
pub(super) struct OpenApi {
    served: Routes,
    json: OnceLock<Bytes>,
}

impl OpenApi {
    /// Describes the endpoints of a listener.
    pub(super) fn of(served: Routes) -> Self {
        Self { served, json: OnceLock::new() }
    }

    fn json(&self) -> Bytes {
        self.json.get_or_init(|| document(&endpoints(self.served)).to_string().into()).clone()
    }
}

/// The document of these endpoints.
pub(super) fn document(endpoints: &[Endpoint]) -> Value {
    let mut paths: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
    let mut schemas = BTreeMap::from([("Scope".to_owned(), scopes())]);
    for endpoint in endpoints {
        paths.entry(endpoint.path()).or_default().insert(endpoint.method(), endpoint.operation());
        schemas.extend(endpoint.schemas().clone());
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "usersync",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas, "headers": headers(), "securitySchemes": security_schemes()},
    });
    if document["paths"].get("/v1/events").is_some() {
        document["webhooks"] = events_described::webhooks();
    }
    document
}

/// The headers that several operations send.
fn headers() -> Value {
    json!({
        "X-Request-Id": {
            "description": "The id of the request: the client's own `X-Request-Id` if it was a plain one, else a new \
                            one. Every log line about the request has it.",
            "required": true,
            "schema": {"type": "string"},
        },
        "Retry-After": {
            "description": "The number of seconds to wait before trying again.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "WWW-Authenticate": {
            "description": "Which credentials are needed (RFC 6750).",
            "schema": {"type": "string"},
        },
    })
}

fn security_schemes() -> Value {
    let bearer = |description: &str| json!({"type": "http", "scheme": "bearer", "description": description});
    json!({
        "userToken": bearer("A token of a configured issuer: `Authorization: Bearer <jwt>`"),
        "serviceKey": bearer(
            "A key made by `usersync keys create`, with the scope that the operation names: `Authorization: Bearer usk_…`",
        ),
    })
}

fn scopes() -> Value {
    json!({
        "description": "What a service key may do. `admin` includes all other scopes.",
        "type": "string",
        "enum": Scope::VARIANTS,
    })
}

/// Swagger UI for the document, with all files that the page loads.
pub(super) fn page(path: &'static str) -> SwaggerUi {
    SwaggerUi::new(path).config(Config::from("/openapi.json"))
}

pub(super) async fn show(document: web::Data<OpenApi>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(document.json())
}
