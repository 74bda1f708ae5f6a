//! When events may be sent to an endpoint: the schedule of retries, and the endpoint's states.

use std::time::Duration;

use super::Timestamp;

/// The pauses after the first, the second, … failed attempt, as Standard Webhooks recommends. The last one repeats.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];
/// How much of a pause is random, in either direction.
const JITTER: f64 = 0.2;
/// The endpoint is failing after this number of failures in a row.
const FAILURES_UNTIL_FAILING: u32 = 5;
/// An endpoint that has failed for this long is disabled.
const FAILING_UNTIL_DISABLED: Duration = Duration::from_hours(5 * 24);
/// The longest pause that an app can request.
const LONGEST_REQUESTED_PAUSE: Duration = Duration::from_hours(24);

/// The state of an endpoint.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum EndpointState {
    /// It is sent all events.
    Healthy,
    /// The last attempts have failed: it is sent one event at a time, on the schedule.
    Failing,
    /// It is sent nothing until it is enabled by hand.
    Disabled,
}

impl EndpointState {
    /// Its name, such as `healthy`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The result of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptResult {
    /// The status of the answer; `None` if there was none.
    pub status: Option<u16>,
    /// The pause that the app requests with `Retry-After`.
    pub retry_after: Option<Duration>,
    /// When the attempt began.
    pub began_at: Timestamp,
    /// How long it took.
    pub latency: Duration,
}

impl AttemptResult {
    /// Whether the event was received. A redirect is a failure.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The state of an endpoint, with what decides the next state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The state.
    pub state: EndpointState,
    /// When it got this state.
    pub changed_at: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// The time of the first of these failures.
    pub failing_since: Option<Timestamp>,
    /// Failed attempts since the state became `failing`. Each one is a probe.
    pub probes: u32,
    /// Nothing is sent before this time.
    pub resume_at: Option<Timestamp>,
}

impl Health {
    /// The health of a new endpoint, or of one that was enabled by hand.
    pub fn healthy(now: Timestamp) -> Self {
        let state = EndpointState::Healthy;
        Self { state, changed_at: now, failures: 0, failing_since: None, probes: 0, resume_at: None }
    }

    /// The health after an attempt. `jitter` is a random number from -1 to 1.
    #[must_use]
    pub fn after(self, result: &AttemptResult, now: Timestamp, jitter: f64) -> Self {
        if self.state == EndpointState::Disabled {
            // The results of attempts that began earlier change nothing.
            return self;
        }
        if result.is_success() {
            let is_same = self.state == EndpointState::Healthy;
            let changed_at = if is_same { self.changed_at } else { now };
            return Self { changed_at, ..Self::healthy(now) };
        }
        // A probe is sent after a pause; an attempt that began no later than the change of state is not a probe.
        let is_probe = self.state == EndpointState::Failing && result.began_at > self.changed_at;
        let mut after = Self {
            failures: self.failures.saturating_add(1),
            failing_since: self.failing_since.or(Some(result.began_at)),
            probes: self.probes.saturating_add(u32::from(is_probe)),
            ..self
        };
        if self.state == EndpointState::Healthy && after.failures >= FAILURES_UNTIL_FAILING {
            after = Self { state: EndpointState::Failing, changed_at: now, ..after };
        }
        if after.state == EndpointState::Failing {
            after.pause_until(now.plus(retry_pause(after.probes + 1, jitter)));
        }
        if let Some(pause) = result.requested_pause() {
            after.pause_until(now.plus(pause));
        }
        let is_too_long = after.failing_since.is_some_and(|since| now.since(since) >= FAILING_UNTIL_DISABLED);
        if result.status == Some(410) || is_too_long {
            after = Self { state: EndpointState::Disabled, changed_at: now, resume_at: None, ..after };
        }
        after
    }

    /// How many events may be sent now, if `in_flight` are in flight. `limit` is the most for a healthy endpoint.
    pub fn capacity(&self, in_flight: usize, limit: usize, now: Timestamp) -> usize {
        if self.resume_at.is_some_and(|resume_at| now < resume_at) {
            return 0;
        }
        match self.state {
            EndpointState::Healthy => limit.saturating_sub(in_flight),
            EndpointState::Failing => usize::from(in_flight == 0),
            EndpointState::Disabled => 0,
        }
    }

    fn pause_until(&mut self, moment: Timestamp) {
        self.resume_at = self.resume_at.max(Some(moment));
    }
}

impl AttemptResult {
    /// The pause that the app requested, up to the limit.
    pub fn requested_pause(&self) -> Option<Duration> {
        self.retry_after.map(|pause| pause.min(LONGEST_REQUESTED_PAUSE))
    }
}

