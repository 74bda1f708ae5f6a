//! The discovery document and keys of the development issuer, so that its tokens are verified like all other
//! tokens.

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};
use serde_json::{Value, json};

use super::problem::method_not_allowed;

/// What the development issuer publishes.
#[derive(Clone, Debug)]
pub struct DevelopmentIssuer {
    /// `http://127.0.0.1:<port>/dev`, the `iss` of its tokens.
    pub issuer: String,
    /// Its public keys as a JSON Web Key Set.
    pub keys: Value,
}

/// Mounts the documents, which only `usersync dev` has.
pub(super) fn mount(app: &mut ServiceConfig, issuer: &DevelopmentIssuer) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let refused = || web::to(|| async { method_not_allowed("GET, HEAD") });
    app.app_data(web::Data::new(issuer.clone()));
    for (path, route) in
        [("/dev/.well-known/openid-configuration", read().to(discovery)), ("/dev/jwks.json", read().to(keys))]
    {
        app.service(web::resource(path).route(route).default_service(refused()));
    }
}

async fn discovery(issuer: web::Data<DevelopmentIssuer>) -> web::Json<Value> {
    web::Json(json!({
        "issuer": issuer.issuer,
        "jwks_uri": format!("{}/jwks.json", issuer.issuer),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn keys(issuer: web::Data<DevelopmentIssuer>) -> web::Json<Value> {
    web::Json(issuer.keys.clone())
}
