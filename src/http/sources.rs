//! `/v1/sources`: whether the deliveries of each source arrive, and whether its rows match the provider.

use actix_web::{HttpRequest, web};
use serde::Serialize;
use strum::VariantArray as _;
use utoipa::ToSchema;
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{Array, Object, ObjectBuilder, Type};

use super::extract::ServiceKey;
use super::problem::{Code, Problem};
use super::query;
use super::state::WaitContext;
use crate::domain::{Activity, Admin, Comparison, Reason, SourceState, Timestamp};
use crate::pull::{SourceHealth, SourceStatus, Watch, WatchedDrift};
use crate::store::{Run, RunCounts, RunState};

/// A source, with its state and the reasons for it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Source)]
pub(super) struct SourceView {
    /// Its name in the configuration.
    name: String,
    /// The name of its provider.
    provider: &'static str,
    /// `ok`, or the state that follows from the worst reason.
    #[schema(schema_with = state_schema)]
    state: SourceState,
    /// Why it is not `ok`. Later versions may add reasons.
    #[schema(schema_with = reasons_schema)]
    reasons: Vec<Reason>,
    /// The path of its webhooks.
    webhook_path: String,
    /// The number of its rows.
    users: u64,
    /// When a delivery was last accepted.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    last_delivery_at: Option<Timestamp>,
    /// When a delivery was last refused because of its signature or token.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    last_refused_at: Option<Timestamp>,
    /// When the first delivery was refused since the last one that was accepted; null if none was.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    refused_since: Option<Timestamp>,
    /// The number of its deliveries that are parked.
    parked: u64,
    /// The last backfill or reconciliation.
    #[schema(required)]
    last_run: Option<RunView>,
    /// What differs from the provider; null if it was never checked.
    #[schema(required)]
    drift: Option<DriftView>,
}

/// A run through the provider's list of users.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Run)]
pub(super) struct RunView {
    /// `backfill` or `reconcile`.
    kind: &'static str,
    /// `running`, `unfinished` (the next run of its kind continues it), `complete` or `abandoned`.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// How many users it has read.
    seen: u64,
    /// How many of them changed a row.
    applied: u64,
    /// How many changed nothing.
    unchanged: u64,
    /// How many could not be read, and were parked.
    parked: u64,
}

/// What differs between the table and the provider. A number is null if it was not checked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Drift)]
pub(super) struct DriftView {
    /// When it was last checked.
    #[schema(value_type = String, format = DateTime)]
    checked_at: Timestamp,
    /// How many of the provider's newest users have no row. Null after a comparison, until the next check.
    #[schema(required)]
    canary: Option<u64>,
    /// The provider's number of users minus the number of rows. Null after a comparison, until the next check.
    #[schema(required)]
    count: Option<i64>,
    /// In the last comparison: users without a row who were not repaired.
    #[schema(required)]
    missing: Option<u64>,
    /// In the last comparison: rows whose fields differ from the provider's and were not repaired.
    #[schema(required)]
    different: Option<u64>,
    /// In the last comparison: rows of users who were deleted at the provider and not here.
    #[schema(required)]
    extra: Option<u64>,
    /// In the last comparison: users who exist at the provider, but are not in the list.
    #[schema(required)]
    not_listed: Option<u64>,
}

/// Lists the sources with their states.
pub(super) async fn list(
    watch: web::Data<Watch>,
    _key: ServiceKey<Admin>,
    request: HttpRequest,
) -> Result<web::Json<Vec<SourceView>>, Problem> {
    query::refuse_parameters(&request)?;
    Ok(web::Json(watch.all().await?.into_iter().map(SourceView::from).collect()))
}

/// Checks a source at its provider now, and returns its state.
pub(super) async fn check(
    watch: web::Data<Watch>,
    waiting: web::Data<WaitContext>,
    _key: ServiceKey<Admin>,
    name: web::Path<String>,
    request: HttpRequest,
) -> Result<web::Json<SourceView>, Problem> {
    query::refuse_parameters(&request)?;
    let status = watch.check(&name, &waiting.stopping).await?;
    Ok(web::Json(status.ok_or_else(|| Problem::new(Code::UnknownSource))?.into()))
}

impl From<SourceStatus> for SourceView {
    fn from(status: SourceStatus) -> Self {
        let SourceStatus { health, users, parked } = status;
        let SourceHealth {
            name,
            provider,
            state,
            reasons,
            webhook_path,
            receives: _,
            activity,
            last_run,
            drift,
        } = health;
        let Activity { last_delivery_at, last_refused_at, refused_since, refused: _ } = activity;
        Self {
            name,
            provider,
            state,
            reasons,
            webhook_path,
            users,
            last_delivery_at,
            last_refused_at,
            refused_since,
            parked,
            last_run: last_run.map(RunView::from),
            drift: drift.map(DriftView::from),
        }
    }
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        let Run { kind, state, counts, started_at, finished_at, is_held, .. } = run;
        let RunCounts { seen, applied, unchanged, parked } = counts;
        let state = if state == RunState::Running && !is_held { "unfinished" } else { state.into() };
        Self { kind: kind.into(), state, started_at, finished_at, seen, applied, unchanged, parked }
    }
}

impl From<WatchedDrift> for DriftView {
    fn from(drift: WatchedDrift) -> Self {
        let WatchedDrift { checked_at, canary, count, comparison } = drift;
        let of = |number: fn(Comparison) -> u64| comparison.map(number);
        Self {
            checked_at,
            canary,
            count,
            missing: of(|found| found.missing),
            different: of(|found| found.different),
            extra: of(|found| found.extra),
            not_listed: of(|found| found.not_listed),
        }
    }
}

fn state_schema() -> Object {
    words(SourceState::VARIANTS.iter().map(|state| state.as_str()).collect())
}

fn reasons_schema() -> Array {
    let reasons = words(Reason::VARIANTS.iter().map(|reason| reason.as_str()).collect());
    ArrayBuilder::new().items(reasons).build()
}

fn words(words: Vec<&'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
