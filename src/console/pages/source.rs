//! One source: its webhook, its token rules and their keys, and its runs.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::overview::{ReasonView, reason_view};
use crate::auth::KeyState;
use crate::config;
use crate::console::access::{Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, html, link, see, user_link};
use crate::console::runs::Wanted;
use crate::console::state::Console;
use crate::console::tasks::Task;
use crate::domain::UserKey;
use crate::explain::{ConfiguredRule, configured_rules};
use crate::pull::{BackfillOptions, ReconcileOptions};
use crate::store::{Run, RunCounts, RunKind, RunState};

/// Runs of each kind on a page.
const RUNS: u64 = 10;
/// Ids of each kind that a report shows.
const IDS: usize = 20;

#[derive(Template)]
#[template(path = "source.html")]
struct Page {
    layout: Layout,
    name: String,
    provider: &'static str,
    state: &'static str,
    reasons: Vec<ReasonView>,
    webhook_path: String,
    secrets: usize,
    bearer_tokens: usize,
    rules: Vec<RuleRow>,
    is_checked: bool,
    has_list: bool,
    task: Option<Task>,
    runs: Vec<RunRow>,
    older: Option<String>,
    findings: Vec<Finding>,
    is_running: bool,
    here: String,
}

struct RuleRow {
    kind: &'static str,
    issuer: String,
    application_id: String,
    parties: String,
    keys: String,
    fetched_at: Option<At>,
    failure: Option<(At, String)>,
}

/// A run, for people.
pub(super) struct RunRow {
    id: Uuid,
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    class: &'static str,
    started_at: At,
    finished_at: Option<At>,
    seen: u64,
    total: Option<u64>,
    /// Of 100, if the total is known.
    percent: Option<u64>,
    applied: u64,
    unchanged: u64,
    parked: u64,
    error: String,
}

