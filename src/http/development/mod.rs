//! The provider of `usersync dev`: the discovery document, keys and tokens of its issuer, so that its tokens are
//! verified like all other tokens, and its list of users, so that they are read in like those of any provider.

mod directory;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, ContentType};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::client::is_for_this_machine;
use super::problem::{Code, Problem, method_not_allowed};

pub use directory::DevelopmentDirectory;

/// How long a token is valid by default.
const LIFETIME: u64 = 3_600;

/// The development provider, as the service knows it.
#[derive(Clone)]
pub struct DevelopmentProvider {
    /// `http://127.0.0.1:<port>/dev`, the `iss` of its tokens.
    pub issuer: String,
    /// Its public keys as a JSON Web Key Set.
    pub keys: Value,
    /// Signs a token; `None` if its key is damaged.
    pub sign: Arc<Sign>,
    /// Its users.
    pub directory: DevelopmentDirectory,
}

/// Signs a token for a subject with these claims, valid for this time.
pub type Sign = dyn Fn(&str, Map<String, Value>, Duration) -> Option<String> + Send + Sync;

/// The body of `POST /dev/token`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TokenRequest {
    sub: String,
    /// Seconds; an hour if left out.
    expires_in: Option<u32>,
    /// Other claims; they override the standard ones.
    #[serde(default)]
    claims: Map<String, Value>,
}

impl fmt::Debug for DevelopmentProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentProvider").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Mounts the routes, which only `usersync dev` has.
pub(super) fn mount(app: &mut ServiceConfig, provider: &DevelopmentProvider) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let refused = |allowed| web::to(move || async move { method_not_allowed(allowed) });
    app.app_data(web::Data::new(provider.clone()));
    for (path, route, allowed) in [
        ("/dev/.well-known/openid-configuration", read().to(discovery), "GET, HEAD"),
        ("/dev/jwks.json", read().to(keys), "GET, HEAD"),
        ("/dev/token", web::post().to(token), "POST"),
    ] {
        app.service(web::resource(path).route(route).default_service(refused(allowed)));
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

/// A token for any user: the sign-in of an app that is being developed.
///
/// Pages of other sites cannot read the answer: it has no CORS header, and a host name that an attacker points to this
/// machine is not one of its own names.
async fn token(
    provider: web::Data<DevelopmentProvider>,
    request: HttpRequest,
    body: web::Bytes,
) -> Result<HttpResponse, Problem> {
    if !is_for_this_machine(request.headers()) {
        return Err(Problem::because(Code::NotFound, "the Host is not a loopback address"));
    }
    let token_request: TokenRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::because(Code::InvalidJson, format!("not a token request: {error}")))?;
    let lifetime = Duration::from_secs(token_request.expires_in.map_or(LIFETIME, u64::from));
    let token = (provider.sign)(&token_request.sub, token_request.claims, lifetime)
        .ok_or_else(|| Problem::because(Code::Internal, "the token cannot be signed"))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(ContentType::json())
        .body(json!({"token": token}).to_string()))
}
