//! Whether the deliveries of a source arrive, and whether its rows match the provider: a pure function of the results
//! of the watch.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{Activity, Timestamp};

/// A source is not silent before this time without a delivery.
const MIN_SILENCE: Duration = Duration::from_hours(6);
/// A source is silent after this multiple of the usual pause between two deliveries.
const USUAL_PAUSES: u32 = 8;
/// The number of refusals without an accepted delivery that makes a source silent.
const MIN_REFUSALS: u64 = 3;
/// In how many checks in a row the counts must differ: in one check it may be users who are just signing up.
const CHECKS_WITH_DIFFERENCE: u32 = 2;
/// How much later than in the event log an event may arrive by webhook.
const WEBHOOK_DELAY: Duration = Duration::from_mins(5);
/// If a delivery arrived within this time, the webhook's endpoint exists, whatever URL the provider shows.
const ENDPOINT_IN_USE: Duration = Duration::from_hours(24);
/// Checks are made every five minutes; the results expire after this time.
const CHECKS_EXPIRE: Duration = Duration::from_mins(30);

/// The state of a source. The worst of several reasons decides; the states are ordered from best to worst.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SourceState {
    /// Deliveries arrive, and nothing differs.
    Ok,
    /// Deliveries do not arrive as expected.
    Silent,
    /// It cannot be determined.
    Unknown,
    /// The rows differ from the provider's users.
    Drifting,
}

/// The reason why a source is not `ok`. The names are stable.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// Users who signed up recently have no row.
    UsersMissing,
    /// The provider's number of users differs from the number of rows.
    CountDiffers,
    /// The last comparison found differences.
    ReconcileDiffers,
    /// The provider has not been checked yet, or not for half an hour.
    NotChecked,
    /// The provider does not accept the credentials.
    ApiUnauthorized,
    /// The credentials lack a permission.
    ApiForbidden,
    /// Requests to the API's address are not allowed, or it answers with a redirect.
    ApiMisconfigured,
    /// The provider did not answer, or answered with an error.
    ApiUnavailable,
    /// The answer is not one of the provider's API.
    UnexpectedAnswer,
    /// The key is for another instance than the webhooks, or than the issuer of the tokens.
    WrongInstance,
    /// The last comparison could not determine which users were deleted.
    ReconcileRefused,
    /// The credentials may not read the event log.
    EventLogForbidden,
    /// The event log cannot be read.
    EventLogUnavailable,
    /// The position in the event log was lost, and no comparison has followed yet.
    EventsLost,
    /// No delivery was ever accepted, and there are no requests to the provider.
    NoDeliveryYet,
    /// No delivery for much longer than usual.
    NoDeliveries,
    /// Deliveries are refused, and none is accepted.
    DeliveriesRefused,
    /// The event log has events that no webhook delivered.
    WebhooksMissing,
    /// The provider has no endpoint with this source's path.
    EndpointMissing,
    /// The endpoint is disabled at the provider.
    EndpointDisabled,
    /// The endpoint does not subscribe to every event about users.
    EndpointEventsMissing,
    /// The provider reports that deliveries to the endpoint failed recently.
    DeliveriesFailed,
}

impl SourceState {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Reason {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The state of a source that has this reason.
    pub fn state(self) -> SourceState {
        match self {
            Self::UsersMissing | Self::CountDiffers | Self::ReconcileDiffers => SourceState::Drifting,
            Self::NotChecked
            | Self::ApiUnauthorized
            | Self::ApiForbidden
            | Self::ApiMisconfigured
            | Self::ApiUnavailable
            | Self::UnexpectedAnswer
            | Self::WrongInstance
            | Self::ReconcileRefused
            | Self::EventLogForbidden
            | Self::EventLogUnavailable
            | Self::EventsLost
            | Self::NoDeliveryYet => SourceState::Unknown,
            Self::NoDeliveries
            | Self::DeliveriesRefused
            | Self::WebhooksMissing
            | Self::EndpointMissing
            | Self::EndpointDisabled
            | Self::EndpointEventsMissing
            | Self::DeliveriesFailed => SourceState::Silent,
        }
    }

    /// Whether it only means that nothing was checked yet.
    pub fn is_not_checked_yet(self) -> bool {
        matches!(self, Self::NotChecked | Self::NoDeliveryYet)
    }
}

/// The results of the last checks at the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Checks {
    /// When the checks were made.
    pub at: Option<Timestamp>,
    /// Why the checks could not be completed.
    pub failure: Option<Reason>,
    /// How many of the newest users have no row.
    pub missing: Option<u64>,
    /// The provider's number of users minus the number of rows.
    pub difference: Option<i64>,
    /// In how many checks in a row there was a difference of the same sign.
    pub difference_seen: u32,
    /// The problems of the webhook's endpoint.
    pub endpoint: Vec<Reason>,
}

/// The state of reading the event log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// When the log was last read without an error.
    pub read_at: Option<Timestamp>,
    /// Why the log cannot be read now.
    pub failure: Option<Reason>,
    /// When events were lost.
    pub gap_at: Option<Timestamp>,
    /// When an event was last read that no webhook had delivered.
    pub only_in_log_at: Option<Timestamp>,
}

/// The result of the last comparison with the provider's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// When it began.
    pub began_at: Option<Timestamp>,
    /// When it ended.
    pub at: Option<Timestamp>,
    /// Users in the list without a row.
    pub missing: u64,
    /// Rows with other fields.
    pub different: u64,
    /// Rows of users who were deleted at the provider.
    pub extra: u64,
    /// Users who exist at the provider, but are not in the list.
    pub not_listed: u64,
    /// How many of the missing and different ones were repaired.
    pub repaired: u64,
    /// How many of the extra ones were deleted.
    pub deleted: u64,
    /// Whether it could not determine which users were deleted.
    pub is_refused: bool,
}

