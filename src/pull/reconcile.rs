//! Comparing the table with the provider's list: what differs, and, if asked, its repair.
//!
//! Nobody is deleted because a list does not have them. Every such user is asked for by id, and only the provider's own
//! word that there is no such user counts, after guards that tell a wrong key or a list with gaps from users who left.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use uuid::Uuid;

use super::client::{ApiClient, Patience};
use super::comparing::{Comparing, only};
use super::error::PullError;
use super::progress::Progress;
use super::report::{Drift, Report};
use super::walk::walk;
use super::{Puller, instance, whole};
use crate::domain::{Delivery, Timestamp, User, UserId, UserKey};
use crate::providers::Source;
use crate::providers::api::Api;
use crate::providers::directory::Presence;
use crate::store::{Chain, Listing, Run, RunEnd, RunKind, RunProgress, RunRequest, RunState, StoreError};

/// Who signed up so shortly before the walk may not be in the list yet.
const MARGIN: Duration = Duration::from_mins(5);
/// In percent of the rows. If fewer of them are in the list, the key may be of another instance.
const LEAST_OVERLAP: u64 = 50;
/// How many users may be deleted by default: this number, or one row in so many if that is more.
const DEFAULT_CAP: u64 = 10;
const ROWS_PER_DELETION: u64 = 20;
/// Rows that are looked at together.
const PAGE: u64 = 500;

/// What to do beside reporting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReconcileOptions {
    /// Writes who is missing or different.
    pub(crate) repair: bool,
    /// Deletes those of whom the provider says that they are gone.
    pub(crate) delete: bool,
    /// How many may be deleted, instead of the usual cap.
    pub(crate) max_deletions: Option<u64>,
    /// Before the provider's own.
    pub(crate) requests_per_second: Option<NonZeroU32>,
}

impl Puller {
    /// Compares the rows of one source with its provider's list.
    pub(crate) async fn reconcile(
        &self,
        source: &Source,
        options: &ReconcileOptions,
        progress: &mut dyn Progress,
    ) -> Result<Report, PullError> {
        let api = source.api().ok_or_else(|| PullError::NoApi(source.name().to_owned()))?;
        let runs = self.writer.store.runs();
        let parameters = parameters(api, options);
        let request = RunRequest {
            source: source.name(),
            kind: RunKind::Reconcile,
            parameters: &parameters,
            restart: false,
            holder: &self.holder,
        };
        let run = self.begin(&request, progress).await?;
        // Of earlier runs.
        runs.forget_seen(source.name()).await?;
        // Boxed: it is large.
        let compares = Box::pin(self.compare(source, api, &run, options, progress));
        let result = self.while_held(run.id, compares).await;
        let now = self.clock.now();
        match &result {
            Ok(report) => {
                let told = report.to_json();
                let end = RunEnd { state: RunState::Complete, error: None, report: Some(&told), now };
                runs.end(run.id, &self.holder, &end).await?;
                runs.forget_seen(source.name()).await?;
                let Report { drift: Drift { missing, different, repaired, .. }, extra, deleted, .. } = report;
                let [missing, different, extra] = [missing.count, different.count, extra.len() as u64];
                info!(
                    source = source.name(),
                    missing, different, extra, repaired, deleted, "reconciliation complete"
                );
            }
            Err(error) => {
                warn!(source = source.name(), %error, "reconciliation unfinished");
                let words = error.to_string();
                let end = RunEnd { state: error.run_state(), error: Some(&words), report: None, now };
                runs.end(run.id, &self.holder, &end).await?;
            }
        }
        result
    }

    async fn compare(
        &self,
        source: &Source,
        api: &Arc<Api>,
        run: &Run,
        options: &ReconcileOptions,
        progress: &mut dyn Progress,
    ) -> Result<Report, PullError> {
        let client = ApiClient::new(
            api,
            options.requests_per_second,
            self.allow_http,
            self.clock.clone(),
            Patience::RUN,
        )?;
        instance::check(&client, api.directory.as_ref(), &self.writer.store, source.name()).await?;
        let count = match api.directory.count() {
            Some(count) => api.directory.read_count(&client.send(&count).await?),
            None => None,
        };
        let mut comparing = self.comparing(source, run, &client, options.repair, progress).await?;
        comparing.total = count;
        let list = comparing.so_far.list.clone();
        walk(&client, source, list, &mut comparing).await?;
        let Comparing { so_far, mut chain, somebody, provider_time, total, .. } = comparing;
        let mut report = Report::new(source.name());
        report.complete = true;
        report.drift = so_far.drift;
        report.provider = self.writer.store.runs().count_seen(run.id).await?;
        let unlisted = self.unlisted(source, run, provider_time, &mut report).await?;
        report.refused = doubt(&report, total);
        if report.refused.is_none() && !unlisted.is_empty() {
            let somebody = match somebody {
                Some(listed) => Some(listed),
                // All of them were listed before the run was continued.
                None => self.writer.store.runs().any_seen(run.id).await?,
            };
            self.ask_for_each(&client, source, api, somebody, unlisted, &mut report).await?;
            if report.refused.is_none() && options.delete {
                self.delete(source, &mut chain, options, &mut report).await?;
            }
        }
        if options.repair && report.refused.is_none() {
            self.repair_not_listed(run.id, &mut chain, &mut report).await?;
        }
        Ok(report)
    }

