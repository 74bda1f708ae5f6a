//! The states of the sources, from what the watch of the running service has found.

use std::sync::Arc;

use super::Finding;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::{Reason, SourceState};
use crate::explain::advice;
use crate::providers::Sources;
use crate::pull::Watch;
use crate::store::{Store, StoreError};
use crate::sync::{Activities, Feed, Writer};
use crate::telemetry::Metrics;

/// Sends no request to a provider and writes nothing.
pub(super) async fn check(config: &Config, store: &Store, clock: Clock) -> Result<Vec<Finding>, StoreError> {
    if store.migrations().await?.iter().any(|migration| !migration.applied) {
        return Ok(Vec::new());
    }
    // An invalid source is reported with the configuration.
    let Ok(sources) = Sources::new(&config.sources) else { return Ok(Vec::new()) };
    let (sources, metrics) = (Arc::new(sources), Metrics::default());
    let activities = Activities::new(store.clone(), clock.clone(), &sources.names());
    let writer = Writer { store: store.clone(), sources, clock, metrics, logs_events: config.logs_events() };
    let watch =
        Watch::new(writer, Feed::default(), activities, &config.sources, config.tokens.allow_http, None);
    let Ok(watch) = watch else { return Ok(Vec::new()) };
    let states = watch.states().await?;
    Ok(states.into_iter().flat_map(|(name, state, reasons)| of_source(&name, state, &reasons)).collect())
}

fn of_source(name: &str, state: SourceState, reasons: &[Reason]) -> Vec<Finding> {
    if reasons.is_empty() {
        return vec![Finding::ok(format!("`{name}` is ok"))];
    }
    let finding = |reason: &Reason| {
        let what = format!("`{name}` is {}: {}", state.as_str(), reason.as_str());
        if reason.is_not_checked_yet() {
            return Finding::ok(format!("{what}; `usersync serve` checks it"));
        }
        let (why, fix) = advice(*reason);
        Finding::warning(what, why, fix.replace("NAME", name))
    };
    reasons.iter().map(finding).collect()
}
