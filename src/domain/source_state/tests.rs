//! The state of a source: every reason by what causes it, and what holds for all of them.

use std::time::Duration;

use proptest::prelude::*;
use strum::VariantArray as _;

use super::{Asked, Checks, Comparison, LogState, Reason, Signals, SourceState, judge, usual_pause};
use crate::domain::{Activity, Timestamp};

const NOW: Timestamp = Timestamp::EPOCH;

fn ago(duration: Duration) -> Timestamp {
    NOW.minus(duration)
}

fn minutes(minutes: u64) -> Timestamp {
    ago(Duration::from_mins(minutes))
}

/// A source in step: a delivery an hour ago, checks a minute ago.
fn healthy() -> Signals {
    Signals {
        now: NOW,
        receives: true,
        activity: Activity { last_delivery_at: Some(minutes(60)), ..Activity::default() },
        usual_pause: Some(Duration::from_mins(10)),
        asked: Some(Asked {
            checks: Checks {
                at: Some(minutes(1)),
                missing: Some(0),
                difference: Some(0),
                ..Checks::default()
            },
            log: Some(LogState { read_at: Some(minutes(1)), ..LogState::default() }),
            comparison: Some(Comparison { at: Some(minutes(600)), ..Comparison::default() }),
        }),
    }
}

fn reasons(change: impl FnOnce(&mut Signals)) -> Vec<Reason> {
    let mut signals = healthy();
    change(&mut signals);
    judge(&signals).1
}

fn asked(change: impl FnOnce(&mut Asked)) -> Vec<Reason> {
    reasons(|signals| change(signals.asked.as_mut().unwrap()))
}

fn checks(change: impl FnOnce(&mut Checks)) -> Vec<Reason> {
    asked(|asked| change(&mut asked.checks))
}

fn log(change: impl FnOnce(&mut LogState)) -> Vec<Reason> {
    asked(|asked| change(asked.log.as_mut().unwrap()))
}

fn compared(change: impl FnOnce(&mut Comparison)) -> Vec<Reason> {
    asked(|asked| change(asked.comparison.as_mut().unwrap()))
}

#[test]
fn a_source_in_step_is_ok() {
    assert_eq!(judge(&healthy()), (SourceState::Ok, vec![]));
    assert_eq!(reasons(|signals| signals.asked = None), []);
    // One that only answers for tokens has nothing that could be late.
    let tokens_alone = |signals: &mut Signals| {
        *signals = Signals {
            receives: false,
            asked: None,
            activity: Activity::default(),
            usual_pause: None,
            now: NOW,
        };
    };
    assert_eq!(reasons(tokens_alone), []);
}

#[test]
fn the_checks_tell_of_drift_and_of_what_cannot_be_told() {
    assert_eq!(checks(|checks| checks.missing = Some(2)), [Reason::UsersMissing]);
    assert_eq!(checks(|checks| checks.failure = Some(Reason::ApiUnauthorized)), [Reason::ApiUnauthorized]);
    assert_eq!(checks(|checks| checks.at = None), [Reason::NotChecked]);
    assert_eq!(checks(|checks| checks.at = Some(minutes(31))), [Reason::NotChecked]);
    // A count may differ for a moment.
    for (seen, expected) in [(1, vec![]), (2, vec![Reason::CountDiffers]), (9, vec![Reason::CountDiffers])] {
        let found = checks(|checks| {
            checks.difference = Some(-3);
            checks.difference_seen = seen;
        });
        assert_eq!(found, expected, "{seen}");
    }
}

