//! The endpoints: their state, a test, and sending again.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::config;
use crate::console::access::{Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, at_most, html, see};
use crate::console::state::Console;
use crate::console::tasks::Task;
use crate::domain::EventKind;
use crate::events::{self, EndpointStatus, EventBody, Sender, statuses};

/// Pending events are counted up to here.
const MOST_COUNTED: usize = 10_000;
/// How far back a replay may go, in words and hours.
const SINCE: [(&str, u64); 4] = [("1 hour", 1), ("1 day", 24), ("7 days", 7 * 24), ("30 days", 30 * 24)];

#[derive(Template)]
#[template(path = "endpoints.html")]
struct Page {
    layout: Layout,
    rows: Vec<Row>,
    notice: Option<Result<String, String>>,
    since: [(&'static str, u64); 4],
}

struct Row {
    name: String,
    host: String,
    events: String,
    sources: String,
    state: &'static str,
    changed_at: Option<At>,
    failures: u32,
    resume_at: Option<At>,
    waiting: String,
    oldest: Option<At>,
    last: Option<(At, String, u128)>,
    task: Option<Task>,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Since {
    name: String,
    hours: String,
}

pub(super) async fn show(console: web::Data<Console>, admin: Admin) -> Result<HttpResponse, Failure> {
    page(&console, &admin, None).await
}

/// Sends a signed test event now.
pub(super) async fn test(console: web::Data<Console>, post: Post<Named>) -> Result<HttpResponse, Failure> {
    let Post { admin, form } = post;
    let endpoint = find(&console, &form.name)?;
    admin.audit(&console, "test an endpoint", Some(form.name.clone())).await?;
    let clock = console.clock();
    let (id, body) = (clock.fresh_id(), EventBody::test(clock.now()));
    let sender = Sender::new(clock.clone()).map_err(|error| Failure::Unavailable(error.to_string()))?;
    let notice = match sender.send(endpoint, id, &body).await {
        Ok(sent) => sent.describe(&form.name),
        Err(error) => Err(format!("The test event cannot be signed: {error}")),
    };
    page(&console, &admin, Some(notice)).await
}

/// Enables an endpoint that is disabled or failing.
pub(super) async fn enable(console: web::Data<Console>, post: Post<Named>) -> Result<HttpResponse, Failure> {
    let Post { admin, form } = post;
    find(&console, &form.name)?;
    admin.audit(&console, "enable an endpoint", Some(form.name.clone())).await?;
    events::enable(console.store(), console.clock(), &form.name).await?;
    Ok(see(&format!("{}/endpoints", console.base())))
}

/// Sends an endpoint a new event for every user who changed since a time.
pub(super) async fn replay(console: web::Data<Console>, post: Post<Since>) -> Result<HttpResponse, Failure> {
    let Post { admin, form: Since { name, hours } } = post;
    find(&console, &name)?;
    let hours: u64 = hours.parse().map_err(|_| Failure::BadRequest("The time cannot be read.".to_owned()))?;
    let page = format!("{}/endpoints", console.base());
    let working = console.tasks().begin(&task_name(&name)).ok_or_else(|| {
        Failure::not_done("A replay to this endpoint is in progress. Wait until it has ended.", &page)
    })?;
    admin.audit(&console, "replay to an endpoint", Some(format!("{name}, {hours} h"))).await?;
    let now = console.clock().now();
    let back = Duration::from_hours(hours.min(10_000)).min(console.config().event_retention());
    let (store, clock) = (console.store().clone(), console.clock().clone());
    let (working, stop) = (working.start(), console.jobs().stopping());
    console.jobs().spawn_once("replay to an endpoint", async move {
        let replaying = events::replay_changes(&store, &clock, &name, now.minus(back));
        let Some(replayed) = stop.run_until_cancelled(replaying).await else { return };
        working.end(match replayed {
            Ok(count) => Ok(format!("{count} events wait")),
            Err(error) => {
                tracing::error!(%error, endpoint = name, "a replay to an endpoint has stopped");
                Err("the database did not answer".to_owned())
            }
        });
    });
    Ok(see(&page))
}

fn task_name(endpoint: &str) -> String {
    format!("replay to {endpoint}")
}

fn find<'a>(console: &'a Console, name: &str) -> Result<&'a config::Endpoint, Failure> {
    let found = console.config().endpoints.iter().find(|endpoint| endpoint.name == name);
    found.ok_or(Failure::NotFound("No endpoint has this name."))
}

async fn page(
    console: &Console,
    admin: &Admin,
    notice: Option<Result<String, String>>,
) -> Result<HttpResponse, Failure> {
    let configured = &console.config().endpoints;
    let statuses = statuses(console.store(), configured, Some(MOST_COUNTED as u64)).await?;
    let rows: Vec<Row> = statuses
        .into_iter()
        .zip(configured)
        .map(|(status, configured)| row(console, status, configured))
        .collect();
    let is_working = rows.iter().any(|row| row.task.as_ref().is_some_and(|task| task.result.is_none()));
    let here = format!("{}/endpoints", console.base());
    let layout =
        Layout::new(console, admin, "/endpoints", "Endpoints").refreshed(is_working.then_some(3), &here);
    html(&Page { layout, rows, notice, since: SINCE })
}

fn row(console: &Console, status: EndpointStatus, configured: &config::Endpoint) -> Row {
    let EndpointStatus { name, endpoint, backlog } = status;
    let health = endpoint.as_ref().map(|endpoint| endpoint.health);
    let last = endpoint.and_then(|endpoint| endpoint.last).map(|last| {
        let status = last.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        (At(last.at), status, last.latency.as_millis())
    });
    let kinds: Vec<&str> = configured.events.iter().map(|kind: &EventKind| kind.name()).collect();
    Row {
        host: configured.origin(),
        events: kinds.join(", "),
        sources: if configured.sources.is_empty() { "all".to_owned() } else { configured.sources.join(", ") },
        state: health.map_or("new", |health| health.state.name()),
        changed_at: health.map(|health| At(health.changed_at)),
        failures: health.map_or(0, |health| health.failures),
        resume_at: health.and_then(|health| health.resume_at).map(At),
        waiting: at_most(usize::try_from(backlog.events).unwrap_or(usize::MAX), MOST_COUNTED),
        oldest: backlog.oldest.map(At),
        last,
        task: console.tasks().get(&task_name(&name)),
        name,
    }
}
