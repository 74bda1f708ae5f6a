//! The status of the sources: the state that follows now from what the watch of any replica has found.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tracing::{info, warn};

use super::Inner;
use crate::domain::{
    Activity, Checks, Comparison, LogState, ProviderReport, Reason, Signals, SourceState, Timestamp,
    evaluate, usual_pause,
};
use crate::providers::Source;
use crate::store::{Run, RunKind, RunState, StoreError, Watched};

/// The usual pause is calculated from the deliveries of this time.
const HISTORY: Duration = Duration::from_hours(14 * 24);
/// The largest number of deliveries for this calculation.
const MAX_HISTORY: u64 = 1000;
/// How long the calculated pause is used.
const USUAL_FOR: Duration = Duration::from_hours(1);

/// A source, as an operator sees it, with what has to be counted.
#[derive(Clone, Debug)]
pub(crate) struct SourceStatus {
    pub(crate) health: SourceHealth,
    /// The number of its rows.
    pub(crate) users: u64,
    /// The number of its parked deliveries.
    pub(crate) parked: u64,
}

/// A source, as an operator sees it.
#[derive(Clone, Debug)]
pub(crate) struct SourceHealth {
    pub(crate) name: String,
    pub(crate) provider: &'static str,
    pub(crate) state: SourceState,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) webhook_path: String,
    /// Whether it accepts deliveries.
    pub(crate) receives: bool,
    pub(crate) activity: Activity,
    /// The last backfill or reconciliation.
    pub(crate) last_run: Option<Run>,
    /// `None` if nothing was checked yet.
    pub(crate) drift: Option<WatchedDrift>,
}

/// What differs between the table and the provider, as far as it was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchedDrift {
    /// The time of the last checks or the last comparison, whichever was later.
    pub(crate) checked_at: Timestamp,
    /// How many of the newest users have no row.
    pub(crate) canary: Option<u64>,
    /// The provider's number of users minus the number of rows.
    pub(crate) count: Option<i64>,
    /// What the last comparison found and did not repair.
    pub(crate) comparison: Option<Comparison>,
}

impl WatchedDrift {
    fn of(report: &ProviderReport) -> Option<Self> {
        let Checks { at, missing, difference, .. } = report.checks;
        let compared_at = report.comparison.and_then(|comparison| comparison.at);
        let (canary, comparison) = (missing, report.comparison);
        Some(Self { checked_at: at.max(compared_at)?, canary, count: difference, comparison })
    }

    /// Every kind with its name in the metrics; `None` if it was not checked.
    fn kinds(self) -> [(&'static str, Option<i64>); 6] {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let compared = |of: fn(&Comparison) -> u64| self.comparison.as_ref().map(of).map(number);
        [
            ("canary", self.canary.map(number)),
            ("count", self.count),
            ("missing", compared(|it| it.missing)),
            ("different", compared(|it| it.different)),
            ("extra", compared(|it| it.extra)),
            ("not_listed", compared(|it| it.not_listed)),
        ]
    }
}

/// A source's usual pause, and when it was calculated.
#[derive(Debug, Default)]
pub(super) struct UsualPause(Mutex<Option<(Timestamp, Option<Duration>)>>);

/// The stored data of a source, and the state that follows from it.
pub(super) struct Evaluated {
    pub(super) watched: Option<Watched>,
    state: SourceState,
    reasons: Vec<Reason>,
    activity: Activity,
    drift: Option<WatchedDrift>,
}

impl Inner {
    /// Evaluates every source, sets the metrics, and logs each change of state. Only the replica that is first logs it.
    pub(super) async fn update_states(&self) -> Result<BTreeMap<String, Evaluated>, StoreError> {
        // Times that cannot be written now are kept in memory for the next attempt.
        self.activities.flush().await.ok();
        let evaluated = self.evaluate_all().await?;
        for (name, one) in &evaluated {
            self.report(name, one).await?;
        }
        Ok(evaluated)
    }

    /// The state of each source and its reasons. Nothing is written.
    pub(super) async fn states(&self) -> Result<Vec<(String, SourceState, Vec<Reason>)>, StoreError> {
        let evaluated = self.evaluate_all().await?.into_iter();
        Ok(evaluated.map(|(name, Evaluated { state, reasons, .. })| (name, state, reasons)).collect())
    }

    async fn evaluate_all(&self) -> Result<BTreeMap<String, Evaluated>, StoreError> {
        let mut known = self.puller.writer.store.watches().all().await?;
        let mut evaluated = BTreeMap::new();
        for name in self.puller.writer.sources.names() {
            let Some(source) = self.puller.writer.sources.get(name) else { continue };
            evaluated.insert(name.to_owned(), self.evaluate(source, known.remove(name)).await?);
        }
        Ok(evaluated)
    }

    async fn evaluate(&self, source: &Source, watched: Option<Watched>) -> Result<Evaluated, StoreError> {
        let name = source.name();
        let activity = watched.as_ref().map(|watched| watched.activity).unwrap_or_default();
        let provider_report = match self.client(name) {
            Some(client) => {
                let has_log = client.api().watch.event_log().is_some();
                let (checks, log) = watched.as_ref().map_or_else(
                    || (Checks::default(), LogState::default()),
                    |watched| (watched.checks.clone(), watched.log),
                );
                let comparison = self.last_comparison(name).await?;
                let report = ProviderReport { checks, log: has_log.then_some(log), comparison };
                Some(report.without_outdated())
            }
            None => None,
        };
        let drift = provider_report.as_ref().and_then(WatchedDrift::of);
        let signals = Signals {
            now: self.puller.clock.now(),
            receives: source.receives(),
            activity,
            usual_pause: self.usual_pause(name).await?,
            provider_report,
        };
        let (state, reasons) = evaluate(&signals);
        Ok(Evaluated { watched, state, reasons, activity, drift })
    }

