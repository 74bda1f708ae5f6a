//! The providers that issue tokens: whether their keys can be fetched, and whether their clock agrees with ours.

use std::time::{Duration, Instant};

use reqwest::header::DATE;
use reqwest::redirect::Policy;
use url::Url;

use super::Finding;
use crate::auth::{Authenticator, TokenError};
use crate::clock::Clock;
use crate::config::Tokens;
use crate::domain::Timestamp;
use crate::explain::{ConfiguredRule, fetching_fix};

/// A slower fetch is noticed by the people who sign in just after a start.
const SLOW_FETCH: Duration = Duration::from_secs(1);
/// A larger difference between two clocks cannot come from the network's delay.
const TOLERATED_SECONDS: u64 = 30;

/// Fetches the keys of every rule as the service does.
pub(super) async fn check_keys(authenticator: &Authenticator, rules: &[ConfiguredRule<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let started = Instant::now();
        let keys = authenticator.usable_keys(index).await;
        findings.push(judge_keys(rule, &keys, started.elapsed()));
    }
    if rules.is_empty() {
        findings.push(Finding::ok("no token rule, so no keys are needed"));
    }
    findings
}

fn judge_keys(
    rule: &ConfiguredRule<'_>,
    keys: &Result<Vec<(&str, usize)>, TokenError>,
    took: Duration,
) -> Finding {
    let url = rule.keys_url().unwrap_or_else(|| "the configuration".to_owned());
    let keys = match keys {
        Ok(keys) => keys,
        Err(error) => {
            let fix = match error {
                TokenError::KeysUnavailable { why } => fetching_fix(why, rule),
                _ => String::new(),
            };
            let why = "tokens of this issuer are answered 503 until its keys can be fetched";
            return Finding::error(format!("{rule}: {error}"), why, fix);
        }
    };
    let counts: Vec<_> = keys.iter().map(|(algorithm, count)| format!("{algorithm} {count}")).collect();
    let counts = counts.join(", ");
    if keys.iter().all(|(_, count)| *count == 0) {
        return Finding::error(
            format!("{rule}: {url} has no usable key ({counts})"),
            "every token of this issuer is refused; only RSA keys of at least 2048 bits, P-256 and Ed25519 \
                keys for signatures are usable",
            format!(
                "configure the provider to sign with one of these algorithms, or correct {} or the URL",
                rule.key("algorithm")
            ),
        );
    }
    let milliseconds = took.as_millis();
    if took > SLOW_FETCH {
        return Finding::warning(
            format!("{rule}: {url} took {milliseconds} ms"),
            "the first request after a start waits that long",
            "check DNS and the network path; fetch_timeout under [tokens] sets the limit",
        );
    }
    Finding::ok(format!("{rule}: {url}, usable keys: {counts}; {milliseconds} ms"))
}

/// Compares this machine's clock with the `Date` header of each provider's answer.
pub(super) async fn check_clock(
    rules: &[ConfiguredRule<'_>],
    settings: &Tokens,
    clock: &Clock,
) -> Vec<Finding> {
    let mut checked: Vec<String> = Vec::new();
    let mut findings = Vec::new();
    for url in
        rules.iter().filter_map(ConfiguredRule::keys_url).filter_map(|address| Url::parse(&address).ok())
    {
        let host = url.host_str().unwrap_or_default().to_owned();
        if checked.contains(&host) {
            continue;
        }
        if let Some(theirs) = fetch_date(url, settings).await {
            findings.push(compare_clocks(&host, theirs, clock.now()));
        }
        checked.push(host);
    }
    if findings.is_empty() {
        findings.push(Finding::ok("not checked: no provider sent a `Date` header"));
    }
    findings
}

/// The provider's time. Failed requests are reported by `check_keys`, not here.
async fn fetch_date(url: Url, settings: &Tokens) -> Option<Timestamp> {
    let client = reqwest::Client::builder().redirect(Policy::none()).timeout(settings.fetch_timeout);
    let response = client.build().ok()?.get(url).send().await.ok()?;
    Timestamp::from_http_date(response.headers().get(DATE)?.to_str().ok()?)
}

fn compare_clocks(host: &str, theirs: Timestamp, ours: Timestamp) -> Finding {
    let seconds = ours.as_seconds().abs_diff(theirs.as_seconds());
    if seconds <= TOLERATED_SECONDS {
        return Finding::ok(format!("within {TOLERATED_SECONDS} s of {host}"));
    }
    let direction = if ours > theirs { "ahead of" } else { "behind" };
    let why = if ours > theirs {
        "tokens seem expired; if the difference is more than 300 s (WorkOS: 180 s), deliveries are refused as \
            too old"
    } else {
        "tokens seem not yet valid; if the difference is more than 300 s (WorkOS: 180 s), deliveries are \
            refused as from the future"
    };
    let fix = "synchronise the clock by NTP (see `timedatectl`); if this machine's clock is correct, the provider's \
            clock is wrong";
    Finding::error(format!("this machine's clock is {seconds} s {direction} {host}"), why, fix)
}
