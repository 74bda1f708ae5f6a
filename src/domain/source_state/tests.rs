//! The state of a source: the cause of every reason, and properties of all states.

use std::time::Duration;

use proptest::prelude::*;
use strum::VariantArray as _;

use super::{
    Checks, Comparison, LogState, ProviderReport, Reason, Signals, SourceState, evaluate, usual_pause,
};
use crate::domain::{Activity, Timestamp};

const NOW: Timestamp = Timestamp::EPOCH;

fn ago(duration: Duration) -> Timestamp {
    NOW.minus(duration)
}

fn minutes(minutes: u64) -> Timestamp {
    ago(Duration::from_mins(minutes))
}

/// A healthy source: a delivery an hour ago, checks a minute ago.
fn healthy() -> Signals {
    Signals {
        now: NOW,
        receives: true,
        activity: Activity { last_delivery_at: Some(minutes(60)), ..Activity::default() },
        usual_pause: Some(Duration::from_mins(10)),
        provider_report: Some(ProviderReport {
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
    evaluate(&signals).1
}

fn provider_report(change: impl FnOnce(&mut ProviderReport)) -> Vec<Reason> {
    reasons(|signals| change(signals.provider_report.as_mut().unwrap()))
}

fn checks(change: impl FnOnce(&mut Checks)) -> Vec<Reason> {
    provider_report(|provider_report| change(&mut provider_report.checks))
}

fn log(change: impl FnOnce(&mut LogState)) -> Vec<Reason> {
    provider_report(|provider_report| change(provider_report.log.as_mut().unwrap()))
}

fn compared(change: impl FnOnce(&mut Comparison)) -> Vec<Reason> {
    provider_report(|provider_report| change(provider_report.comparison.as_mut().unwrap()))
}

#[test]
fn a_healthy_source_is_ok() {
    assert_eq!(evaluate(&healthy()), (SourceState::Ok, vec![]));
    assert_eq!(reasons(|signals| signals.provider_report = None), []);
    // A source that is only used for tokens has no deliveries that could be late.
    let tokens_alone = |signals: &mut Signals| {
        *signals = Signals {
            receives: false,
            provider_report: None,
            activity: Activity::default(),
            usual_pause: None,
            now: NOW,
        };
    };
    assert_eq!(reasons(tokens_alone), []);
}

#[test]
fn checks_find_drift_or_fail() {
    assert_eq!(checks(|checks| checks.missing = Some(2)), [Reason::UsersMissing]);
    assert_eq!(checks(|checks| checks.failure = Some(Reason::ApiUnauthorized)), [Reason::ApiUnauthorized]);
    assert_eq!(checks(|checks| checks.at = None), [Reason::NotChecked]);
    assert_eq!(checks(|checks| checks.at = Some(minutes(31))), [Reason::NotChecked]);
    // A count may differ for a short time.
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
    for (last, problem, is_reported) in [
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
            signals.provider_report.as_mut().unwrap().checks.endpoint = vec![problem];
        });
        assert_eq!(found.contains(&problem), is_reported, "{last:?} {problem:?}");
    }
}

#[test]
fn a_lost_position_counts_until_a_comparison_has_followed() {
    assert_eq!(log(|log| log.gap_at = Some(minutes(700))), [], "the comparison came later");
    assert_eq!(log(|log| log.gap_at = Some(minutes(500))), [Reason::EventsLost]);
    let never_compared = provider_report(|provider_report| {
        provider_report.comparison = None;
        provider_report.log.as_mut().unwrap().gap_at = Some(minutes(500));
    });
    assert_eq!(never_compared, [Reason::EventsLost]);
    assert_eq!(log(|log| log.failure = Some(Reason::EventLogForbidden)), [Reason::EventLogForbidden]);
}

#[test]
fn an_event_that_only_the_log_has_means_a_lost_webhook_after_five_minutes() {
    assert_eq!(log(|log| log.only_in_log_at = Some(minutes(4))), [], "the webhook may still arrive");
    assert_eq!(log(|log| log.only_in_log_at = Some(minutes(6))), [Reason::WebhooksMissing]);
    assert_eq!(log(|log| log.only_in_log_at = Some(minutes(61))), [], "a delivery came after it");
    let without_secrets = reasons(|signals| {
        signals.receives = false;
        signals.provider_report.as_mut().unwrap().log.as_mut().unwrap().only_in_log_at = Some(minutes(6));
    });
    assert_eq!(without_secrets, [], "no webhook is expected");
}

#[test]
fn a_comparison_counts_by_the_differences_that_were_not_repaired() {
    assert_eq!(compared(|found| found.extra = 1), [Reason::ReconcileDiffers]);
    assert_eq!(compared(|found| (found.missing, found.different) = (2, 1)), [Reason::ReconcileDiffers]);
    assert_eq!(compared(|found| (found.missing, found.different, found.repaired) = (2, 1, 3)), []);
    assert_eq!(compared(|found| (found.extra, found.deleted) = (4, 4)), []);
    assert_eq!(compared(|found| found.not_listed = 7), []);
    assert_eq!(compared(|found| found.is_refused = true), [Reason::ReconcileRefused]);
}

#[test]
fn silence_depends_on_the_usual_pause() {
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
    assert_eq!(silent_for(5000, None), [], "without a history there is no usual pause");
}

#[test]
fn refusals_count_while_none_is_accepted() {
    assert_eq!(reasons(|signals| signals.activity.refused = 2), []);
    assert_eq!(reasons(|signals| signals.activity.refused = 3), [Reason::DeliveriesRefused]);
    let never = reasons(|signals| {
        signals.provider_report = None;
        signals.activity = Activity::default();
    });
    assert_eq!(never, [Reason::NoDeliveryYet]);
    let refused_from_the_start = reasons(|signals| {
        signals.provider_report = None;
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
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str(), "as it is stored");
        assert_eq!(reason.as_str().parse(), Ok(*reason));
    }
}

fn moment() -> impl Strategy<Value = Option<Timestamp>> {
    proptest::option::of((0_u64..50_000).prop_map(minutes))
}

prop_compose! {
    fn any_signals()(
        receives in any::<bool>(),
        has_provider_report in any::<bool>(),
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
        let provider_report = ProviderReport {
            checks: Checks { at, failure, missing, difference, difference_seen, endpoint: vec![] },
            log: Some(LogState { read_at: at, failure: log_failure, gap_at, only_in_log_at }),
            comparison: Some(Comparison { at, missing: missing_rows, repaired, extra, ..Comparison::default() }),
        };
        Signals {
            now: NOW,
            receives,
            activity: Activity { last_delivery_at, refused, ..Activity::default() },
            usual_pause: usual.map(Duration::from_mins),
            provider_report: has_provider_report.then_some(provider_report),
        }
    }
}

proptest! {
    #[test]
    fn ok_means_that_there_is_no_reason_and_the_worst_reason_decides(signals in any_signals()) {
        let (state, reasons) = evaluate(&signals);
        prop_assert_eq!(state == SourceState::Ok, reasons.is_empty());
        prop_assert!(reasons.iter().all(|reason| reason.state() <= state));
        prop_assert!(reasons.is_empty() || reasons.iter().any(|reason| reason.state() == state));
        prop_assert!(reasons.is_sorted() && reasons.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn additional_findings_never_improve_the_state(signals in any_signals()) {
        // If there was never a delivery, refusals replace this reason.
        prop_assume!(evaluate(&signals).1 != [Reason::NoDeliveryYet]);
        let mut worse = signals.clone();
        worse.activity.refused += 3;
        if let Some(provider_report) = &mut worse.provider_report {
            provider_report.checks.missing = Some(1);
            provider_report.comparison = Some(Comparison { extra: 1, ..provider_report.comparison.unwrap_or_default() });
        }
        prop_assert!(evaluate(&worse).0 >= evaluate(&signals).0);
    }

    #[test]
    fn a_source_without_requests_to_the_provider_never_drifts(mut signals in any_signals()) {
        signals.provider_report = None;
        prop_assert!(evaluate(&signals).0 < SourceState::Drifting);
    }
}

/// A check found a difference ten minutes ago, and a comparison began `minutes_ago`.
fn compared_after_a_check(minutes_ago: u64, comparison: Comparison) -> ProviderReport {
    let report = ProviderReport {
        checks: Checks {
            at: Some(minutes(10)),
            missing: Some(1),
            difference: Some(2),
            difference_seen: 2,
            ..Checks::default()
        },
        log: None,
        comparison: Some(Comparison {
            began_at: Some(minutes(minutes_ago)),
            at: Some(minutes(1)),
            ..comparison
        }),
    };
    report.without_outdated()
}

#[test]
fn a_comparison_of_the_whole_list_replaces_earlier_checks() {
    let later = compared_after_a_check(5, Comparison::default());
    assert_eq!((later.checks.missing, later.checks.difference), (None, None));
    assert_eq!(provider_report(|report| *report = later.clone()), []);
    for (began, comparison) in
        [(15, Comparison::default()), (5, Comparison { is_refused: true, ..Comparison::default() })]
    {
        let kept = compared_after_a_check(began, comparison);
        assert_eq!((kept.checks.missing, kept.checks.difference), (Some(1), Some(2)), "{comparison:?}");
    }
}

#[test]
fn what_a_comparison_has_repaired_and_deleted_is_no_difference_any_more() {
    let found = Comparison { missing: 2, different: 3, extra: 4, not_listed: 1, ..Comparison::default() };
    let remaining = |repaired, deleted| {
        let report = compared_after_a_check(5, Comparison { repaired, deleted, ..found });
        let Comparison { missing, different, extra, not_listed, .. } = report.comparison.unwrap();
        [missing, different, extra, not_listed]
    };
    assert_eq!(remaining(0, 0), [2, 3, 4, 1]);
    assert_eq!(remaining(5, 4), [0, 0, 0, 1]);
    assert_eq!(remaining(4, 1), [2, 3, 3, 1], "one that could not be repaired");
}
