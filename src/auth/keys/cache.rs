//! One rule's fetched keys, and when they are fetched again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::fetch::{Fetcher, Location};
use super::jwks::KeySet;
use crate::auth::error::{FetchError, TokenError};
use crate::config::Tokens;
use crate::domain::Timestamp;

/// While no key set was ever fetched, a failure is repeated to every request within this time (or within the
/// cool-down, if that is shorter): a provider that hangs must not make every request wait for it, and one
/// that is back is noticed soon.
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
    good: Option<Good>,
    /// How the last fetch failed; `None` if it succeeded.
    failure: Option<Failure>,
    /// When an unknown `kid` last caused a fetch.
    unknown_kid_at: Option<Timestamp>,
    /// The last fetch; it is over when the sender is gone, however it ended.
    fetch: Option<FetchInProgress>,
}

#[derive(Debug)]
struct Good {
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
enum Need {
    /// They are fresh, or the last attempt failed just now.
    No,
    /// They are still good: fetch without making anyone wait.
    Soon,
    /// There are none, or they are too old to be used before a new fetch was tried.
    Now,
}

impl State {
    fn need(&self, now: Timestamp, settings: &Tokens) -> Need {
        let failed_within =
            |time| self.failure.as_ref().is_some_and(|failure| !has_passed(time, failure.at, now));
        let (ttl, cooldown) = (settings.jwks_ttl, settings.jwks_cooldown);

        let Some(good) = &self.good else {
            return if failed_within(cooldown.min(FIRST_RETRY)) { Need::No } else { Need::Now };
        };
        if failed_within(cooldown) || !has_passed(ttl.saturating_sub(ttl / 5), good.as_of, now) {
            return Need::No;
        }
        // A provider that failed recently is asked again, but no request waits for it.
        if failed_within(cooldown.saturating_mul(2)) || !has_passed(ttl, good.as_of, now) {
            return Need::Soon;
        }
        Need::Now
    }

    fn fetch_in_progress(&self) -> Option<FetchInProgress> {
        self.fetch.clone().filter(|fetch| fetch.has_changed().is_ok())
    }
}

/// If the clock was set back, the time counts as passed: waiting for it could take for ever.
fn has_passed(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    since.plus(time) <= now || now < since
}

impl Cache {
    pub(super) fn new(source: &str, location: Location, fetcher: &Fetcher) -> Self {
        let (source, fetcher) = (source.to_owned(), fetcher.clone());
        Self { source, location, fetcher, state: Mutex::default() }
    }

    /// The last good keys, at most `jwks_ttl` old unless the provider is away.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<KeySet>, TokenError> {
        let fetch = {
            let mut state = self.state();
            match state.need(self.fetcher.clock.now(), &self.fetcher.settings) {
                Need::No => None,
                Need::Soon => {
                    self.join_or_start_fetch(&mut state);
                    None
                }
                Need::Now => Some(self.join_or_start_fetch(&mut state)),
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

    fn last_good(&self) -> Result<Arc<KeySet>, TokenError> {
        let state = self.state();
        let why = || state.failure.as_ref().map_or(FetchError::Interrupted, |failure| failure.why.clone());
        state
            .good
            .as_ref()
            .map(|good| Arc::clone(&good.keys))
            .ok_or_else(|| TokenError::KeysUnavailable { why: why() })
    }

    /// The fetch in progress, or a new one: there is never more than one (single flight).
    ///
    /// It is a task of its own, so that it goes on when the request that caused it is given up.
    fn join_or_start_fetch(self: &Arc<Self>, state: &mut State) -> FetchInProgress {
        if let Some(fetch) = state.fetch_in_progress() {
            return fetch;
        }
        let (done, fetch) = watch::channel(());
        state.fetch = Some(fetch.clone());
        let cache = Arc::clone(self);
        self.fetcher.jobs.spawn_worker("key fetch", |end| async move {
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
                state.good = Some(Good { keys: Arc::new(keys), as_of });
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

    use super::{FIRST_RETRY, Failure, FetchError, Good, Need, State};
    use crate::auth::testing::settings;
    use crate::domain::Timestamp;

    /// When keys are needed: with good keys and a failure so many seconds old.
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
            (None, None, Need::Now),
            (None, Some(0), Need::No),
            (None, Some(1), Need::Now),
            (Some(0), None, Need::No),
            (Some(479), None, Need::No),
            (Some(480), None, Need::Soon),
            (Some(599), None, Need::Soon),
            (Some(600), None, Need::Now),
            (Some(-1), None, Need::Now),
            (Some(480), Some(29), Need::No),
            (Some(480), Some(30), Need::Soon),
            (Some(9_999), Some(29), Need::No),
            (Some(9_999), Some(30), Need::Soon),
            (Some(9_999), Some(60), Need::Now),
        ] {
            let now = Timestamp::from_seconds(1_767_268_800);
            let ago = |seconds: i64| Timestamp::from_seconds(now.as_seconds() - seconds);
            let state = State {
                good: good.map(|age| Good { keys: Arc::default(), as_of: ago(age) }),
                failure: failure.map(|age| Failure { at: ago(age), why: FetchError::NotJson }),
                ..State::default()
            };
            assert_eq!(state.need(now, &settings), expected, "good {good:?}, failure {failure:?}");
        }
    }
}
