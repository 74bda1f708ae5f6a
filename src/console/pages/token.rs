//! The token debugger: the checks of `usersync explain token`. The token is neither stored nor logged.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::console::access::{Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{Layout, html};
use crate::console::state::Console;
use crate::explain::{Report, Verdict, configured_rules, token};

#[derive(Template)]
#[template(path = "token.html")]
struct Page {
    layout: Layout,
    checks: Option<Vec<CheckRow>>,
    all_passed: Option<String>,
}

/// A check, for people.
pub(super) struct CheckRow {
    pub(super) name: &'static str,
    /// `passed`, `failed` or `not reached`.
    pub(super) verdict: &'static str,
    pub(super) class: &'static str,
    pub(super) found: String,
    pub(super) fix: String,
}

#[derive(Deserialize)]
pub(in crate::console) struct Form {
    jwt: String,
}

pub(super) async fn show(console: web::Data<Console>, admin: Admin) -> Result<HttpResponse, Failure> {
    let layout = Layout::new(&console, &admin, "/token", "Token debugger");
    html(&Page { layout, checks: None, all_passed: None })
}

pub(super) async fn explain(console: web::Data<Console>, post: Post<Form>) -> Result<HttpResponse, Failure> {
    let Post { admin, form } = post;
    let jwt = form.jwt.trim();
    let jwt = jwt.strip_prefix("Bearer ").unwrap_or(jwt).trim();
    let explained = console.authenticator().explain(jwt).await;
    let report = token::report(jwt, &explained, &configured_rules(console.config()), console.clock().now());
    let layout = Layout::new(&console, &admin, "/token", "Token debugger");
    let all_passed = report.first_failed().is_none().then(|| plain(token::ALL_PASSED));
    html(&Page { layout, checks: Some(rows(&report)), all_passed })
}

/// Texts of the command line without the marks of code.
pub(super) fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// The checks of a report, for a page.
pub(super) fn rows(report: &Report) -> Vec<CheckRow> {
    let row = |(name, verdict): &(&'static str, Verdict)| {
        let (verdict, class, found, fix) = match verdict {
            Verdict::Passed(found) => ("passed", "applied", plain(found), String::new()),
            Verdict::Failed { found, fix } => ("failed", "parked", plain(found), plain(fix)),
            Verdict::NotReached => ("not reached", "stale", String::new(), String::new()),
        };
        CheckRow { name, verdict, class, found, fix }
    };
    report.checks().iter().map(row).collect()
}