    /// The rows of a source that the walk has not seen, of users who were there well before it began.
    async fn unlisted(
        &self,
        source: &Source,
        run: &Run,
        provider_time: Option<Timestamp>,
        report: &mut Report,
    ) -> Result<Vec<UserKey>, StoreError> {
        let Self { writer, .. } = self;
        let began = run.started_at;
        let latest = provider_time.unwrap_or(began).minus(MARGIN);
        let mut unlisted = Vec::new();
        let mut after: Option<UserId> = None;
        loop {
            let listing =
                Listing { source: Some(source.name().to_owned()), after, limit: PAGE, ..Listing::default() };
            let page = writer.store.users().list(&listing).await?;
            report.rows += page.users.len() as u64;
            let ids: Vec<String> = page.users.iter().map(|user| user.key.external_id.clone()).collect();
            let seen = writer.store.runs().seen(run.id, &ids).await?;
            report.overlap += seen.len() as u64;
            let was_there = |user: &User| {
                user.created_at.is_none_or(|created_at| created_at < latest) && user.id.made_at() < began
            };
            let absent = page.users.into_iter().filter(|user| !seen.contains(&user.key.external_id));
            unlisted.extend(absent.filter(was_there).map(|user| user.key));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(unlisted),
            }
        }
    }

    /// Asks the provider for each of these users by id.
    async fn ask_for_each(
        &self,
        client: &ApiClient,
        source: &Source,
        api: &Arc<Api>,
        somebody: Option<String>,
        unlisted: Vec<UserKey>,
        report: &mut Report,
    ) -> Result<(), PullError> {
        let directory = api.directory.as_ref();
        // Only where somebody who was just listed is found by id does it mean anything that another one is not.
        let probe = somebody.and_then(|id| directory.lookup(&id));
        let Some(probe) = probe else {
            report.extra.extend(unlisted.into_iter().map(|user| (user.external_id, None)));
            report.unconfirmed = true;
            return Ok(());
        };
        let answer = client.ask(&probe).await?;
        if !matches!(directory.read_lookup(&answer), Presence::There(_)) {
            report.refused = Some(
                "a user who was just listed is not found by id: the key or `get` under [sources.list] is not right".to_owned(),
            );
            return Ok(());
        }
        for user in unlisted {
            let Some(request) = directory.lookup(&user.external_id) else { continue };
            let answer = client.ask(&request).await?;
            match directory.read_lookup(&answer) {
                Presence::Gone => report.extra.push((user.external_id, answer.date)),
                Presence::There(user_there) => {
                    report.not_listed.push(user.external_id);
                    report.found.push(source.listed(user_there, self.clock.now()));
                }
                Presence::Unknown(why) => {
                    report.refused =
                        Some(format!("{why} when asked for a user by id, which says nothing about the user"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn delete(
        &self,
        source: &Source,
        chain: &mut Chain,
        options: &ReconcileOptions,
        report: &mut Report,
    ) -> Result<(), PullError> {
        let gone = report.extra.len() as u64;
        let cap = options.max_deletions.unwrap_or(DEFAULT_CAP.max(report.rows / ROWS_PER_DELETION));
        if report.unconfirmed {
            report.refused =
                Some("the provider cannot be asked for one user: set `get` under [sources.list]".to_owned());
        } else if gone > cap {
            report.refused = Some(format!(
                "{gone} users would be deleted, more than {cap}: allow it with --max-deletions {gone}"
            ));
        }
        if report.refused.is_some() {
            return Ok(());
        }
        let now = self.clock.now();
        for page in report.extra.chunks(100) {
            // Without the provider's clock a deletion cannot be dated; the next run asks again.
            let dated = page.iter().filter_map(|(id, date)| Some(source.gone(id, (*date)?, now)));
            let deletions: Vec<Delivery> = dated.collect();
            let count = deletions.len() as u64;
            self.writer.write_confirmed_deletions(chain, deletions).await?;
            report.deleted += count;
        }
        Ok(())
    }

    /// Those who are there by id are written as if they had been listed.
    async fn repair_not_listed(
        &self,
        run: Uuid,
        chain: &mut Chain,
        report: &mut Report,
    ) -> Result<(), PullError> {
        let found = std::mem::take(&mut report.found);
        let drifted = self.drifted(chain, &found, &mut Drift::default()).await?;
        let now = self.clock.now();
        let progress = RunProgress { run, holder: &self.holder, position: None, total: None, seen: &[], now };
        report.drift.repaired += self.writer.repair_listed(chain, &only(&found, &drifted), &progress).await?;
        Ok(())
    }
}

/// A run that asks somebody else, or that does not write what it finds, is another run.
fn parameters(api: &Api, options: &ReconcileOptions) -> String {
    let repair = if options.repair { ", repairing" } else { "" };
    format!("api {}{repair}", api.fingerprint())
}

/// Why nothing can be said of those who are not in the list, if so.
fn doubt(report: &Report, count: Option<u64>) -> Option<String> {
    let Report { provider, rows, overlap, .. } = *report;
    if provider == 0 {
        return Some(
            "the provider's list is empty, which is no reason to believe that everybody has left".to_owned(),
        );
    }
    if rows > 0 && overlap * 100 < rows * LEAST_OVERLAP {
        return Some(format!(
            "only {overlap} of {rows} rows are in the provider's list: is the key of another instance?"
        ));
    }
    let count = count?;
    (!whole::agrees(count, provider)).then(|| {
        format!("the provider says that it has {count} users and listed {provider}: the list has gaps")
    })
}
