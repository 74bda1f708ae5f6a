//! One rule's fetched keys, and when they are fetched again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::KeyState;
use super::fetch::{Fetcher, Location};
use super::jwks::KeySet;
use crate::auth::error::{FetchError, TokenError};
use crate::config::Tokens;
use crate::domain::Timestamp;

/// While no key set was ever fetched, a failure is repeated to every request within this time (or within the cool-down,
/// if that is shorter): a provider that hangs must not delay every request, and a provider that works again is noticed
/// soon.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The last good keys of one rule; a failed fetch keeps them.
#[derive(Debug)]
pub(in crate::auth) struct Cache {
    source: String,
    location: Location,
    fetcher: Fetcher,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The keys of the last fetch that succeeded.
    fetched: Option<FetchedKeys>,
    /// How the last fetch failed; `None` if it succeeded.
    failure: Option<Failure>,
    /// When an unknown `kid` last caused a fetch.
    unknown_kid_at: Option<Timestamp>,
    /// The last fetch; it has ended when the sender is dropped, with or without success.
    fetch: Option<FetchInProgress>,
}

#[derive(Debug)]
struct FetchedKeys {
    keys: Arc<KeySet>,
    /// When the fetch began: a key that left the set since then may still be among them.
    as_of: Timestamp,
}

#[derive(Debug)]
struct Failure {
    at: Timestamp,
    why: FetchError,
}

type FetchInProgress = watch::Receiver<()>;

/// Whether the keys should be fetched again.
#[derive(Debug, PartialEq)]
enum Refresh {
    /// They are fresh, or the last attempt failed just now.
    NotNeeded,
    /// They are still good: fetch without making anyone wait.
    InBackground,
    /// There are none, or they are too old to be used before a new fetch was tried.
    Blocking,
}

impl State {
    fn refresh(&self, now: Timestamp, settings: &Tokens) -> Refresh {
        let failed_within =
            |time| self.failure.as_ref().is_some_and(|failure| !has_passed(time, failure.at, now));
        let (ttl, cooldown) = (settings.jwks_ttl, settings.jwks_cooldown);

        let Some(fetched) = &self.fetched else {
            return if failed_within(cooldown.min(FIRST_RETRY)) {
                Refresh::NotNeeded
            } else {
                Refresh::Blocking
            };
        };
        if failed_within(cooldown) || !has_passed(ttl.saturating_sub(ttl / 5), fetched.as_of, now) {
            return Refresh::NotNeeded;
        }
        // A provider that failed recently gets another request, but no request of a client waits for it.
        if failed_within(cooldown.saturating_mul(2)) || !has_passed(ttl, fetched.as_of, now) {
            return Refresh::InBackground;
        }
        Refresh::Blocking
    }

    fn fetch_in_progress(&self) -> Option<FetchInProgress> {
        self.fetch.clone().filter(|fetch| fetch.has_changed().is_ok())
    }
}

/// If the clock was set back, the time counts as passed: waiting for it could take forever.
fn has_passed(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    since.plus(time) <= now || now < since
}

impl Cache {
    pub(super) fn new(source: &str, location: Location, fetcher: &Fetcher) -> Self {
        let (source, fetcher) = (source.to_owned(), fetcher.clone());
        Self { source, location, fetcher, state: Mutex::default() }
    }

