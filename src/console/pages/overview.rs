//! The overview: the sources and their health, what is refused and why, what is parked, and the lag of events.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::access::Admin;
use crate::console::chart::{self, MINUTES, MOST, Minutes};
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, ago, at_most, html, link};
use crate::console::state::Console;
use crate::domain::{Reason, Timestamp};
use crate::events::{EndpointStatus, statuses};
use crate::explain::advice;
use crate::http::delivery_refusals;
use crate::pull::SourceHealth;

/// Parked deliveries and pending events are counted up to here.
const MOST_COUNTED: usize = 1_000;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    layout: Layout,
    sources: Vec<SourceCard>,
    minutes: Minutes,
    refused: Vec<RefusedRow>,
    endpoints: Vec<EndpointRow>,
}

struct SourceCard {
    href: String,
    name: String,
    provider: &'static str,
    state: &'static str,
    last_delivery: Option<(At, String)>,
    refused_since: Option<(At, u64)>,
    parked: String,
    reasons: Vec<ReasonView>,
}

/// A reason for a state, in words.
pub(super) struct ReasonView {
    pub(super) name: &'static str,
    pub(super) why: &'static str,
    pub(super) fix: String,
}

struct RefusedRow {
    label: String,
    cause: &'static str,
    count: u64,
    width: u64,
}

struct EndpointRow {
    name: String,
    state: &'static str,
    waiting: String,
    lag: String,
    width: u64,
}

pub(super) async fn show(console: web::Data<Console>, admin: Admin) -> Result<HttpResponse, Failure> {
    let (store, now) = (console.store(), console.clock().now());
    let since = now.minus(std::time::Duration::from_secs(60 * MINUTES as u64));
    let received = store.journal().outcomes_since(since, MOST).await?;
    let (causes, searched) = store.journal().parked_causes(MOST_COUNTED as u64).await?;
    let mut parked: BTreeMap<String, usize> = BTreeMap::new();
    for cause in causes {
        *parked.entry(cause.source).or_default() += cause.count;
    }
    let is_cut = searched >= MOST_COUNTED;
    let health = console.watch().health().await?;
    let card = |source: SourceHealth| {
        let count = parked.get(&source.name).copied().unwrap_or_default();
        let parked = if is_cut { format!("{count} or more") } else { count.to_string() };
        card(&console, source, parked, now)
    };
    let statuses = statuses(store, &console.config().endpoints, Some(MOST_COUNTED as u64)).await?;
    let here = format!("{}/", console.base());
    html(&Page {
        layout: Layout::new(&console, &admin, "/", "Overview").refreshed(Some(10), &here),
        sources: health.into_iter().map(card).collect(),
        minutes: chart::minutes(&received, now),
        refused: refused(&console),
        endpoints: statuses.into_iter().map(|status| endpoint(status, now)).collect(),
    })
}

fn card(console: &Console, source: SourceHealth, parked: String, now: Timestamp) -> SourceCard {
    let SourceHealth { name, provider, state, reasons, activity, .. } = source;
    SourceCard {
        href: link(&format!("{}/source", console.base()), &[("name", &name)]),
        provider,
        state: state.as_str(),
        last_delivery: activity.last_delivery_at.map(|at| (At(at), ago(at, now))),
        refused_since: activity.refused_since.map(|since| (At(since), activity.refused)),
        parked,
        reasons: reasons.into_iter().map(|reason| reason_view(reason, &name)).collect(),
        name,
    }
}

pub(super) fn reason_view(reason: Reason, source: &str) -> ReasonView {
    let (why, fix) = advice(reason);
    ReasonView { name: reason.as_str(), why, fix: fix.replace("NAME", source).replace('`', "") }
}

/// What this process has refused since its start.
fn refused(console: &Console) -> Vec<RefusedRow> {
    let mut sources = console.sources().names();
    sources.push("unknown");
    let mut rows = Vec::new();
    for source in sources {
        for cause in delivery_refusals() {
            let count = console.metrics().refused(source, cause);
            if count > 0 {
                rows.push(RefusedRow { label: source.to_owned(), cause, count, width: 0 });
            }
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    let highest = rows.first().map_or(1, |row| row.count);
    for row in &mut rows {
        row.width = (row.count * 100 / highest).max(1);
    }
    rows
}

fn endpoint(status: EndpointStatus, now: Timestamp) -> EndpointRow {
    let EndpointStatus { name, endpoint, backlog } = status;
    let seconds = backlog.oldest.map_or(0, |oldest| now.since(oldest).as_secs());
    EndpointRow {
        name,
        state: endpoint.map_or("new", |endpoint| endpoint.health.state.name()),
        waiting: at_most(usize::try_from(backlog.events).unwrap_or(usize::MAX), MOST_COUNTED),
        lag: backlog.oldest.map_or_else(|| "none".to_owned(), |oldest| ago(oldest, now).replace(" ago", "")),
        // An hour fills the bar.
        width: (seconds * 100 / 3_600).min(100),
    }
}