/// The pause after the failure of an attempt. `attempts` is the number of that attempt, from 1. `jitter` is a random
/// number from -1 to 1.
pub fn retry_pause(attempts: u32, jitter: f64) -> Duration {
    let step = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let pause = PAUSES.get(step).copied().unwrap_or_default();
    pause.mul_f64(JITTER.mul_add(jitter.clamp(-1.0, 1.0), 1.0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{AttemptResult, EndpointState, FAILURES_UNTIL_FAILING, Health, retry_pause};
    use crate::domain::Timestamp;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn result(status: impl Into<Option<u16>>, began_at: i64) -> AttemptResult {
        let status = status.into();
        AttemptResult { status, retry_after: None, began_at: at(began_at), latency: Duration::ZERO }
    }

    fn failed(times: u32, health: Health, now: i64) -> Health {
        (0..times).fold(health, |health, _| health.after(&result(500, now), at(now), 0.0))
    }

    #[test]
    fn the_pauses_are_those_of_standard_webhooks() {
        let hours = |attempts| retry_pause(attempts, 0.0).as_secs_f64() / 3600.0;
        assert_eq!(retry_pause(1, 0.0), Duration::from_secs(5));
        assert_eq!(retry_pause(2, 0.0), Duration::from_mins(5));
        assert_eq!(retry_pause(3, 0.0), Duration::from_mins(30));
        let rest: Vec<f64> = (4..=11).map(hours).collect();
        assert_eq!(rest, [2.0, 5.0, 10.0, 14.0, 20.0, 24.0, 24.0, 24.0]);
        assert_eq!(retry_pause(1, 1.0), Duration::from_secs(6));
        assert_eq!(retry_pause(1, -1.0), Duration::from_secs(4));
    }

    #[test]
    fn a_failing_endpoint_is_probed_one_event_at_a_time_and_finally_disabled() {
        let healthy = Health::healthy(at(0));
        assert_eq!(healthy.capacity(3, 8, at(0)), 5);
        let nearly = failed(FAILURES_UNTIL_FAILING - 1, healthy, 10);
        assert_eq!((nearly.state, nearly.capacity(0, 8, at(10))), (EndpointState::Healthy, 8));
        let failing = failed(1, nearly, 10);
        assert_eq!((failing.state, failing.changed_at), (EndpointState::Failing, at(10)));
        assert_eq!(failing.capacity(0, 8, at(14)), 0);
        assert_eq!((failing.capacity(0, 8, at(15)), failing.capacity(1, 8, at(15))), (1, 0));
        // Attempts that began before the change of state are no probes.
        assert_eq!(failing.after(&result(None, 9), at(12), 0.0).probes, 0);
        let probed = failing.after(&result(None, 15), at(15), 0.0);
        assert_eq!((probed.probes, probed.resume_at), (1, Some(at(15 + 300))));
        let five_days = 5 * 24 * 3600;
        let nearly = probed.after(&result(500, five_days), at(five_days), 0.0);
        assert_eq!(nearly.state, EndpointState::Failing);
        let disabled = nearly.after(&result(500, five_days + 10), at(five_days + 10), 0.0);
        assert_eq!(
            (disabled.state, disabled.capacity(0, 8, at(five_days * 9))),
            (EndpointState::Disabled, 0)
        );
        assert_eq!(disabled.after(&result(200, 0), at(five_days + 11), 0.0), disabled);
    }

    #[test]
    fn one_success_makes_it_healthy_again() {
        let failing = failed(7, Health::healthy(at(0)), 1);
        assert_eq!(failing.after(&result(204, 100), at(101), 0.0), Health::healthy(at(101)));
        let nearly = failed(2, Health::healthy(at(0)), 1);
        assert_eq!(nearly.after(&result(200, 2), at(3), 0.0), Health::healthy(at(0)));
    }

    #[test]
    fn gone_disables_it_and_retry_after_pauses_it() {
        let healthy = Health::healthy(at(0));
        assert_eq!(healthy.after(&result(410, 1), at(1), 0.0).state, EndpointState::Disabled);
        let requested =
            |seconds| AttemptResult { retry_after: Some(Duration::from_secs(seconds)), ..result(429, 0) };
        let paused = healthy.after(&requested(60), at(1), 0.0);
        assert_eq!(
            (paused.state, paused.capacity(0, 8, at(60)), paused.capacity(0, 8, at(61))),
            (EndpointState::Healthy, 0, 8)
        );
        assert_eq!(healthy.after(&requested(u64::MAX), at(0), 0.0).resume_at, Some(at(24 * 3600)));
    }

    #[test]
    fn only_2xx_is_a_success() {
        for status in [100, 199, 300, 302, 304, 400, 404, 429, 500, 599] {
            assert!(!result(status, 0).is_success(), "{status}");
        }
        assert!(result(200, 0).is_success() && result(299, 0).is_success() && !result(None, 0).is_success());
    }

    proptest! {
        #[test]
        fn any_endpoint_is_sent_events_again_or_is_disabled(
            results in prop::collection::vec((prop::option::of(200..600_u16), prop::option::of(0..100_000_u64), 0..50_000_i64), 0..50),
            jitter in -1.0..1.0_f64,
        ) {
            let mut now = 0;
            let mut health = Health::healthy(at(0));
            for (status, retry_after, pause) in results {
                let result = AttemptResult { retry_after: retry_after.map(Duration::from_secs), ..result(status, now) };
                now += pause;
                let before = health;
                health = health.after(&result, at(now), jitter);
                prop_assert!(health.state != EndpointState::Healthy || health.failures < FAILURES_UNTIL_FAILING);
                prop_assert!(before.state != EndpointState::Disabled || health == before);
                if health.state != EndpointState::Disabled {
                    prop_assert!(health.capacity(0, 8, at(now + 29 * 3600)) > 0);
                }
            }
        }
    }
}