/// Everything that decides the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    /// The current time.
    pub now: Timestamp,
    /// Whether the source has a secret, and so receives deliveries.
    pub receives: bool,
    /// The times of its deliveries.
    pub activity: Activity,
    /// The 95th percentile of the pauses between two deliveries, if there were enough deliveries.
    pub usual_pause: Option<Duration>,
    /// What the requests to the provider have shown; `None` if there are none.
    pub provider_report: Option<ProviderReport>,
}

/// What the requests to the provider have shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderReport {
    /// The results of the checks.
    pub checks: Checks,
    /// The state of the event log; `None` if the provider has none.
    pub log: Option<LogState>,
    /// The last comparison.
    pub comparison: Option<Comparison>,
}

impl ProviderReport {
    /// A report without what is outdated: the differences that the last comparison has repaired, and those of checks
    /// that were made before a comparison of the whole list.
    #[must_use]
    pub fn without_outdated(mut self) -> Self {
        let Some(comparison) = &mut self.comparison else { return self };
        if !comparison.is_refused && comparison.began_at > self.checks.at {
            (self.checks.missing, self.checks.difference) = (None, None);
        }
        if comparison.missing + comparison.different <= comparison.repaired {
            (comparison.missing, comparison.different, comparison.repaired) = (0, 0, 0);
        }
        comparison.extra = comparison.extra.saturating_sub(std::mem::take(&mut comparison.deleted));
        self
    }
}

/// The state of a source, and the reasons for it in a fixed order.
pub fn evaluate(signals: &Signals) -> (SourceState, Vec<Reason>) {
    let mut reasons = BTreeSet::new();
    if let Some(report) = &signals.provider_report {
        reasons.extend(of_checks(signals, &report.checks));
        reasons.extend(report.log.iter().flat_map(|log| of_log(signals, log, report.comparison)));
        reasons.extend(report.comparison.iter().flat_map(of_comparison));
    }
    if signals.receives {
        reasons.extend(of_activity(signals));
    }
    let state = reasons.iter().map(|reason| reason.state()).max().unwrap_or(SourceState::Ok);
    (state, reasons.into_iter().collect())
}

fn of_checks(signals: &Signals, checks: &Checks) -> Vec<Reason> {
    let is_current = checks.at.is_some_and(|at| signals.now.since(at) < CHECKS_EXPIRE);
    if !is_current {
        return vec![Reason::NotChecked];
    }
    let mut reasons: Vec<Reason> = checks.failure.into_iter().collect();
    if checks.missing.is_some_and(|missing| missing > 0) {
        reasons.push(Reason::UsersMissing);
    }
    let differs = checks.difference.is_some_and(|difference| difference != 0);
    if differs && checks.difference_seen >= CHECKS_WITH_DIFFERENCE {
        reasons.push(Reason::CountDiffers);
    }
    let last = signals.activity.last_delivery_at;
    let is_in_use = last.is_some_and(|at| signals.now.since(at) < ENDPOINT_IN_USE);
    let endpoint = checks.endpoint.iter().copied();
    reasons.extend(endpoint.filter(|reason| !(is_in_use && *reason == Reason::EndpointMissing)));
    reasons
}

fn of_log(signals: &Signals, log: &LogState, comparison: Option<Comparison>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = log.failure.into_iter().collect();
    let compared_at = comparison.and_then(|comparison| comparison.at);
    if log.gap_at.is_some_and(|gap| compared_at.is_none_or(|at| at < gap)) {
        reasons.push(Reason::EventsLost);
    }
    let last = signals.activity.last_delivery_at;
    let is_lost = |at: Timestamp| last.is_none_or(|last| last < at) && signals.now.since(at) > WEBHOOK_DELAY;
    if signals.receives && log.only_in_log_at.is_some_and(is_lost) {
        reasons.push(Reason::WebhooksMissing);
    }
    reasons
}

fn of_comparison(comparison: &Comparison) -> Vec<Reason> {
    let Comparison { missing, different, extra, repaired, deleted, is_refused, .. } = *comparison;
    let mut reasons = Vec::new();
    if is_refused {
        reasons.push(Reason::ReconcileRefused);
    }
    if missing + different > repaired || extra > deleted {
        reasons.push(Reason::ReconcileDiffers);
    }
    reasons
}

fn of_activity(signals: &Signals) -> Vec<Reason> {
    let Activity { last_delivery_at, refused, .. } = signals.activity;
    let mut reasons = Vec::new();
    if refused >= MIN_REFUSALS {
        reasons.push(Reason::DeliveriesRefused);
    }
    match (last_delivery_at, signals.usual_pause) {
        (None, _) if signals.provider_report.is_none() && refused < MIN_REFUSALS => {
            reasons.push(Reason::NoDeliveryYet);
        }
        (Some(last), Some(usual)) => {
            let silence = MIN_SILENCE.max(usual.saturating_mul(USUAL_PAUSES));
            if signals.now.since(last) > silence {
                reasons.push(Reason::NoDeliveries);
            }
        }
        _ => {}
    }
    reasons
}

/// How many deliveries are needed to calculate the usual pause.
const MIN_DELIVERIES: usize = 20;

/// The 95th percentile of the pauses between these times, which are sorted from new to old; `None` if there are too
/// few.
pub fn usual_pause(received: &[Timestamp]) -> Option<Duration> {
    if received.len() < MIN_DELIVERIES {
        return None;
    }
    let mut pauses: Vec<Duration> = received.windows(2).map(|pair| pair[0].since(pair[1])).collect();
    pauses.sort_unstable();
    pauses.get(pauses.len() * 95 / 100).copied()
}

#[cfg(test)]
mod tests;