#[test]
fn an_endpoint_at_another_path_is_fine_while_deliveries_arrive() {
    for (last, flaw, is_told) in [
        (Some(minutes(60)), Reason::EndpointMissing, false),
        (Some(minutes(25 * 60)), Reason::EndpointMissing, true),
        (None, Reason::EndpointMissing, true),
        (Some(minutes(60)), Reason::EndpointDisabled, true),
        (Some(minutes(60)), Reason::EndpointEventsMissing, true),
        (Some(minutes(60)), Reason::DeliveriesFailed, true),
    ] {
        let found = reasons(|signals| {
            signals.activity.last_delivery_at = last;
            signals.usual_pause = None;
            signals.asked.as_mut().unwrap().checks.endpoint = vec![flaw];
        });
        assert_eq!(found.contains(&flaw), is_told, "{last:?} {flaw:?}");
    }
}

#[test]
fn a_lost_position_counts_until_a_comparison_has_followed() {
    assert_eq!(log(|log| log.gap_at = Some(minutes(700))), [], "the comparison came later");
    assert_eq!(log(|log| log.gap_at = Some(minutes(500))), [Reason::EventsLost]);
    let never_compared = asked(|asked| {
        asked.comparison = None;
        asked.log.as_mut().unwrap().gap_at = Some(minutes(500));
    });
    assert_eq!(never_compared, [Reason::EventsLost]);
    assert_eq!(log(|log| log.failure = Some(Reason::EventLogForbidden)), [Reason::EventLogForbidden]);
}

#[test]
fn an_event_that_only_the_log_brought_tells_of_lost_webhooks_after_a_while() {
    assert_eq!(log(|log| log.only_in_log_at = Some(minutes(4))), [], "the webhook may be on its way");
    assert_eq!(log(|log| log.only_in_log_at = Some(minutes(6))), [Reason::WebhooksMissing]);
    assert_eq!(log(|log| log.only_in_log_at = Some(minutes(61))), [], "a delivery came after it");
    let without_secrets = reasons(|signals| {
        signals.receives = false;
        signals.asked.as_mut().unwrap().log.as_mut().unwrap().only_in_log_at = Some(minutes(6));
    });
    assert_eq!(without_secrets, [], "no webhook is expected");
}

#[test]
fn a_comparison_counts_by_what_it_left() {
    assert_eq!(compared(|found| found.extra = 1), [Reason::ReconcileDiffers]);
    assert_eq!(compared(|found| (found.missing, found.different) = (2, 1)), [Reason::ReconcileDiffers]);
    assert_eq!(compared(|found| (found.missing, found.different, found.repaired) = (2, 1, 3)), []);
    assert_eq!(compared(|found| (found.extra, found.deleted) = (4, 4)), []);
    assert_eq!(compared(|found| found.not_listed = 7), []);
    assert_eq!(compared(|found| found.is_refused = true), [Reason::ReconcileRefused]);
}

#[test]
fn silence_is_measured_by_what_is_usual() {
    let silent_for = |hours: u64, usual: Option<Duration>| {
        reasons(|signals| {
            signals.activity.last_delivery_at = Some(ago(Duration::from_hours(hours)));
            signals.usual_pause = usual;
        })
    };
    assert_eq!(silent_for(5, Some(Duration::from_mins(1))), []);
    assert_eq!(silent_for(7, Some(Duration::from_mins(1))), [Reason::NoDeliveries]);
    assert_eq!(silent_for(15, Some(Duration::from_hours(2))), []);
    assert_eq!(silent_for(17, Some(Duration::from_hours(2))), [Reason::NoDeliveries]);
    assert_eq!(silent_for(5000, None), [], "without a history nothing is usual");
}

#[test]
fn refusals_count_while_none_is_accepted() {
    assert_eq!(reasons(|signals| signals.activity.refused = 2), []);
    assert_eq!(reasons(|signals| signals.activity.refused = 3), [Reason::DeliveriesRefused]);
    let never = reasons(|signals| {
        signals.asked = None;
        signals.activity = Activity::default();
    });
    assert_eq!(never, [Reason::NoDeliveryYet]);
    let refused_from_the_start = reasons(|signals| {
        signals.asked = None;
        signals.activity = Activity { refused: 3, ..Activity::default() };
    });
    assert_eq!(refused_from_the_start, [Reason::DeliveriesRefused]);
}

