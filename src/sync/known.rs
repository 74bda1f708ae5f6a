//! Users as they were read a moment ago.
//!
//! A user is asked for far more often than it changes. What was read is shown again for a second at most, and
//! not at all after the user changed here, or another replica was heard to change it: each reading remembers
//! how often its user had changed before it, and counts for nothing once that number has moved on. The
//! second bounds what nobody told us.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::feed::Feed;
use super::readers::Readers;
use crate::domain::{Timestamp, User, UserKey};
use crate::store::{LookedUp, Store, StoreError};

/// How long a reading may be shown again.
const LONGEST: Duration = Duration::from_secs(1);
/// How long another's reading is waited for, or another's after one that was given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many users are remembered.
const CAPACITY: usize = 10_000;

/// Reads users, and remembers them for a moment.
#[derive(Clone, Debug)]
pub struct KnownUsers {
    readers: Readers,
    feed: Feed,
    recent: Arc<Cache<UserKey, Arc<Reading>>>,
}

/// What was read of a user.
#[derive(Debug)]
struct Reading {
    found: Result<Found, StoreError>,
    began_at: Instant,
    ended_at: Instant,
    fingerprint: i64,
    /// How often the user may have changed before.
    changes: u64,
}

/// What is known of a user.
#[derive(Clone, Debug)]
pub enum Found {
    /// It lives.
    Living(Arc<Known>),
    /// It has no row; when it was deleted, if it was.
    Nobody(Option<Timestamp>),
}

/// A living user as it was read.
#[derive(Debug)]
pub struct Known {
    /// The highest stamp of an earlier life's deletion.
    pub deleted_at: Option<Timestamp>,
    user: User,
    shown: OnceLock<Bytes>,
}

impl KnownUsers {
    /// Users of this database, whose changes are heard by this feed. Must be called within a tokio runtime, which
    /// reads them.
    pub fn new(store: &Store, feed: Feed) -> Self {
        Self { readers: Readers::start(store), feed, recent: Arc::new(Cache::new(CAPACITY)) }
    }

    /// What is known of a user, at most a moment old.
    ///
    /// Those who ask together share one reading: thousands of streams of one user are woken at once.
    pub async fn get(&self, key: &UserKey) -> Result<Found, StoreError> {
        let asked_at = Instant::now();
        if let Some(reading) = self.recent.get(key)
            && self.still_counts(&reading, asked_at)
        {
            return reading.found.clone();
        }
        let look = |_: &UserKey, reading: &mut Arc<Reading>| {
            if self.still_counts(reading, asked_at) {
                EntryAction::Retain(Arc::clone(reading))
            } else {
                EntryAction::ReplaceWithGuard
            }
        };
        let waiting = tokio::time::timeout(PATIENCE, self.recent.entry_async(key, look));
        let late = |_| StoreError::away("another's reading did not end in time");
        let place = match waiting.await.map_err(late)? {
            EntryResult::Retained(reading) => return reading.found.clone(),
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => Some(place),
            // Of those two `look` asks for nothing, and of the waiting no end.
            EntryResult::Removed(..) | EntryResult::Timeout => None,
        };
        let reading = Arc::new(self.read(key).await);
        if let Some(place) = place {
            // Where it has no place any more it is not remembered.
            drop(place.insert(Arc::clone(&reading)));
        }
        reading.found.clone()
    }

    async fn read(&self, key: &UserKey) -> Reading {
        let began_at = Instant::now();
        let fingerprint = key.fingerprint();
        // Before the reading: a change during it makes it count for nothing.
        let changes = self.feed.changes(fingerprint);
        let found = self.readers.look_up(key).await.map(|LookedUp { user, deleted_at }| match user {
            Some(user) => Found::Living(Arc::new(Known { user, deleted_at, shown: OnceLock::new() })),
            None => Found::Nobody(deleted_at),
        });
        Reading { found, began_at, ended_at: Instant::now(), fingerprint, changes }
    }

    /// A failure, and that there is nobody, counts for those alone who asked before it was known: who asks later may
    /// have heard of the row elsewhere.
    fn still_counts(&self, reading: &Reading, asked_at: Instant) -> bool {
        let is_shared = asked_at <= reading.ended_at;
        let is_current = || self.feed.changes(reading.fingerprint) == reading.changes;
        match reading.found {
            Err(_) => is_shared,
            Ok(Found::Nobody(_)) => is_shared && is_current(),
            Ok(Found::Living(_)) => asked_at.duration_since(reading.began_at) < LONGEST && is_current(),
        }
    }
}

impl Known {
    /// The user as it is shown, worked out once a reading.
    pub fn shown(&self, show: impl FnOnce(&User) -> Bytes) -> Bytes {
        self.shown.get_or_init(|| show(&self.user)).clone()
    }
}

impl Deref for Known {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}
