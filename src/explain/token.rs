//! The checks of a token.

use super::between;
use super::report::{Failure, Report};
use super::rules::ConfiguredRule;
use super::token_fix::{RefusedToken, fix};
use crate::auth::{Claimed, Explained, TokenError};
use crate::domain::Timestamp;

/// What to say if every check passed.
pub(crate) const ALL_PASSED: &str = "The token is valid. If the service still refuses it: 404 `user_not_synced` means \
    that no webhook about its user has arrived yet; 410 `user_deleted` means that the provider deleted the \
    user (docs/problems.md).";

/// Every check of a token, and how to fix the one that failed.
pub(crate) fn report(
    token: &str,
    explained: &Explained,
    rules: &[ConfiguredRule<'_>],
    now: Timestamp,
) -> Report {
    let Explained { decided, rule, claimed } = explained;
    let unread = Claimed::default();
    let claimed = claimed.as_ref().unwrap_or(&unread);
    let rule = rule.and_then(|index| rules.get(index));
    let failure = decided.as_ref().err().map(|error| Failure {
        check: error.check(),
        found: error.to_string(),
        fix: fix(error, &RefusedToken { token, claimed, rules, rule }),
    });
    let mut report = Report::default();
    report.made(TokenError::CHECKS, failure, |check| match (check, rule) {
        ("form", _) => "three parts, the first two of JSON".to_owned(),
        (_, Some(rule)) => passed(check, claimed, rule, now),
        (_, None) => format!("{} is the issuer of a rule", shown(claimed.issuer.as_ref())),
    });
    report
}

/// What was found by a check that passed, once a rule was picked.
fn passed(check: &str, claimed: &Claimed, rule: &ConfiguredRule<'_>, now: Timestamp) -> String {
    match check {
        "issuer" => format!("{} is the issuer of {rule}", shown(claimed.issuer.as_ref())),
        "audience" => match &rule.rule.application_id {
            Some(wanted) => format!("{:?} contains the rule's applicationID {wanted:?}", claimed.audience),
            None => "not checked: the rule has no applicationID".to_owned(),
        },
        "algorithm" => format!("{} is one of the rule's algorithms", shown(claimed.algorithm.as_ref())),
        "critical_extensions" => "none".to_owned(),
        "key_id" => shown(claimed.key_id.as_ref()),
        "keys" => rule
            .keys_url()
            .map_or("in the configuration".to_owned(), |address| format!("fetched from {address}")),
        "key" => "the issuer has a key with this id and algorithm".to_owned(),
        "signature" => "made with that key".to_owned(),
        "expiry" => format!("in {}", distance(claimed.expires_at, now)),
        "not_before" => claimed.not_before.map_or("none".to_owned(), |_| "has passed".to_owned()),
        "issued_at" if claimed.issued_at.is_none() => "none; a customJwt rule does not require it".to_owned(),
        "issued_at" => format!("{} ago", distance(claimed.issued_at, now)),
        "authorized_party" if rule.rule.authorized_parties.is_empty() => {
            format!("{}, not checked: the rule has no authorizedParties", shown(claimed.party.as_ref()))
        }
        "authorized_party" => {
            format!("{} is one of the rule's authorizedParties", shown(claimed.party.as_ref()))
        }
        "subject" => "present".to_owned(),
        _ => String::new(),
    }
}

/// Always quoted and escaped: a token can hold anything.
fn shown(text: Option<&String>) -> String {
    text.map_or("none".to_owned(), |text| format!("{text:?}"))
}

fn distance(seconds: Option<f64>, now: Timestamp) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "shown to the second; a cast of a float saturates")]
    let time = Timestamp::from_seconds(seconds.unwrap_or_default() as i64);
    between(time, now)
}
