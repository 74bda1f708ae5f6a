//! This machine's clock, held against the `Date` that the providers answer with.

use chrono::{DateTime, Utc};
use reqwest::header::DATE;
use reqwest::redirect::Policy;
use url::Url;

use super::Finding;
use crate::cli::rules::Placed;
use crate::clock::Clock;
use crate::config::Tokens;
use crate::domain::Timestamp;

/// Past this many seconds it is no longer the way that takes the time.
const TOLERATED: u64 = 30;

pub(super) async fn look(rules: &[Placed<'_>], settings: &Tokens, clock: &Clock) -> Vec<Finding> {
    let mut asked: Vec<String> = Vec::new();
    let mut findings = Vec::new();
    for url in rules.iter().filter_map(Placed::asks).filter_map(|address| Url::parse(&address).ok()) {
        let host = url.host_str().unwrap_or_default().to_owned();
        if asked.contains(&host) {
            continue;
        }
        if let Some(theirs) = date(url, settings).await {
            findings.push(compare(&host, theirs, clock.now()));
        }
        asked.push(host);
    }
    if findings.is_empty() {
        findings.push(Finding::well("not compared: no provider told the time"));
    }
    findings
}

/// What time it is where the keys are; whether they can be had is not looked at here.
async fn date(url: Url, settings: &Tokens) -> Option<Timestamp> {
    let client = reqwest::Client::builder().redirect(Policy::none()).timeout(settings.fetch_timeout);
    let answer = client.build().ok()?.get(url).send().await.ok()?;
    let date = DateTime::parse_from_rfc2822(answer.headers().get(DATE)?.to_str().ok()?).ok()?;
    Some(date.with_timezone(&Utc).into())
}

fn compare(host: &str, theirs: Timestamp, ours: Timestamp) -> Finding {
    let seconds = ours.as_seconds().abs_diff(theirs.as_seconds());
    if seconds <= TOLERATED {
        return Finding::well(format!("within {TOLERATED} s of {host}"));
    }
    let direction = if ours > theirs { "ahead of" } else { "behind" };
    let why = if ours > theirs {
        "tokens seem expired, and deliveries too old (past 300 s)"
    } else {
        "tokens seem not yet valid, and deliveries from the future (past 300 s)"
    };
    let fix = "set the clock by NTP (`timedatectl` tells); if this machine is right, the provider is not";
    Finding::error(format!("this machine's clock is {seconds} s {direction} {host}"), why, fix)
}
