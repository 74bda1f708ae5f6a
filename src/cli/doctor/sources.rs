//! How the sources stand, by what the watch of the running service has found.

use std::sync::Arc;

use super::Finding;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::{Reason, SourceState};
use crate::providers::Sources;
use crate::pull::Watch;
use crate::store::{Store, StoreError};
use crate::sync::{Activities, Feed, Writer};
use crate::telemetry::Metrics;

/// Nothing is asked and nothing is written.
pub(super) async fn check(config: &Config, store: &Store, clock: Clock) -> Result<Vec<Finding>, StoreError> {
    if store.migrations().await?.iter().any(|migration| !migration.applied) {
        return Ok(Vec::new());
    }
    // A source that cannot be made is an error of the configuration.
    let Ok(sources) = Sources::new(&config.sources) else { return Ok(Vec::new()) };
    let (sources, metrics) = (Arc::new(sources), Metrics::default());
    let activities = Activities::new(store.clone(), clock.clone(), &sources.names());
    let writer = Writer { store: store.clone(), sources, clock, metrics, logs_events: config.logs_events() };
    let watch = Watch::new(writer, Feed::default(), activities, &config.sources, config.tokens.allow_http);
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
        if reason.is_only_early() {
            return Finding::ok(format!("{what}; `usersync serve` finds it out"));
        }
        let (why, fix) = advice(*reason);
        Finding::warning(what, why, fix.replace("NAME", name))
    };
    reasons.iter().map(finding).collect()
}

/// What a reason means, and what to do about it; `NAME` stands for the source.
fn advice(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::UsersMissing => (
            "users who signed up lately have no row: their webhooks were lost",
            "check the webhook's URL and secret at the provider; `usersync backfill NAME --restart` reads in who is missing",
        ),
        Reason::CountDiffers => (
            "the provider has another number of users than there are rows",
            "`usersync reconcile NAME` tells who; `usersync backfill NAME` reads in users who were there before",
        ),
        Reason::ReconcileDiffers => (
            "the last comparison with the provider's list found differences",
            "`usersync reconcile NAME` lists them, `--repair` and `--delete` remove them",
        ),
        Reason::NotChecked => ("the provider was not asked lately", "start `usersync serve`"),
        Reason::ApiUnauthorized => (
            "the provider does not take the credentials, so differences are not noticed",
            "check them under [sources.api]; they may have been revoked",
        ),
        Reason::ApiForbidden => (
            "the credentials lack a permission, so differences are not noticed",
            "give them the permissions that docs/watch.md lists",
        ),
        Reason::ApiMisconfigured => (
            "the API's address cannot be used, so differences are not noticed",
            "check `base_url` under [sources.api]: https, and no redirect",
        ),
        Reason::ApiUnavailable => (
            "the provider did not answer, so differences are not noticed",
            "wait, if it has an outage; else check the network between",
        ),
        Reason::UnexpectedAnswer => (
            "what answers is not the provider's API",
            "check `base_url` under [sources.api], and what stands between",
        ),
        Reason::WrongInstance => (
            "the key is of another instance than the webhooks, so their users cannot be compared",
            "use the key of the webhooks' instance under [sources.api]",
        ),
        Reason::ReconcileRefused => {
            ("the last comparison could not tell who is gone", "`usersync reconcile NAME` says why")
        }
        Reason::EventLogForbidden => (
            "the credentials may not read the event log, so lost webhooks are not made up for",
            "give them the permission that docs/watch.md lists",
        ),
        Reason::EventLogUnavailable => (
            "the event log cannot be read, so lost webhooks are not made up for",
            "wait, if the provider has an outage; on Auth0, close other consumers of the Events API",
        ),
        Reason::EventsLost => (
            "the provider does not know the position in its event log any more: changes may be missing",
            "`usersync reconcile NAME --repair` finds and writes them",
        ),
        Reason::NoDeliveryYet => ("no delivery was ever accepted", "send a test event from the provider"),
        Reason::NoDeliveries => (
            "no delivery for much longer than usual",
            "look at the webhook's page at the provider: is it enabled, and what is it answered?",
        ),
        Reason::DeliveriesRefused => (
            "deliveries are refused and none is accepted: the secret was probably changed at the provider",
            "`usersync explain webhook` says which check fails; docs/problems.md has what to do",
        ),
        Reason::WebhooksMissing => (
            "the event log has changes that no webhook brought",
            "look at the webhook's page at the provider: is it enabled, and what is it answered?",
        ),
        Reason::EndpointMissing => (
            "the provider has no webhook endpoint whose URL ends with /webhooks/NAME",
            "register it at the provider, as docs/providers says",
        ),
        Reason::EndpointDisabled => (
            "the webhook's endpoint is disabled at the provider",
            "find out why deliveries failed, and enable it again",
        ),
        Reason::EndpointEventsMissing => (
            "the webhook's endpoint is not told of every change",
            "subscribe it to user.created, user.updated and user.deleted",
        ),
        Reason::DeliveriesFailed => (
            "the provider says that deliveries failed in the last hour",
            "look at its list of failed deliveries, and at this service's log",
        ),
    }
}
