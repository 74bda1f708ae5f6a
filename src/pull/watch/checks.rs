//! The checks at a provider every five minutes: whether its newest users have rows, how many users it has, and whether
//! the webhook's endpoints are set up correctly.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use super::Inner;
use crate::domain::{Checks, Delivery, Reason, Timestamp, UserKey};
use crate::providers::Source;
use crate::providers::api::Api;
use crate::providers::directory::{ListError, Lookup};
use crate::providers::watch::{Newest, ProviderEndpoint, endpoint_problems};
use crate::pull::client::ApiClient;
use crate::pull::error::{ApiError, PullError};
use crate::store::StoreError;

/// How long all checks together may take.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(20);
/// How many users without a row are looked up by id.
const MAX_LOOKUPS: usize = 3;
/// The number of users who signed up within this time is the tolerance of the count.
const RECENT: Duration = Duration::from_mins(5);
/// How far back a failed delivery matters.
const FAILED_WITHIN: Duration = Duration::from_hours(1);
/// For how many endpoints failed deliveries are requested, at most.
const MAX_ENDPOINTS: usize = 3;

impl Inner {
    /// Makes the checks of a source. An error is one of our own database; others are part of the result.
    pub(super) async fn check_provider(
        &self,
        source: &Source,
        client: &ApiClient,
        last: &Checks,
    ) -> Result<Checks, StoreError> {
        let mut checks = Checks { at: Some(self.puller.clock.now()), ..Checks::default() };
        let checked = timeout(CHECK_TIMEOUT, self.check_everything(source, client, last, &mut checks)).await;
        checks.failure = match checked {
            Ok(Ok(())) => None,
            Ok(Err(PullError::Store(error))) => return Err(error),
            Ok(Err(error)) => {
                debug!(source = source.name(), %error, "the provider could not be checked");
                Some(reason_of(&error))
            }
            Err(_) => Some(Reason::ApiUnavailable),
        };
        Ok(checks)
    }

    async fn check_everything(
        &self,
        source: &Source,
        client: &ApiClient,
        last: &Checks,
        checks: &mut Checks,
    ) -> Result<(), PullError> {
        let api = client.api();
        self.puller.check_instance(client, source).await?;
        let newest = match api.watch.newest() {
            Some(request) => {
                let answer = client.send(&request).await?;
                let newest = api.watch.read_newest(&answer)?;
                let now = answer.date.unwrap_or(self.puller.clock.now());
                checks.missing = Some(self.count_without_row(source, client, &newest, now).await?);
                newest
            }
            None => Newest::default(),
        };
        let total = match (newest.total, api.directory.count()) {
            (None, Some(request)) => Some(api.directory.read_count(&client.send(&request).await?)?),
            (total, _) => total,
        };
        if let Some(total) = total {
            let difference = self.difference(source, total).await?;
            checks.difference = Some(difference);
            let is_same = last.difference.is_some_and(|last| last.signum() == difference.signum());
            checks.difference_seen = match difference {
                0 => 0,
                _ if is_same => last.difference_seen.saturating_add(1),
                _ => 1,
            };
        }
        if source.receives() {
            checks.endpoint = self.endpoint_problems(source, client, api).await?;
        }
        Ok(())
    }

    /// How many of the newest users should have a row and have none, and were not deleted either.
    async fn count_without_row(
        &self,
        source: &Source,
        client: &ApiClient,
        newest: &Newest,
        now: Timestamp,
    ) -> Result<u64, PullError> {
        let api = client.api();
        let created_before = now.minus(api.watch.row_expected_after());
        let listed: Vec<Delivery> =
            newest.users.iter().map(|user| source.listed(user.clone(), now)).collect();
        if !listed.is_empty() && listed.iter().all(|delivery| delivery.user().is_none()) {
            return Err(ListError::not_a_list("a list of users with ids").into());
        }
        let created: Vec<(UserKey, Timestamp)> = listed
            .iter()
            .filter_map(Delivery::change)
            .filter_map(|change| Some((change.user.clone(), change.lifetime()?)))
            .filter(|(_, created_at)| *created_at < created_before)
            .collect();
        let keys: BTreeSet<&UserKey> = created.iter().map(|(user, _)| user).collect();
        if keys.is_empty() {
            return Ok(0);
        }
        let rows = self.puller.writer.store.users().look_up(&keys).await?;
        let is_known = |(user, created_at): &&(UserKey, Timestamp)| {
            rows.get(user).is_some_and(|found| {
                found.as_ref().is_ok_and(|found| {
                    let ended = found.deleted_at.is_some_and(|at| source.ids().ended(at, Some(*created_at)));
                    found.user.is_some() || ended
                })
            })
        };
        let mut missing: Vec<&UserKey> =
            created.iter().filter(|user| !is_known(user)).map(|(user, _)| user).collect();
        // An index that lags behind may still list a deleted user.
        let mut deleted = Vec::new();
        for user in missing.iter().take(MAX_LOOKUPS) {
            let Some(request) = api.directory.lookup(&user.external_id) else { continue };
            let answer = client.send_for_any_answer(&request).await?;
            if api.directory.read_lookup(&answer) == Lookup::NotFound {
                deleted.push(*user);
            }
        }
        missing.retain(|user| !deleted.contains(user));
        Ok(missing.len() as u64)
    }