    async fn last_comparison(&self, source: &str) -> Result<Option<Comparison>, StoreError> {
        let runs = self.puller.writer.store.runs();
        let complete = Some(RunState::Complete);
        let run = runs.newest(source, RunKind::Reconcile, complete, self.puller.clock.now()).await?;
        Ok(run.and_then(|run| Some(comparison(&run, run.report.as_ref()?))))
    }

    async fn usual_pause(&self, source: &str) -> Result<Option<Duration>, StoreError> {
        let now = self.puller.clock.now();
        let Some(kept) = self.sources.get(source).map(|source| &source.usual_pause) else { return Ok(None) };
        let known = *kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, usual)) = known.filter(|(at, _)| now.since(*at) < USUAL_FOR) {
            return Ok(usual);
        }
        let journal = self.puller.writer.store.journal();
        let received = journal.newest_times(source, now.minus(HISTORY), MAX_HISTORY).await?;
        let usual = usual_pause(&received);
        *kept.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, usual));
        Ok(usual)
    }

    /// Sets the metrics of a source, and logs its state if it has changed.
    async fn report(&self, name: &str, evaluated: &Evaluated) -> Result<(), StoreError> {
        let Evaluated { watched, state, reasons, activity, drift } = evaluated;
        let metrics = &self.puller.writer.metrics;
        metrics.source_state(name, *state);
        if let Some(at) = activity.last_delivery_at {
            metrics.last_delivery(name, at);
        }
        for (kind, count) in drift.iter().flat_map(|drift| drift.kinds()) {
            metrics.drift(name, kind, count);
        }
        let compared = drift.and_then(|drift| drift.comparison).and_then(|comparison| comparison.at);
        if let Some(at) = compared {
            metrics.reconciled(name, at);
        }
        let Some(before) = watched.as_ref().map(|watched| watched.state) else { return Ok(()) };
        let is_not_checked_yet =
            !reasons.is_empty() && reasons.iter().all(|reason| reason.is_not_checked_yet());
        if before == Some(*state) || is_not_checked_yet {
            return Ok(());
        }
        if !self.puller.writer.store.watches().change_state(name, before, *state).await? {
            return Ok(());
        }
        let reasons = reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(" ");
        let (source, state) = (name, state.as_str());
        if reasons.is_empty() {
            info!(source, state, "the state of the source has changed");
        } else {
            warn!(source, state, reasons, "the state of the source has changed");
        }
        Ok(())
    }

    /// The status of all sources, or of one.
    pub(super) async fn status(&self, only: Option<&str>) -> Result<Vec<SourceStatus>, StoreError> {
        let store = &self.puller.writer.store;
        let health = self.health(only).await?;
        let (users, parked) =
            (store.users().count_by_source().await?, store.journal().parked_by_source().await?);
        let count =
            |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).copied().unwrap_or_default();
        let status = |health: SourceHealth| {
            let [users, parked] = [&users, &parked].map(|counts| count(counts, &health.name));
            SourceStatus { health, users, parked }
        };
        Ok(health.into_iter().map(status).collect())
    }

    /// The same without what has to be counted.
    pub(super) async fn health(&self, only: Option<&str>) -> Result<Vec<SourceHealth>, StoreError> {
        let evaluated = self.update_states().await?;
        let mut all = Vec::new();
        for (name, evaluated) in evaluated {
            let source = self.puller.writer.sources.get(&name);
            let Some(source) = source.filter(|_| only.is_none_or(|only| only == name)) else { continue };
            let Evaluated { state, reasons, activity, drift, .. } = evaluated;
            all.push(SourceHealth {
                provider: source.provider(),
                state,
                reasons,
                webhook_path: source.webhook_path(),
                receives: source.receives(),
                activity,
                last_run: self.last_run(&name).await?,
                drift,
                name,
            });
        }
        Ok(all)
    }

    async fn last_run(&self, source: &str) -> Result<Option<Run>, StoreError> {
        let (runs, now) = (self.puller.writer.store.runs(), self.puller.clock.now());
        let backfill = runs.newest(source, RunKind::Backfill, None, now).await?;
        let reconcile = runs.newest(source, RunKind::Reconcile, None, now).await?;
        Ok(backfill.into_iter().chain(reconcile).max_by_key(|run| run.started_at))
    }
}

/// Reads the report of a reconciliation.
fn comparison(run: &Run, report: &Value) -> Comparison {
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    Comparison {
        began_at: Some(run.started_at),
        at: run.finished_at,
        missing: number("/counts/missing"),
        different: number("/counts/different"),
        extra: number("/counts/extra"),
        not_listed: number("/counts/notListed"),
        repaired: number("/repaired"),
        deleted: number("/deleted"),
        is_refused: report.get("refused").is_some_and(|refused| !refused.is_null()),
    }
}
