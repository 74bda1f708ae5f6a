//! The audit: what was done in the console, and by whom.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use crate::console::access::Admin;
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, PAGE, html, link};
use crate::console::state::Console;
use crate::store::AuditEntry;

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    layout: Layout,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    at: At,
    actor: String,
    action: String,
    target: String,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Query {
    #[serde(default)]
    before: String,
}

pub(super) async fn show(
    console: web::Data<Console>,
    admin: Admin,
    query: web::Query<Query>,
) -> Result<HttpResponse, Failure> {
    let before = Uuid::parse_str(&query.before).ok();
    let mut entries = console.store().audit().page(before, PAGE + 1).await?;
    let has_more = entries.len() as u64 > PAGE;
    entries.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let last = entries.last().filter(|_| has_more).map(|last| last.id.to_string());
    let older = last.map(|last| link(&format!("{}/audit", console.base()), &[("before", &last)]));
    let row = |entry: AuditEntry| {
        let AuditEntry { at, actor, action, target, .. } = entry;
        Row { at: At(at), actor, action, target: target.unwrap_or_default() }
    };
    let layout = Layout::new(&console, &admin, "/audit", "Audit");
    html(&Page { layout, rows: entries.into_iter().map(row).collect(), older })
}
