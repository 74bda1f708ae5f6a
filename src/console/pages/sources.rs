//! The sources: whether deliveries arrive, and the last run.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::source::RunRow;
use crate::console::access::Admin;
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, html, link};
use crate::console::state::Console;
use crate::pull::SourceHealth;

#[derive(Template)]
#[template(path = "sources.html")]
struct Page {
    layout: Layout,
    rows: Vec<Row>,
}

struct Row {
    href: String,
    name: String,
    provider: &'static str,
    state: &'static str,
    webhook_path: String,
    receives: bool,
    last_delivery: Option<At>,
    last_run: Option<RunRow>,
}

pub(super) async fn show(console: web::Data<Console>, admin: Admin) -> Result<HttpResponse, Failure> {
    let row = |source: SourceHealth| Row {
        href: link(&format!("{}/source", console.base()), &[("name", &source.name)]),
        name: source.name,
        provider: source.provider,
        state: source.state.as_str(),
        webhook_path: source.webhook_path,
        receives: source.receives,
        last_delivery: source.activity.last_delivery_at.map(At),
        last_run: source.last_run.map(RunRow::from),
    };
    let rows = console.watch().health().await?.into_iter().map(row).collect();
    html(&Page { layout: Layout::new(&console, &admin, "/sources", "Sources"), rows })
}
