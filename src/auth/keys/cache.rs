//! One rule's fetched keys, and when they are fetched again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Surroundings;
use super::fetch::{FetchError, Location, fetch};
use super::jwks::KeySet;
use crate::auth::error::TokenError;
use crate::config::Tokens;
use crate::domain::Timestamp;

/// While no key was ever had, a failure is repeated to all who ask within this time (or the cool-down, if
/// shorter): a provider that hangs must not make every request wait for it, but one that came back is found
/// soon.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The last good keys of one rule; a failed fetch keeps them.
#[derive(Debug)]
pub(in crate::auth) struct Cache {
    source: String,
    location: Location,
    surroundings: Surroundings,
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
    flight: Option<Flight>,
}

#[derive(Debug)]
struct Good {
    keys: Arc<KeySet>,
    /// When they were asked for: a key that left the set since then may still be among them.
    as_of: Timestamp,
}

#[derive(Debug)]
struct Failure {
    at: Timestamp,
    why: FetchError,
}

type Flight = watch::Receiver<()>;

/// Whether the keys should be fetched again.
#[derive(Debug, PartialEq)]
enum Need {
    /// They are young, or the last attempt failed just now.
    No,
    /// They are still good: fetch without making anyone wait.
    Soon,
    /// There are none, or they are too old to be trusted unasked.
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
        // A provider that was away a moment ago is asked again, but nobody waits for it meanwhile.
        if failed_within(cooldown.saturating_mul(2)) || !has_passed(ttl, good.as_of, now) {
            return Need::Soon;
        }
        Need::Now
    }

    fn in_flight(&self) -> Option<Flight> {
        self.flight.clone().filter(|flight| flight.has_changed().is_ok())
    }
}

/// A clock that was set back makes waiting pointless: then the time counts as passed.
fn has_passed(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    since.plus(time) <= now || now < since
}

impl Cache {
    pub(super) fn new(source: &str, location: Location, surroundings: &Surroundings) -> Self {
        let (source, surroundings) = (source.to_owned(), surroundings.clone());
        Self { source, location, surroundings, state: Mutex::default() }
    }

    /// The last good keys, at most `jwks_ttl` old unless the provider is away.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<KeySet>, TokenError> {
        let flight = {
            let mut state = self.state();
            match state.need(self.surroundings.clock.now(), &self.surroundings.settings) {
                Need::No => None,
                Need::Soon => {
                    self.board(&mut state);
                    None
                }
                Need::Now => Some(self.board(&mut state)),
            }
        };
        landing(flight).await;
        self.last_good()
    }

    /// The keys after a token named an unknown one: those of the fetch under way, else of a new one, which
    /// unknown kids cause once per cool-down at most.
    pub(super) async fn after_unknown_kid(self: &Arc<Self>) -> Result<Arc<KeySet>, TokenError> {
        let flight = {
            let mut state = self.state();
            let now = self.surroundings.clock.now();
            let cooldown = self.surroundings.settings.jwks_cooldown;
            let may_ask = state.unknown_kid_at.is_none_or(|at| has_passed(cooldown, at, now));
            match state.in_flight() {
                None if may_ask => {
                    state.unknown_kid_at = Some(now);
                    Some(self.board(&mut state))
                }
                under_way => under_way,
            }
        };
        landing(flight).await;
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

    /// The fetch under way, or a new one: there is never more than one.
    ///
    /// It is a task of its own, so that it lives on when the request that caused it is given up.
    fn board(self: &Arc<Self>, state: &mut State) -> Flight {
        if let Some(flight) = state.in_flight() {
            return flight;
        }
        let (landed, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        let cache = Arc::clone(self);
        tokio::spawn(async move {
            cache.fetch().await;
            drop(landed);
        });
        flight
    }

    async fn fetch(&self) {
        let Surroundings { clients, settings, clock, fetches } = &self.surroundings;
        let as_of = clock.now();
        let result = fetch(clients, settings, &self.location).await;
        let at = clock.now();
        fetches.count(result.is_ok());
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
        // Nothing is left half-written under the lock, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of a fetch, if there is one to wait for.
async fn landing(flight: Option<Flight>) {
    if let Some(mut flight) = flight {
        while flight.changed().await.is_ok() {}
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
    fn keys_are_fetched_early_and_failures_are_not_hammered() {
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
