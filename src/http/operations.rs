//! Routes for operators: health, readiness and metrics.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Code, Problem};
use super::state::{Events, IntakeContext};
use crate::domain::EndpointState;
use crate::events::{EndpointStatus, statuses};
use crate::pull::Watch;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// The answer to `/healthz`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(inline)]
    status: Alive,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Alive {
    Ok,
}

/// The answer to `/readyz`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    #[schema(inline)]
    status: Ready,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Ready {
    Ready,
}

/// A probe needs an answer soon, so it does not wait longer for the database.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The process runs.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: Alive::Ok })
}

/// A delivery would be written: the queue is not full, and the database answers and has every migration.
pub(super) async fn readyz(
    store: web::Data<Store>,
    deliveries: web::Data<IntakeContext>,
) -> Result<HttpResponse, Problem> {
    if !deliveries.intake.has_capacity() {
        return Err(Problem::new(Code::QueueFull));
    }
    let migrations = within_time(store.migrations()).await?;
    match migrations.iter().find(|migration| !migration.applied) {
        None => {
            within_time(store.check_writable()).await?;
            Ok(HttpResponse::Ok().json(Readiness { status: Ready::Ready }))
        }
        Some(missing) => Err(Problem::because(
            Code::DatabaseUnavailable,
            format!("migration {} is not applied", missing.name),
        )),
    }
}

/// The metrics, for Prometheus.
pub(super) async fn metrics(
    store: web::Data<Store>,
    watch: web::Data<Watch>,
    metrics: web::Data<Metrics>,
    events: web::Data<Events>,
) -> HttpResponse {
    // Counted in the database. While the database is unavailable these gauges keep their last values.
    if let Ok(parked) = within_time(store.journal().parked()).await {
        metrics.parked(parked);
        within_time(watch.observe()).await.ok();
    }
    if let Ok(statuses) = within_time(statuses(&store, &events.endpoints, None)).await {
        let now = events.log.clock.now();
        for EndpointStatus { name, endpoint, backlog } in statuses {
            let state = endpoint.map_or(EndpointState::Healthy, |endpoint| endpoint.health.state);
            let lag = backlog.oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
            metrics.endpoint(&name, state, backlog.events, lag);
        }
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    HttpResponse::Ok().content_type(content_type).body(metrics.encode())
}

/// There is no such route. The log has this for a path that resembles that of a webhook, but not which path it was:
/// a path may contain personal data.
pub(super) async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.path();
    if !path.trim_start_matches('/').to_ascii_lowercase().starts_with("webhook") {
        return Err(Problem::new(Code::NotFound));
    }
    Err(Problem::because(Code::NotFound, "the URL of a webhook is /webhooks/{source}, with nothing after it"))
}

async fn within_time<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    match tokio::time::timeout(PROBE_TIMEOUT, query).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::because(Code::DatabaseUnavailable, "the database did not answer in time")),
    }
}