    /// The last good keys, at most `jwks_ttl` old unless the provider is unavailable.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<KeySet>, TokenError> {
        let fetch = {
            let mut state = self.state();
            match state.refresh(self.fetcher.clock.now(), &self.fetcher.settings) {
                Refresh::NotNeeded => None,
                Refresh::InBackground => {
                    self.join_or_start_fetch(&mut state);
                    None
                }
                Refresh::Blocking => Some(self.join_or_start_fetch(&mut state)),
            }
        };
        wait_for(fetch).await;
        self.last_good()
    }

    /// The keys after a token named an unknown one: those of the fetch in progress, or else of a new one,
    /// which unknown kids cause at most once per cool-down.
    pub(super) async fn after_unknown_kid(self: &Arc<Self>) -> Result<Arc<KeySet>, TokenError> {
        let fetch = {
            let mut state = self.state();
            let now = self.fetcher.clock.now();
            let cooldown = self.fetcher.settings.jwks_cooldown;
            let may_fetch = state.unknown_kid_at.is_none_or(|at| has_passed(cooldown, at, now));
            match state.fetch_in_progress() {
                None if may_fetch => {
                    state.unknown_kid_at = Some(now);
                    Some(self.join_or_start_fetch(&mut state))
                }
                in_progress => in_progress,
            }
        };
        wait_for(fetch).await;
        self.last_good()
    }

    pub(super) fn key_state(&self) -> KeyState {
        let state = self.state();
        KeyState {
            keys: state.fetched.as_ref().map(|fetched| fetched.keys.len()),
            fetched_at: state.fetched.as_ref().map(|fetched| fetched.as_of),
            failure: state.failure.as_ref().map(|failure| (failure.at, failure.why.to_string())),
        }
    }

    fn last_good(&self) -> Result<Arc<KeySet>, TokenError> {
        let state = self.state();
        let why = || state.failure.as_ref().map_or(FetchError::Interrupted, |failure| failure.why.clone());
        state
            .fetched
            .as_ref()
            .map(|fetched| Arc::clone(&fetched.keys))
            .ok_or_else(|| TokenError::KeysUnavailable { why: why() })
    }

    /// The fetch in progress, or a new one: there is never more than one (single flight).
    ///
    /// It is a task of its own, so that it continues when the request that caused it is cancelled.
    fn join_or_start_fetch(self: &Arc<Self>, state: &mut State) -> FetchInProgress {
        if let Some(fetch) = state.fetch_in_progress() {
            return fetch;
        }
        let (done, fetch) = watch::channel(());
        state.fetch = Some(fetch.clone());
        let (cache, end) = (Arc::clone(self), self.fetcher.jobs.ending());
        self.fetcher.jobs.spawn_once("key fetch", async move {
            end.run_until_cancelled(cache.fetch()).await;
            drop(done);
        });
        fetch
    }

    async fn fetch(&self) {
        let Fetcher { clock, metrics, .. } = &self.fetcher;
        let as_of = clock.now();
        let result = self.fetcher.fetch(&self.location).await;
        let at = clock.now();
        metrics.keys_fetched(result.is_ok());
        self.log(&result, at.as_micros() - as_of.as_micros());

        let mut state = self.state();
        match result {
            Ok(keys) => {
                state.fetched = Some(FetchedKeys { keys: Arc::new(keys), as_of });
                state.failure = None;
            }
            Err(why) => state.failure = Some(Failure { at, why }),
        }
    }

    fn log(&self, result: &Result<KeySet, FetchError>, micros: i64) {
        let (source, host, ms) = (self.source.as_str(), self.location.host(), micros / 1000);
        match result {
            Ok(keys) => tracing::info!(source, host, ms, keys = keys.len(), "fetched keys"),
            Err(error) => tracing::warn!(source, host, ms, %error, "could not fetch keys"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-written under the lock, so a panic elsewhere does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of a fetch, if there is one to wait for.
async fn wait_for(fetch: Option<FetchInProgress>) {
    if let Some(mut fetch) = fetch {
        while fetch.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{FIRST_RETRY, Failure, FetchError, FetchedKeys, Refresh, State};
    use crate::auth::testing::settings;
    use crate::domain::Timestamp;

    /// When keys are needed: with good keys and a failure, each of this age in seconds.
    #[test]
    fn keys_are_fetched_early_and_failures_are_not_retried_at_once() {
        let (ttl, cooldown) = (600, 30);
        let settings = settings();
        assert_eq!(
            (settings.jwks_ttl, settings.jwks_cooldown),
            (Duration::from_secs(ttl), Duration::from_secs(cooldown))
        );
        assert_eq!(FIRST_RETRY.as_secs(), 1);
        for (good, failure, expected) in [
            (None, None, Refresh::Blocking),
            (None, Some(0), Refresh::NotNeeded),
            (None, Some(1), Refresh::Blocking),
            (Some(0), None, Refresh::NotNeeded),
            (Some(479), None, Refresh::NotNeeded),
            (Some(480), None, Refresh::InBackground),
            (Some(599), None, Refresh::InBackground),
            (Some(600), None, Refresh::Blocking),
            (Some(-1), None, Refresh::Blocking),
            (Some(480), Some(29), Refresh::NotNeeded),
            (Some(480), Some(30), Refresh::InBackground),
            (Some(9_999), Some(29), Refresh::NotNeeded),
            (Some(9_999), Some(30), Refresh::InBackground),
            (Some(9_999), Some(60), Refresh::Blocking),
        ] {
            let now = Timestamp::from_seconds(1_767_268_800);
            let ago = |seconds: i64| Timestamp::from_seconds(now.as_seconds() - seconds);
            let state = State {
                fetched: good.map(|age| FetchedKeys { keys: Arc::default(), as_of: ago(age) }),
                failure: failure.map(|age| Failure { at: ago(age), why: FetchError::NotJson }),
                ..State::default()
            };
            assert_eq!(state.refresh(now, &settings), expected, "good {good:?}, failure {failure:?}");
        }
    }
}
