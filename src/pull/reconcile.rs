//! Compares the table with the provider's list, and repairs the differences if requested.
//!
//! A user is not deleted only because they are not in the list. Each such user is looked up by id and is deleted only
//! if the provider answers that there is no such user; before that, checks detect a wrong key or an incomplete list.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tracing::{info, warn};
use uuid::Uuid;

use super::client::{ApiClient, RetryPolicy};
use super::comparison::{Comparison, only};
use super::error::{ApiError, PullError};
use super::paging::read_list;
use super::progress::Progress;
use super::report::{Drift, Report};
use super::sample::Sample;
use super::{Puller, completeness};
use crate::domain::{Delivery, Timestamp, User, UserId, UserKey};
use crate::providers::Source;
use crate::providers::api::Api;
use crate::providers::directory::{Directory, LOOKUPS_AT_ONCE, Lookup};
use crate::store::{Chain, Listing, Run, RunEnd, RunKind, RunProgress, RunRequest, RunState, StoreError};

/// A user who signed up less than this before the run may not be in the list yet.
const SIGNUP_MARGIN: Duration = Duration::from_mins(5);
/// In percent of the rows. If fewer of them are in the list, the key may be for another instance.
const MIN_OVERLAP_PERCENT: u64 = 50;
/// How many users may be deleted by default: this number, or one row in this many if that is more.
const DEFAULT_MAX_DELETIONS: u64 = 10;
const ROWS_PER_DELETION: u64 = 20;
/// How many rows are compared together.
const PAGE: u64 = 500;

