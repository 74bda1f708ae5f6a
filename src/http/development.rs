//! The discovery document and keys of the development issuer, so that its tokens are verified like all other
//! tokens.

use actix_web::web;
use serde_json::{Value, json};

/// What the development issuer publishes.
#[derive(Clone, Debug)]
pub struct DevelopmentIssuer {
    /// `http://127.0.0.1:<port>/dev`, the `iss` of its tokens.
    pub issuer: String,
    /// Its public keys as a JSON Web Key Set.
    pub keys: Value,
}

pub(super) async fn discovery(issuer: web::Data<DevelopmentIssuer>) -> web::Json<Value> {
    web::Json(json!({
        "issuer": issuer.issuer,
        "jwks_uri": format!("{}/jwks.json", issuer.issuer),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

pub(super) async fn keys(issuer: web::Data<DevelopmentIssuer>) -> web::Json<Value> {
    web::Json(issuer.keys.clone())
}