/// What the last complete reconciliation found, by kind.
struct Finding {
    what: &'static str,
    count: u64,
    users: Vec<(String, String, String)>,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Query {
    name: String,
    /// Runs before this one.
    #[serde(default)]
    before: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct NewRun {
    name: String,
    kind: String,
    /// Of a backfill: from the beginning.
    #[serde(default)]
    restart: String,
    /// Of a reconciliation: write what is missing or different.
    #[serde(default)]
    repair: String,
}

impl From<Run> for RunRow {
    fn from(run: Run) -> Self {
        let Run { id, kind, state, counts, total, started_at, finished_at, error, is_held, .. } = run;
        let RunCounts { seen, applied, unchanged, parked } = counts;
        let (state, class) = match state {
            RunState::Running if is_held => ("running", "stale"),
            RunState::Running => ("unfinished", "parked"),
            RunState::Complete => ("complete", "applied"),
            RunState::Abandoned => ("abandoned", "parked"),
        };
        Self {
            id,
            kind: kind.into(),
            state,
            class,
            started_at: At(started_at),
            finished_at: finished_at.map(At),
            seen,
            total,
            percent: total.filter(|total| *total > 0).map(|total| (seen * 100 / total).min(100)),
            applied,
            unchanged,
            parked,
            error: error.unwrap_or_default(),
        }
    }
}

pub(super) async fn show(
    console: web::Data<Console>,
    admin: Admin,
    query: web::Query<Query>,
) -> Result<HttpResponse, Failure> {
    let Query { name, before } = query.into_inner();
    let settings = settings(&console, &name)?;
    let health = console.watch().health().await?.into_iter().find(|source| source.name == name);
    let health = health.ok_or(Failure::NotFound("No source has this name."))?;
    // Before the runs, so that the end of one is not shown without its counts.
    let task = console.runs().last_started(&name);
    let (runs, next) = runs(&console, &name, Uuid::parse_str(&before).ok()).await?;
    let base = format!("{}/source", console.base());
    let findings = findings(&console, &name).await?;
    let runs: Vec<RunRow> = runs.into_iter().map(RunRow::from).collect();
    let is_running = runs.iter().any(|run| run.state == "running")
        || task.as_ref().is_some_and(|task| task.result.is_none());
    let (title, here) = (format!("Source {name}"), link(&base, &[("name", &name)]));
    html(&Page {
        layout: Layout::new(&console, &admin, "/sources", title).refreshed(is_running.then_some(3), &here),
        provider: health.provider,
        state: health.state.as_str(),
        reasons: health.reasons.into_iter().map(|reason| reason_view(reason, &name)).collect(),
        webhook_path: health.webhook_path,
        secrets: settings.webhook_secrets.len(),
        bearer_tokens: settings.bearer_tokens.len(),
        rules: rules(&console, &name),
        is_checked: console.watch().sends_requests(&name),
        has_list: has_list(&console, &name),
        task,
        runs,
        older: next.map(|id| link(&base, &[("name", &name), ("before", &id.to_string())])),
        findings,
        is_running,
        here,
        name,
    })
}

/// Checks the source at its provider now.
pub(super) async fn check(console: web::Data<Console>, post: Post<Named>) -> Result<HttpResponse, Failure> {
    let Post { admin, form: Named { name } } = post;
    settings(&console, &name)?;
    let page = link(&format!("{}/source", console.base()), &[("name", &name)]);
    if !console.watch().sends_requests(&name) {
        let why = "Nothing can be checked: no request is sent to the provider of this source.";
        return Err(Failure::not_done(why, &page));
    }
    admin.audit(&console, "check a source", Some(name.clone())).await?;
    console.watch().check(&name, &console.jobs().stopping()).await?;
    Ok(see(&page))
}

/// Starts a backfill or a reconciliation.
pub(super) async fn run(console: web::Data<Console>, post: Post<NewRun>) -> Result<HttpResponse, Failure> {
    let Post { admin, form } = post;
    let settings = settings(&console, &form.name)?;
    let requests_per_second = settings.api.as_ref().and_then(|api| api.requests_per_second);
    let (restart, repair) = (!form.restart.is_empty(), !form.repair.is_empty());
    let (wanted, what) = match &*form.kind {
        "backfill" => {
            let options = BackfillOptions { restart, requests_per_second, ..BackfillOptions::default() };
            let what = if restart { "start a backfill from the beginning" } else { "start a backfill" };
            (Wanted::Backfill(options), what)
        }
        "reconcile" => {
            let options = ReconcileOptions { repair, requests_per_second, ..ReconcileOptions::default() };
            let what = if repair { "start a reconciliation with repair" } else { "start a reconciliation" };
            (Wanted::Reconcile(options), what)
        }
        _ => return Err(Failure::BadRequest("`kind` is `backfill` or `reconcile`.".to_owned())),
    };
    let page = link(&format!("{}/source", console.base()), &[("name", &form.name)]);
    if !has_list(&console, &form.name) {
        return Err(Failure::not_done("The users of this source cannot be read without an API key.", &page));
    }
    let in_progress =
        || Failure::not_done("A run of this source is in progress. Its page shows how far it is.", &page);
    if is_held(&console, &form.name).await? {
        return Err(in_progress());
    }
    if console.runs().is_complete(&form.name, &wanted).await? {
        let why = "The last backfill is complete. To repeat it, choose \"from the beginning\".";
        return Err(Failure::not_done(why, &page));
    }
    let working = console.runs().begin(&form.name).ok_or_else(in_progress)?;
    admin.audit(&console, what, Some(form.name.clone())).await?;
    console.runs().start(&form.name, wanted, working.start());
    Ok(see(&page))
}

/// Whether the settings say how the source's list of users is read.
fn has_list(console: &Console, name: &str) -> bool {
    console.sources().get(name).is_some_and(|source| source.api().is_some())
}

/// Whether another process, or the watch, works on a run of this source.
async fn is_held(console: &Console, name: &str) -> Result<bool, Failure> {
    let (store, now) = (console.store().runs(), console.clock().now());
    for kind in [RunKind::Backfill, RunKind::Reconcile] {
        if store.newest(name, kind, None, now).await?.is_some_and(|run| run.is_held) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn settings<'a>(console: &'a Console, name: &str) -> Result<&'a config::Source, Failure> {
    let found = console.config().sources.iter().find(|source| source.name == name);
    found.ok_or(Failure::NotFound("No source has this name."))
}

/// The newest runs of both kinds, and the one to continue before.
async fn runs(
    console: &Console,
    name: &str,
    before: Option<Uuid>,
) -> Result<(Vec<Run>, Option<Uuid>), Failure> {
    let (store, now) = (console.store().runs(), console.clock().now());
    let mut runs = store.page(name, RunKind::Backfill, before, RUNS + 1, now).await?;
    runs.extend(store.page(name, RunKind::Reconcile, before, RUNS + 1, now).await?);
    runs.sort_by_key(|run| std::cmp::Reverse(run.id));
    let has_more = runs.len() as u64 > RUNS;
    runs.truncate(usize::try_from(RUNS).unwrap_or(usize::MAX));
    let next = runs.last().filter(|_| has_more).map(|run| run.id);
    Ok((runs, next))
}

fn rules(console: &Console, name: &str) -> Vec<RuleRow> {
    let all = configured_rules(console.config());
    let of_source = all.iter().enumerate().filter(|(_, rule)| rule.source.name == name);
    of_source.map(|(place, rule)| rule_row(rule, console.authenticator().key_state(place))).collect()
}

fn rule_row(rule: &ConfiguredRule<'_>, keys: Option<KeyState>) -> RuleRow {
    let KeyState { keys, fetched_at, failure } = keys.unwrap_or_default();
    RuleRow {
        kind: if rule.issuer_key() == "domain" { "oidc" } else { "customJwt" },
        issuer: rule.issuer().to_owned(),
        application_id: rule.rule.application_id.clone().unwrap_or_else(|| "any".to_owned()),
        parties: rule.rule.authorized_parties.join(", "),
        keys: keys.map_or_else(|| "not fetched yet".to_owned(), |count| format!("{count} keys")),
        fetched_at: fetched_at.map(At),
        failure: failure.map(|(at, why)| (At(at), why)),
    }
}

/// What the last complete reconciliation found: ids alone, no personal data.
async fn findings(console: &Console, name: &str) -> Result<Vec<Finding>, Failure> {
    let (store, now) = (console.store().runs(), console.clock().now());
    let last = store.newest(name, RunKind::Reconcile, Some(RunState::Complete), now).await?;
    let Some(report) = last.and_then(|run| run.report) else { return Ok(Vec::new()) };
    let kinds = [
        ("missing", "at the provider, but no row here"),
        ("different", "fields differ"),
        ("extra", "a row here, but no such user at the provider"),
        ("notListed", "at the provider, but not in its list"),
    ];
    let finding = |(key, what)| Finding {
        what,
        count: report.pointer(&format!("/counts/{key}")).and_then(Value::as_u64).unwrap_or_default(),
        users: users(console, name, &report, key),
    };
    Ok(kinds.into_iter().map(finding).filter(|finding: &Finding| finding.count > 0).collect())
}

/// The first users of one kind: the page of each, its id, and what differs.
fn users(console: &Console, name: &str, report: &Value, key: &str) -> Vec<(String, String, String)> {
    let listed = report.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let user = |one: &Value| {
        let id = one.as_str().or_else(|| one.get("externalId")?.as_str())?;
        let fields = one.get("fields").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let fields: Vec<&str> = fields.iter().filter_map(Value::as_str).collect();
        Some((user_link(console.base(), &UserKey::new(name, id)), id.to_owned(), fields.join(", ")))
    };
    listed.iter().take(IDS).filter_map(user).collect()
}