/// What to do in addition to reporting.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReconcileOptions {
    /// Writes users who are missing or different.
    pub(crate) repair: bool,
    /// Deletes users who no longer exist at the provider.
    pub(crate) delete: bool,
    /// How many may be deleted, instead of the usual cap.
    pub(crate) max_deletions: Option<u64>,
    /// Overrides the provider's own rate.
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
        // The ids that earlier runs have stored.
        runs.forget_seen(source.name()).await?;
        // Boxed: it is large.
        let compares = Box::pin(self.compare(source, api, &run, options, progress));
        let result = self.while_held(run.id, compares).await;
        let now = self.clock.now();
        match &result {
            Ok(report) => {
                let json = report.to_json();
                let end = RunEnd { state: RunState::Complete, error: None, report: Some(&json), now };
                runs.end(run.id, &self.holder, &end).await?;
                runs.forget_seen(source.name()).await?;
                let Report { drift: Drift { missing, different, repaired, .. }, extra, deleted, .. } = report;
                let [missing, different, extra] = [missing.count, different.count, extra.len() as u64];
                info!(
                    source = source.name(),
                    missing, different, extra, repaired, deleted, "the reconciliation is complete"
                );
            }
            Err(error) => {
                warn!(source = source.name(), %error, "the reconciliation is not finished");
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
            RetryPolicy::RUN,
        )?;
        let (directory, store) = (api.directory.as_ref(), &self.writer.store);
        self.check_instance(&client, source).await?;
        if options.repair {
            // Before the first write: rows that a repair has written would all be found in the list.
            Sample::take(&client, directory, store, source.name()).await?.check_for_repair()?;
        }
        let count = match api.directory.count() {
            Some(count) => Some(api.directory.read_count(&client.send(&count).await?)?),
            None => None,
        };
        let mut comparison = self.comparison(source, run, &client, options.repair, progress).await?;
        comparison.total = count;
        let list = comparison.checkpoint.list.clone();
        read_list(&client, source, list, &mut comparison).await?;
        let Comparison { checkpoint, mut chain, probe_id, provider_time, total, .. } = comparison;
        let mut report = Report::new(source.name());
        report.complete = true;
        report.drift = checkpoint.drift;
        report.provider = self.writer.store.runs().count_seen(run.id).await?;
        let unlisted = self.unlisted(source, run, provider_time, &mut report).await?;
        report.refused = reason_not_to_delete(&report, total);
        if report.refused.is_none() && !unlisted.is_empty() {
            let probe_id = match probe_id {
                Some(listed) => Some(listed),
                // All users of the list were read before the run was continued.
                None => self.writer.store.runs().any_seen(run.id).await?,
            };
            self.look_up_each(&client, source, api, probe_id, unlisted, &mut report).await?;
            if report.refused.is_none() && options.delete {
                self.delete(source, &mut chain, options, &mut report).await?;
            }
        }
        if options.repair && report.refused.is_none() {
            self.repair_not_listed(run.id, &mut chain, &mut report).await?;
        }
        Ok(report)
    }

    /// The rows of a source that were not in the list, of users who were created well before the run began.
    async fn unlisted(
        &self,
        source: &Source,
        run: &Run,
        provider_time: Option<Timestamp>,
        report: &mut Report,
    ) -> Result<Vec<UserKey>, StoreError> {
        let Self { writer, .. } = self;
        let began = run.started_at;
        let latest = provider_time.unwrap_or(began).minus(SIGNUP_MARGIN);
        let mut unlisted = Vec::new();
        let mut after: Option<UserId> = None;
        loop {
            let listing =
                Listing { source: Some(source.name().to_owned()), after, limit: PAGE, ..Listing::default() };
            let page = writer.store.users().list(&listing).await?;
            report.rows += page.users.len() as u64;
            let ids: Vec<String> = page.users.iter().map(|user| user.key.external_id.clone()).collect();
            let seen = writer.store.runs().seen(run.id, &ids).await?;
            for user in page.users.iter().filter(|user| user.id.created_at() < began) {
                report.older_rows += 1;
                report.older_rows_listed += u64::from(seen.contains(&user.key.external_id));
            }
            let existed_before = |user: &User| {
                user.created_at.is_none_or(|created_at| created_at < latest) && user.id.created_at() < began
            };
            let absent = page.users.into_iter().filter(|user| !seen.contains(&user.key.external_id));
            let (older, recent): (Vec<User>, Vec<User>) = absent.partition(existed_before);
            report.recent += recent.len() as u64;
            unlisted.extend(older.into_iter().map(|user| user.key));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(unlisted),
            }
        }
    }

    /// Looks each of these users up by id at the provider.
    async fn look_up_each(
        &self,
        client: &ApiClient,
        source: &Source,
        api: &Arc<Api>,
        probe_id: Option<String>,
        unlisted: Vec<UserKey>,
        report: &mut Report,
    ) -> Result<(), PullError> {
        let directory = api.directory.as_ref();
        // A lookup proves nothing unless a user from the list can be found by id.
        let probe = probe_id.and_then(|id| directory.lookup(&id));
        let Some(probe) = probe else {
            report.extra.extend(unlisted.into_iter().map(|user| (user.external_id, None)));
            report.unconfirmed = true;
            return Ok(());
        };
        let answer = client.send_for_any_answer(&probe).await?;
        if !matches!(directory.read_lookup(&answer), Lookup::Found(_)) {
            report.refused = Some(
                "a user from the list is not found by id: check the key, or `get` under \
                    [sources.list]"
                    .to_owned(),
            );
            return Ok(());
        }
        for users in unlisted.chunks(LOOKUPS_AT_ONCE) {
            let found = self.look_up_together(client, source, directory, users, report).await?;
            for user in users.iter().filter(|user| !found.contains(&user.external_id)) {
                self.look_up(client, source, directory, user, report).await?;
                if report.refused.is_some() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Looks up several users with one request, if the provider has one. Returns the ids of those who exist. It does not
    /// show who does not: only an answer about one user does.
    async fn look_up_together(
        &self,
        client: &ApiClient,
        source: &Source,
        directory: &dyn Directory,
        users: &[UserKey],
        report: &mut Report,
    ) -> Result<BTreeSet<String>, PullError> {
        let ids: Vec<&str> = users.iter().map(|user| &*user.external_id).collect();
        let mut found = BTreeSet::new();
        let Some(request) = directory.lookup_many(&ids).filter(|_| ids.len() > 1) else { return Ok(found) };
        let answer = match client.send(&request).await {
            Ok(answer) => answer,
            // Each is looked up by itself.
            Err(ApiError::Answered { .. }) => return Ok(found),
            Err(error) => return Err(error.into()),
        };
        // What is no list shows nothing either.
        let Ok(listed) = directory.read_lookup_many(&answer) else { return Ok(found) };
        for user in listed {
            let id = source.id_of(&user).and_then(Value::as_str).unwrap_or_default().to_owned();
            if ids.contains(&&*id) && found.insert(id.clone()) {
                report.not_listed.push(id);
                report.found.push(source.listed(user, self.clock.now()));
            }
        }
        Ok(found)
    }

    /// Looks up one user who is not in the list.
    async fn look_up(
        &self,
        client: &ApiClient,
        source: &Source,
        directory: &dyn Directory,
        user: &UserKey,
        report: &mut Report,
    ) -> Result<(), PullError> {
        let Some(request) = directory.lookup(&user.external_id) else { return Ok(()) };
        let answer = client.send_for_any_answer(&request).await?;
        match directory.read_lookup(&answer) {
            Lookup::NotFound if answer.date.is_none() => {
                report.refused = Some(
                    "the provider's answer for a missing user has no time of its own (`Date`, without `Age`): check for \
                     a cache in front of the API"
                        .to_owned(),
                );
            }
            Lookup::NotFound => report.extra.push((user.external_id.clone(), answer.date)),
            Lookup::Found(user_there) => {
                report.not_listed.push(user.external_id.clone());
                report.found.push(source.listed(user_there, self.clock.now()));
            }
            Lookup::Unknown(why) => {
                report.refused = Some(format!(
                    "{why} to a request for one user, so it is not known whether that user still exists"
                ));
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
        let cap =
            options.max_deletions.unwrap_or(DEFAULT_MAX_DELETIONS.max(report.older_rows / ROWS_PER_DELETION));
        if report.unconfirmed {
            report.refused =
                Some("users cannot be looked up one by one: set `get` under [sources.list]".to_owned());
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
            // Without the time of the provider's answer a deletion has no stamp; the next run tries again.
            let dated = page.iter().filter_map(|(id, date)| Some(source.gone(id, (*date)?, now)));
            let deletions: Vec<Delivery> = dated.collect();
            let count = deletions.len() as u64;
            self.writer.write_confirmed_deletions(chain, deletions).await?;
            report.deleted += count;
        }
        Ok(())
    }

    /// Users who were found by id are written as if they had been listed.
    async fn repair_not_listed(
        &self,
        run: Uuid,
        chain: &mut Chain,
        report: &mut Report,
    ) -> Result<(), PullError> {
        let found = std::mem::take(&mut report.found);
        let mismatched = self.mismatched(chain, &found, &mut Drift::default()).await?;
        let now = self.clock.now();
        let progress = RunProgress { run, holder: &self.holder, position: None, total: None, seen: &[], now };
        report.drift.repaired +=
            self.writer.repair_listed(chain, &only(&found, &mismatched), &progress).await?;
        Ok(())
    }
}

/// A run with another API, or with another choice of repair, is another run.
fn parameters(api: &Api, options: &ReconcileOptions) -> String {
    let repair = if options.repair { ", repairing" } else { "" };
    format!("api {}{repair}", api.fingerprint())
}

/// Why users who are not in the list must not be deleted, if there is a reason.
fn reason_not_to_delete(report: &Report, count: Option<u64>) -> Option<String> {
    let Report { provider, older_rows: rows, older_rows_listed: listed, .. } = *report;
    if provider == 0 {
        return Some(
            "the provider's list is empty; this does not prove that all users were deleted".to_owned(),
        );
    }
    if rows > 0 && listed * 100 < rows * MIN_OVERLAP_PERCENT {
        return Some(format!(
            "only {listed} of {rows} rows are in the provider's list: check that the key belongs to the \
                right instance"
        ));
    }
    let count = count?;
    (!completeness::agrees(count, provider))
        .then(|| format!("the provider reports {count} users but listed {provider}: the list is incomplete"))
}
