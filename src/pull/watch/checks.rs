//! What a provider is asked every five minutes: whether its newest users have rows, how many users it has, and how the
//! webhook's endpoints are.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;

use super::Inner;
use crate::domain::{Checks, Reason, Timestamp, UserKey};
use crate::providers::Source;
use crate::providers::api::Api;
use crate::providers::directory::Presence;
use crate::providers::watch::{Endpoint, Newest, endpoint_flaws};
use crate::pull::client::ApiClient;
use crate::pull::error::{ApiError, PullError};
use crate::pull::instance;
use crate::store::StoreError;

/// How long all questions together may take.
const LONGEST: Duration = Duration::from_secs(20);
/// How many users without a row are asked for by id.
const CONFIRMED: usize = 3;
/// Users who signed up so lately tell how many more may be on their way.
const YOUNG: Duration = Duration::from_mins(5);
/// How far back a failed delivery matters.
const FAILED_WITHIN: Duration = Duration::from_hours(1);
/// At the most so many endpoints are asked for their failed deliveries.
const ENDPOINTS_ASKED: usize = 3;

impl Inner {
    /// Asks a source's provider. An error is one of our own database.
    pub(super) async fn ask(
        &self,
        source: &Source,
        client: &ApiClient,
        last: &Checks,
    ) -> Result<Checks, StoreError> {
        let mut checks = Checks { at: Some(self.puller.clock.now()), ..Checks::default() };
        let asked = timeout(LONGEST, self.ask_everything(source, client, last, &mut checks)).await;
        checks.failure = match asked {
            Ok(Ok(())) => None,
            Ok(Err(PullError::Store(error))) => return Err(error),
            Ok(Err(error)) => {
                debug!(source = source.name(), %error, "the provider could not be asked");
                Some(reason_of(&error))
            }
            Err(_) => Some(Reason::ApiUnavailable),
        };
        Ok(checks)
    }

    async fn ask_everything(
        &self,
        source: &Source,
        client: &ApiClient,
        last: &Checks,
        checks: &mut Checks,
    ) -> Result<(), PullError> {
        let api = client.api();
        instance::check(client, api.directory.as_ref(), &self.puller.writer.store, source.name()).await?;
        let newest = match api.watch.newest() {
            Some(request) => {
                let answer = client.send(&request).await?;
                let newest = api.watch.read_newest(&answer)?;
                let now = answer.date.unwrap_or(self.puller.clock.now());
                checks.missing = Some(self.without_row(source, client, &newest, now).await?);
                newest
            }
            None => Newest::default(),
        };
        let total = match (newest.total, api.directory.count()) {
            (None, Some(request)) => api.directory.read_count(&client.send(&request).await?),
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
            checks.endpoint = self.endpoint_flaws(source, client, api).await?;
        }
        Ok(())
    }

    /// How many of the newest users have no row, though one is due, and were not deleted either.
    async fn without_row(
        &self,
        source: &Source,
        client: &ApiClient,
        newest: &Newest,
        now: Timestamp,
    ) -> Result<u64, PullError> {
        let api = client.api();
        let due = now.minus(api.watch.row_is_due_after());
        let listed = newest.users.iter().map(|user| source.listed(user.clone(), now));
        let created: Vec<(UserKey, Timestamp)> = listed
            .filter_map(|delivery| {
                let change = delivery.change()?;
                Some((change.user.clone(), change.lifetime()?))
            })
            .filter(|(_, created_at)| *created_at < due)
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
        // An index that lags behind may still list somebody who is gone.
        let mut gone = Vec::new();
        for user in missing.iter().take(CONFIRMED) {
            let Some(request) = api.directory.lookup(&user.external_id) else { continue };
            let answer = client.ask(&request).await?;
            if api.directory.read_lookup(&answer) == Presence::Gone {
                gone.push(*user);
            }
        }
        missing.retain(|user| !gone.contains(user));
        Ok(missing.len() as u64)
    }

    /// How many users more the provider has than there are rows, but for those who may just be signing up or leaving.
    async fn difference(&self, source: &Source, total: u64) -> Result<i64, StoreError> {
        let since = self.puller.clock.now().minus(YOUNG);
        let (rows, young) = self.puller.writer.store.users().count(source.name(), since).await?;
        Ok(difference(total, rows, young))
    }

    /// What is wrong with the webhook's endpoints. What the credentials may not read is not told.
    async fn endpoint_flaws(
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
        let mut flaws = endpoint_flaws(&endpoints, &path);
        let since = self.puller.clock.now().minus(FAILED_WITHIN);
        let asked = endpoints.iter().filter(|endpoint| endpoint.is_enabled && endpoint.is_at(&path));
        for endpoint in asked.take(ENDPOINTS_ASKED) {
            if has_failed(client, api, endpoint, since).await? {
                flaws.push(Reason::DeliveriesFailed);
                break;
            }
        }
        Ok(flaws)
    }
}

async fn has_failed(
    client: &ApiClient,
    api: &Api,
    endpoint: &Endpoint,
    since: Timestamp,
) -> Result<bool, PullError> {
    let Some(request) = api.watch.failed_deliveries(endpoint, since) else { return Ok(false) };
    match client.send(&request).await {
        Ok(answer) => Ok(api.watch.has_failed_deliveries(&answer)),
        Err(ApiError::Forbidden { .. } | ApiError::Answered { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The difference between the provider's number of users and the rows, of which so many are young.
fn difference(total: u64, rows: u64, young: u64) -> i64 {
    if total.abs_diff(rows) <= young {
        return 0;
    }
    i64::try_from(i128::from(total) - i128::from(rows)).unwrap_or(i64::MAX)
}

/// Why the provider could not be asked.
pub(super) fn reason_of(error: &PullError) -> Reason {
    match error {
        PullError::WrongInstance(_) => Reason::WrongInstance,
        PullError::Api(error) => reason_of_api(error),
        PullError::List(_) | PullError::NotWhole(_) | PullError::File(_) => Reason::UnexpectedAnswer,
        PullError::NoApi(_) | PullError::Held { .. } | PullError::Store(_) | PullError::Interrupted => {
            Reason::ApiUnavailable
        }
    }
}

/// Why a request did not get its answer.
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
        for (total, rows, young, expected) in [
            (100, 100, 0, 0),
            (103, 100, 3, 0),
            (103, 100, 2, 3),
            (97, 100, 3, 0),
            (90, 100, 3, -10),
            (0, 7, 0, -7),
        ] {
            assert_eq!(difference(total, rows, young), expected, "{total} {rows} {young}");
        }
    }
}
