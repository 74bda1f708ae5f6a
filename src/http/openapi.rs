//! `GET /openapi.json` and `GET /docs`: the description of the API, for programs and for people.

use actix_web::HttpResponse;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

#[derive(OpenApi)]
#[openapi(
    info(title = "usersync", description = "Your identity provider's users, in your own database, always right."),
    paths(
        super::webhooks::receive,
        super::current::show,
        super::current::store,
        super::stream::follow,
        super::users::show,
        super::forward_auth::check,
        super::users::list,
        super::identity::show,
        super::operations::healthz,
        super::operations::readyz,
        super::operations::metrics,
    ),
    modifiers(&Credentials)
)]
struct Description;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        for (name, what) in [
            ("userToken", "A token of a configured issuer: Authorization: Bearer <jwt>"),
            ("serviceKey", "A key of `usersync keys create`: Authorization: Bearer usk_…"),
        ] {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(what.to_owned());
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The `OpenAPI` document.
pub fn document() -> Document {
    Description::openapi()
}

/// Swagger UI for the document, with all files that the page loads.
pub(super) fn page(path: &'static str) -> SwaggerUi {
    SwaggerUi::new(path).config(Config::from("/openapi.json"))
}

pub(super) async fn show() -> HttpResponse {
    HttpResponse::Ok().json(document())
}
