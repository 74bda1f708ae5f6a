//! The provider of `usersync dev`: the discovery document and keys of its issuer, so that its tokens are verified like all
//! other tokens, and its list of users, so that they are read in like those of any provider.

mod directory;

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};
use serde_json::{Value, json};

use super::problem::method_not_allowed;

pub use directory::DevelopmentDirectory;

/// What the development provider publishes.
#[derive(Clone, Debug)]
pub struct DevelopmentProvider {
    /// `http://127.0.0.1:<port>/dev`, the `iss` of its tokens.
    pub issuer: String,
    /// Its public keys as a JSON Web Key Set.
    pub keys: Value,
    /// Its users.
    pub directory: DevelopmentDirectory,
}

/// Mounts the documents, which only `usersync dev` has.
pub(super) fn mount(app: &mut ServiceConfig, provider: &DevelopmentProvider) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let refused = || web::to(|| async { method_not_allowed("GET, HEAD") });
    app.app_data(web::Data::new(provider.clone()));
    for (path, route) in
        [("/dev/.well-known/openid-configuration", read().to(discovery)), ("/dev/jwks.json", read().to(keys))]
    {
        app.service(web::resource(path).route(route).default_service(refused()));
    }
    directory::mount(app, &provider.directory);
}

async fn discovery(provider: web::Data<DevelopmentProvider>) -> web::Json<Value> {
    web::Json(json!({
        "issuer": provider.issuer,
        "jwks_uri": format!("{}/jwks.json", provider.issuer),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn keys(provider: web::Data<DevelopmentProvider>) -> web::Json<Value> {
    web::Json(provider.keys.clone())
}
