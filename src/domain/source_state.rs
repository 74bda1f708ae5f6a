//! Whether a source is alive and in step with its provider: a pure function of what the watch has found.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{Activity, Timestamp};

/// A source that is usually quiet is not called silent before.
const LEAST_SILENCE: Duration = Duration::from_hours(6);
/// So many times the usual pause between two deliveries is silence.
const USUAL_PAUSES: u32 = 8;
/// So many refusals without an accepted delivery are no accident.
const REFUSALS: u64 = 3;
/// A difference of counts in one check may be users who are just signing up.
const CHECKS_WITH_DIFFERENCE: u32 = 2;
/// What a webhook may need after the event log has its event.
const WEBHOOK_DELAY: Duration = Duration::from_mins(5);
/// With a delivery in this time the webhook's endpoint exists, whatever address the provider shows.
const ENDPOINT_IN_USE: Duration = Duration::from_hours(24);
/// Checks are made every five minutes; older ones say nothing of now.
const CHECKS_EXPIRE: Duration = Duration::from_mins(30);

/// How a source stands. Of several reasons the worst decides; the worst is the last here.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SourceState {
    /// Deliveries arrive, and nothing differs.
    Ok,
    /// Deliveries do not arrive as they should.
    Silent,
    /// It cannot be told.
    Unknown,
    /// The table is not what the provider says.
    Drifting,
}

/// Why a source is not `ok`. The names are stable.
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
    /// Users who signed up lately have no row.
    UsersMissing,
    /// The provider has another number of users than there are rows.
    CountDiffers,
    /// The last comparison found differences.
    ReconcileDiffers,
    /// The provider has not been asked yet, or not for half an hour.
    NotChecked,
    /// The provider does not accept the credentials.
    ApiUnauthorized,
    /// The credentials lack a permission.
    ApiForbidden,
    /// The API's address is not one that may be asked, or it answers with a redirect.
    ApiMisconfigured,
    /// The provider did not answer, or answered with an error.
    ApiUnavailable,
    /// The answer is not what the provider's API answers.
    UnexpectedAnswer,
    /// The key is of another instance than the webhooks.
    WrongInstance,
    /// The last comparison could not tell who is gone.
    ReconcileRefused,
    /// The credentials may not read the event log.
    EventLogForbidden,
    /// The event log cannot be read.
    EventLogUnavailable,
    /// The position in the event log was lost, and no comparison has followed yet.
    EventsLost,
    /// No delivery was ever accepted, and the provider is not asked.
    NoDeliveryYet,
    /// No delivery for much longer than usual.
    NoDeliveries,
    /// Deliveries are refused, and none is accepted.
    DeliveriesRefused,
    /// The event log has events that no webhook brought.
    WebhooksMissing,
    /// The provider has no endpoint with this source's path.
    EndpointMissing,
    /// The endpoint is disabled at the provider.
    EndpointDisabled,
    /// The endpoint does not subscribe to every event about users.
    EndpointEventsMissing,
    /// The provider says that deliveries to the endpoint failed lately.
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

    /// What it makes of a source.
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

    /// Whether it only says that there was no time yet to find anything out.
    pub fn is_only_early(self) -> bool {
        matches!(self, Self::NotChecked | Self::NoDeliveryYet)
    }
}

/// What the provider was last asked, and what it answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Checks {
    /// When it was asked.
    pub at: Option<Timestamp>,
    /// Why it could not be asked to the end.
    pub failure: Option<Reason>,
    /// How many of its newest users have no row.
    pub missing: Option<u64>,
    /// How many users more it has than there are rows; less than zero if there are too many rows.
    pub difference: Option<i64>,
    /// In how many checks in a row there was a difference.
    pub difference_seen: u32,
    /// What is wrong with the webhook's endpoint.
    pub endpoint: Vec<Reason>,
}

/// How the reading of the event log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// When it was last read without an error.
    pub read_at: Option<Timestamp>,
    /// Why it cannot be read now.
    pub failure: Option<Reason>,
    /// When events were lost.
    pub gap_at: Option<Timestamp>,
    /// When an event was last read that no webhook had brought.
    pub only_in_log_at: Option<Timestamp>,
}

/// What the last comparison with the provider's list left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// When it ended.
    pub at: Option<Timestamp>,
    /// Listed, without a row.
    pub missing: u64,
    /// Rows with other fields.
    pub different: u64,
    /// Rows of users who are gone.
    pub extra: u64,
    /// Users who are there, but not listed.
    pub not_listed: u64,
    /// Of those missing or different, how many were repaired.
    pub repaired: u64,
    /// Of the extra ones, how many were deleted.
    pub deleted: u64,
    /// Whether it could not tell who is gone.
    pub is_refused: bool,
}

/// Everything that the state follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    /// The present.
    pub now: Timestamp,
    /// Whether the source has a secret, and so receives deliveries.
    pub receives: bool,
    /// Its deliveries.
    pub activity: Activity,
    /// The pause between two deliveries that 95 of 100 stay below, if there were enough of them.
    pub usual_pause: Option<Duration>,
    /// What the provider says; `None` if it is not asked.
    pub asked: Option<Asked>,
}

/// What the provider says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The checks.
    pub checks: Checks,
    /// The event log; `None` if the provider has none.
    pub log: Option<LogState>,
    /// The last comparison.
    pub comparison: Option<Comparison>,
}

/// The state of a source, and the reasons for it in a fixed order.
pub fn judge(signals: &Signals) -> (SourceState, Vec<Reason>) {
    let mut reasons = BTreeSet::new();
    if let Some(asked) = &signals.asked {
        reasons.extend(of_checks(signals, &asked.checks));
        reasons.extend(asked.log.iter().flat_map(|log| of_log(signals, log, asked.comparison)));
        reasons.extend(asked.comparison.iter().flat_map(of_comparison));
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
    reasons.extend(endpoint.filter(|flaw| !(is_in_use && *flaw == Reason::EndpointMissing)));
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
    if refused >= REFUSALS {
        reasons.push(Reason::DeliveriesRefused);
    }
    match (last_delivery_at, signals.usual_pause) {
        (None, _) if signals.asked.is_none() && refused < REFUSALS => {
            reasons.push(Reason::NoDeliveryYet);
        }
        (Some(last), Some(usual)) => {
            let silence = LEAST_SILENCE.max(usual.saturating_mul(USUAL_PAUSES));
            if signals.now.since(last) > silence {
                reasons.push(Reason::NoDeliveries);
            }
        }
        _ => {}
    }
    reasons
}

/// Deliveries before which it cannot be told what is usual.
const ENOUGH_DELIVERIES: usize = 20;

/// The pause that 95 of 100 pauses between these moments, newest first, stay below; `None` if there are too few.
pub fn usual_pause(received: &[Timestamp]) -> Option<Duration> {
    if received.len() < ENOUGH_DELIVERIES {
        return None;
    }
    let mut pauses: Vec<Duration> = received.windows(2).map(|pair| pair[0].since(pair[1])).collect();
    pauses.sort_unstable();
    pauses.get(pauses.len() * 95 / 100).copied()
}

#[cfg(test)]
mod tests;
