//! The keys of every rule: had the way the service has them.

use std::time::{Duration, Instant};

use super::Finding;
use crate::auth::{Authenticator, TokenError};
use crate::cli::fetching;
use crate::cli::rules::Placed;

/// Past this, people who sign in just after the start notice.
const SLOW: Duration = Duration::from_secs(1);

pub(super) async fn look(authenticator: &Authenticator, rules: &[Placed<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let started = Instant::now();
        let keys = authenticator.usable_keys(index).await;
        findings.push(finding(rule, &keys, started.elapsed()));
    }
    if rules.is_empty() {
        findings.push(Finding::well("no token rule, so none are needed"));
    }
    findings
}

fn finding(rule: &Placed<'_>, keys: &Result<Vec<(String, usize)>, TokenError>, took: Duration) -> Finding {
    let from = rule.asks().unwrap_or_else(|| "the configuration".to_owned());
    let keys = match keys {
        Ok(keys) => keys,
        Err(error) => {
            let fix = match error {
                TokenError::KeysUnavailable { why } => fetching::fix(why, rule),
                _ => String::new(),
            };
            let why = "its tokens are answered 503 until keys can be had";
            return Finding::error(format!("{rule}: {error}"), why, fix);
        }
    };
    let counted: Vec<_> = keys.iter().map(|(algorithm, count)| format!("{algorithm} {count}")).collect();
    let counted = counted.join(", ");
    if keys.iter().all(|(_, count)| *count == 0) {
        return Finding::error(
            format!("{rule}: {from} has no usable key ({counted})"),
            "every token of the issuer is refused; only RSA from 2048 bits, P-256 and Ed25519 keys for \
                signatures count",
            format!(
                "have the provider sign with one of these algorithms, or correct {} or the address",
                rule.key("algorithm")
            ),
        );
    }
    let milliseconds = took.as_millis();
    if took > SLOW {
        return Finding::warning(
            format!("{rule}: {from} took {milliseconds} ms"),
            "whoever asks first after a start waits for it",
            "look at DNS and the way there; fetch_timeout under [tokens] is where it ends",
        );
    }
    Finding::well(format!("{rule}: {from}, usable keys: {counted}; {milliseconds} ms"))
}
