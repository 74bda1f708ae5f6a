//! The webhook debugger: the checks of `usersync explain webhook`. Nothing of the delivery is stored or logged.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::token::{CheckRow, plain, rows};
use crate::console::access::{Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{Layout, html};
use crate::console::state::Console;
use crate::explain::webhook::{self, Saved};

#[derive(Template)]
#[template(path = "webhook.html")]
struct Page {
    layout: Layout,
    sources: Vec<String>,
    source: String,
    headers: String,
    body: String,
    error: Option<String>,
    checks: Option<Vec<CheckRow>>,
    all_passed: Option<String>,
}

#[derive(Deserialize)]
pub(in crate::console) struct Form {
    #[serde(default)]
    source: String,
    headers: String,
    body: String,
}

pub(super) async fn show(console: web::Data<Console>, admin: Admin) -> Result<HttpResponse, Failure> {
    let form = Form { source: String::new(), headers: String::new(), body: String::new() };
    html(&page(&console, &admin, form))
}

pub(super) async fn explain(console: web::Data<Console>, post: Post<Form>) -> Result<HttpResponse, Failure> {
    let Post { admin, form } = post;
    // A form sends every line break as CR LF.
    let body = form.body.replace("\r\n", "\n").into_bytes();
    let headers = webhook::parse_headers(form.headers.as_bytes());
    let source = form.source.clone();
    let mut page = page(&console, &admin, form);
    let headers = match headers {
        Ok(headers) => headers,
        Err(line) => {
            page.error = Some(format!("Line {line} of the headers is not `name: value`."));
            return html(&page);
        }
    };
    let saved = Saved { source: &source, headers: &headers, body: &body, at: console.clock().now() };
    let report = webhook::report(console.config(), saved);
    let report = report.map_err(|error| Failure::Unavailable(error.to_string()))?;
    page.all_passed = report.first_failed().is_none().then(|| plain(webhook::ALL_PASSED));
    page.checks = Some(rows(&report));
    html(&page)
}

fn page(console: &Console, admin: &Admin, form: Form) -> Page {
    let Form { source, headers, body } = form;
    Page {
        layout: Layout::new(console, admin, "/webhook", "Webhook debugger"),
        sources: console.sources().names().into_iter().map(str::to_owned).collect(),
        source,
        headers,
        body,
        error: None,
        checks: None,
        all_passed: None,
    }
}
