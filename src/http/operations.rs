//! Routes for operators: health, readiness and metrics.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, ResponseError, web};

use super::State;
use super::problem::{Code, Document, Problem};
use crate::store::StoreError;

/// A probe needs an answer soon, so it does not wait longer for the database.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, description = "The process runs")))]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok"}))
}

/// The database answers and has every migration.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "The database answers and has every migration"),
        (status = 503, description = "`database_unavailable`", body = Document),
    )
)]
pub(super) async fn readyz(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let migrations = within_time(state.store.migrations()).await?;
    match migrations.iter().find(|migration| !migration.applied) {
        None => Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"}))),
        Some(missing) => Err(Problem::because(
            Code::DatabaseUnavailable,
            format!("migration {} is not applied", missing.name),
        )),
    }
}

/// The metrics, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(state: web::Data<State>) -> HttpResponse {
    // Counted in the database. While the database is unavailable the gauge keeps its last value.
    if let Ok(parked) = within_time(state.store.journal().parked()).await {
        state.metrics.parked(parked);
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    HttpResponse::Ok().content_type(content_type).body(state.metrics.encode())
}

pub(super) async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::NotFound))
}

pub(super) fn method_not_allowed(allow: &'static str) -> HttpResponse {
    let mut response = Problem::new(Code::MethodNotAllowed).error_response();
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
    response
}

async fn within_time<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    match tokio::time::timeout(PROBE_TIMEOUT, query).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::because(Code::DatabaseUnavailable, "the database did not answer in time")),
    }
}