    /// The provider's number of users minus the number of rows, with a tolerance for users who are just signing up or
    /// leaving.
    async fn difference(&self, source: &Source, total: u64) -> Result<i64, StoreError> {
        let since = self.puller.clock.now().minus(RECENT);
        let (rows, recent) = self.puller.writer.store.users().count(source.name(), since).await?;
        Ok(difference(total, rows, recent))
    }

    /// The problems of the webhook's endpoints. What the credentials may not read is not reported.
    async fn endpoint_problems(
        &self,
        source: &Source,
        client: &ApiClient,
        api: &Api,
    ) -> Result<Vec<Reason>, PullError> {
        let Some(request) = api.watch.endpoints() else { return Ok(Vec::new()) };
        let answer = match client.send(&request).await {
            Ok(answer) => answer,
            Err(ApiError::Forbidden { .. } | ApiError::Answered { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let endpoints = api.watch.read_endpoints(&answer)?;
        let path = source.webhook_path();
        let mut problems = endpoint_problems(&endpoints, &path);
        let since = self.puller.clock.now().minus(FAILED_WITHIN);
        let enabled = endpoints.iter().filter(|endpoint| endpoint.is_enabled && endpoint.is_at(&path));
        for endpoint in enabled.take(MAX_ENDPOINTS) {
            if has_failed(client, api, endpoint, since).await? {
                problems.push(Reason::DeliveriesFailed);
                break;
            }
        }
        Ok(problems)
    }
}

async fn has_failed(
    client: &ApiClient,
    api: &Api,
    endpoint: &ProviderEndpoint,
    since: Timestamp,
) -> Result<bool, PullError> {
    let Some(request) = api.watch.failed_deliveries(endpoint, since) else { return Ok(false) };
    match client.send(&request).await {
        Ok(answer) => Ok(api.watch.has_failed_deliveries(&answer)),
        Err(ApiError::Forbidden { .. } | ApiError::Answered { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The difference between the provider's number of users and the number of rows; 0 if it is not more than the number of
/// recent rows.
fn difference(total: u64, rows: u64, recent: u64) -> i64 {
    if total.abs_diff(rows) <= recent {
        return 0;
    }
    i64::try_from(i128::from(total) - i128::from(rows)).unwrap_or(i64::MAX)
}

/// Why the checks could not be made.
pub(super) fn reason_of(error: &PullError) -> Reason {
    match error {
        PullError::WrongInstance(_) => Reason::WrongInstance,
        PullError::Api(error) => reason_of_api(error),
        PullError::List(_) | PullError::Incomplete(_) | PullError::File(_) => Reason::UnexpectedAnswer,
        PullError::NoApi(_) | PullError::Held { .. } | PullError::Store(_) | PullError::Interrupted => {
            Reason::ApiUnavailable
        }
    }
}

/// Why a request failed.
pub(super) fn reason_of_api(error: &ApiError) -> Reason {
    match error {
        ApiError::Unauthorized(_) => Reason::ApiUnauthorized,
        ApiError::Forbidden { .. } => Reason::ApiForbidden,
        ApiError::Refused(_) => Reason::ApiMisconfigured,
        ApiError::Unexpected(_) | ApiError::Answered { .. } => Reason::UnexpectedAnswer,
        ApiError::Unavailable(_) => Reason::ApiUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn users_who_are_just_signing_up_are_no_difference() {
        for (total, rows, recent, expected) in [
            (100, 100, 0, 0),
            (103, 100, 3, 0),
            (103, 100, 2, 3),
            (97, 100, 3, 0),
            (90, 100, 3, -10),
            (0, 7, 0, -7),
        ] {
            assert_eq!(difference(total, rows, recent), expected, "{total} {rows} {recent}");
        }
    }
}
