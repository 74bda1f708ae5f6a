//! The checks of a token or a delivery, one by one, and how to fix the one that failed: for `usersync explain` and for
//! the debuggers of the console.
//!
//! The decision is made by the service's own code; this module only explains it. Nothing is written.

mod fetching;
mod json_variants;
mod near_miss;
mod reasons;
mod report;
mod rules;
mod signature_diagnosis;
pub(crate) mod token;
mod token_fix;
pub(crate) mod webhook;
mod webhook_fix;

pub(crate) use fetching::fix as fetching_fix;
pub(crate) use reasons::advice;
pub(crate) use report::{Report, Verdict};
pub(crate) use rules::{ConfiguredRule, all as configured_rules};

use crate::domain::Timestamp;

/// The time between two timestamps, to the second, for people.
fn between(one: Timestamp, other: Timestamp) -> String {
    let seconds = one.as_seconds().abs_diff(other.as_seconds());
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}