#[test]
fn the_usual_pause_needs_a_history_and_ignores_one_long_night() {
    let every_hour: Vec<Timestamp> = (0..100).map(|hour| ago(Duration::from_hours(hour))).collect();
    assert_eq!(usual_pause(&every_hour[..19]), None);
    assert_eq!(usual_pause(&every_hour), Some(Duration::from_hours(1)));
    let mut with_a_gap = every_hour;
    for moment in &mut with_a_gap[50..] {
        *moment = moment.minus(Duration::from_hours(100));
    }
    assert_eq!(usual_pause(&with_a_gap), Some(Duration::from_hours(1)));
}

#[test]
fn the_names_are_stable() {
    let line = |reason: &Reason| format!("{} {}", reason.state().as_str(), reason.as_str());
    let names: Vec<String> = Reason::VARIANTS.iter().map(line).collect();
    insta::assert_snapshot!(names.join("\n"));
    for reason in Reason::VARIANTS {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str(), "as it is kept");
        assert_eq!(reason.as_str().parse(), Ok(*reason));
    }
}

fn moment() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::of((0_u64..50_000).prop_map(minutes))
}

prop_compose! {
    fn any_signals()(
        receives in any::<bool>(),
        is_asked in any::<bool>(),
        moments in [moment(), moment(), moment(), moment()],
        usual in proptest::option::of(0_u64..1000),
        refused in 0_u64..6,
        failures in [proptest::option::of(0..Reason::VARIANTS.len()), proptest::option::of(0..Reason::VARIANTS.len())],
        missing in proptest::option::of(0_u64..3),
        difference in proptest::option::of(-2_i64..3),
        difference_seen in 0_u32..4,
        counts in [0_u64..3, 0_u64..3, 0_u64..3],
    ) -> Signals {
        let [last_delivery_at, at, gap_at, only_in_log_at] = moments;
        let [failure, log_failure] = failures.map(|failure| failure.map(|index| Reason::VARIANTS[index]));
        let [missing_rows, repaired, extra] = counts;
        let asked = Asked {
            checks: Checks { at, failure, missing, difference, difference_seen, endpoint: vec![] },
            log: Some(LogState { read_at: at, failure: log_failure, gap_at, only_in_log_at }),
            comparison: Some(Comparison { at, missing: missing_rows, repaired, extra, ..Comparison::default() }),
        };
        Signals {
            now: NOW,
            receives,
            activity: Activity { last_delivery_at, refused, ..Activity::default() },
            usual_pause: usual.map(Duration::from_mins),
            asked: is_asked.then_some(asked),
        }
    }
}

proptest! {
    #[test]
    fn ok_means_that_there_is_no_reason_and_the_worst_reason_decides(signals in any_signals()) {
        let (state, reasons) = judge(&signals);
        prop_assert_eq!(state == SourceState::Ok, reasons.is_empty());
        prop_assert!(reasons.iter().all(|reason| reason.state() <= state));
        prop_assert!(reasons.is_empty() || reasons.iter().any(|reason| reason.state() == state));
        prop_assert!(reasons.is_sorted() && reasons.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn what_is_found_in_addition_makes_no_source_better(signals in any_signals()) {
        // Of a source without any delivery, refusals tell why.
        prop_assume!(judge(&signals).1 != [Reason::NoDeliveryYet]);
        let mut worse = signals.clone();
        worse.activity.refused += 3;
        if let Some(asked) = &mut worse.asked {
            asked.checks.missing = Some(1);
            asked.comparison = Some(Comparison { extra: 1, ..asked.comparison.unwrap_or_default() });
        }
        prop_assert!(judge(&worse).0 >= judge(&signals).0);
    }

    #[test]
    fn a_source_whose_provider_is_not_asked_never_drifts(mut signals in any_signals()) {
        signals.asked = None;
        prop_assert!(judge(&signals).0 < SourceState::Drifting);
    }
}
