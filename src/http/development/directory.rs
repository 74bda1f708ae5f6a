//! The list of users of the development provider, as Clerk's API gives it.

use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

/// The largest page, as Clerk's.
const LARGEST_PAGE: usize = 500;
/// The default page size, which is Clerk's.
const DEFAULT_PAGE: usize = 10;

/// The users of the development provider.
#[derive(Clone, Debug)]
pub struct DevelopmentDirectory {
    /// Who may read it.
    pub secret_key: String,
    /// The instance that its webhooks name.
    pub instance: String,
    /// As Clerk describes them, the oldest first.
    pub users: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct List {
    limit: Option<usize>,
    starting_after: Option<String>,
    order_by: Option<String>,
}

/// Mounts the part of the API that usersync uses.
pub(super) fn mount(app: &mut ServiceConfig, directory: &DevelopmentDirectory) {
    app.app_data(web::Data::new(directory.clone()));
    let api = web::scope("/dev/api")
        .route("/instance", web::get().to(instance))
        .route("/users", web::get().to(list))
        .route("/users/count", web::get().to(count))
        .route("/users/{id}", web::get().to(user));
    app.service(api);
}

impl DevelopmentDirectory {
    fn answer(&self, request: &HttpRequest, body: impl FnOnce() -> HttpResponse) -> HttpResponse {
        let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if sent == Some(&format!("Bearer {}", self.secret_key)) {
            return body();
        }
        refusal(StatusCode::UNAUTHORIZED, "clerk_key_invalid", "the secret key is not that of this provider")
    }

    fn page(&self, list: &List) -> Option<Vec<&Value>> {
        let is_newest_first = list.order_by.as_deref() == Some("-created_at");
        let users = self.users.iter();
        let users: Vec<&Value> = if is_newest_first { users.rev().collect() } else { users.collect() };
        let start = match &list.starting_after {
            Some(id) => users.iter().position(|user| user["id"] == **id)? + 1,
            None => 0,
        };
        let limit = list.limit.unwrap_or(DEFAULT_PAGE).min(LARGEST_PAGE);
        Some(users.into_iter().skip(start).take(limit).collect())
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({"errors": [{"message": message, "code": code}]}))
}

async fn instance(request: HttpRequest, directory: web::Data<DevelopmentDirectory>) -> HttpResponse {
    directory
        .answer(&request, || HttpResponse::Ok().json(json!({"object": "instance", "id": directory.instance})))
}

async fn list(
    request: HttpRequest,
    directory: web::Data<DevelopmentDirectory>,
    query: web::Query<List>,
) -> HttpResponse {
    directory.answer(&request, || match directory.page(&query) {
        Some(page) => HttpResponse::Ok().json(page),
        None => refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "form_resource_not_found",
            "starting_after names no user",
        ),
    })
}

async fn count(request: HttpRequest, directory: web::Data<DevelopmentDirectory>) -> HttpResponse {
    directory.answer(&request, || {
        HttpResponse::Ok().json(json!({"object": "total_count", "total_count": directory.users.len()}))
    })
}

async fn user(
    request: HttpRequest,
    directory: web::Data<DevelopmentDirectory>,
    id: web::Path<String>,
) -> HttpResponse {
    directory.answer(&request, || match directory.users.iter().find(|user| user["id"] == **id) {
        Some(user) => HttpResponse::Ok().json(user),
        None => refusal(StatusCode::NOT_FOUND, "resource_not_found", "not found"),
    })
}
