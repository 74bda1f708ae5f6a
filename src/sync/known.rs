//! Users as they were read a moment ago.
//!
//! A user is asked for far more often than it changes. What was read is shown again for a second at most, and
//! not at all after the user changed here, or another replica was heard to change it: each reading remembers
//! how often its user had been woken before it, and counts for nothing once that number has moved on. The
//! second bounds what nobody told us.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::future::Cache;

use super::feed::Feed;
use crate::domain::{Timestamp, User, UserKey};
use crate::store::{Store, StoreError};

/// How long a reading may be shown again.
const LONGEST: Duration = Duration::from_secs(1);
/// How many users are remembered.
const CAPACITY: u64 = 20_000;

/// Reads users, and remembers them for a moment.
#[derive(Clone, Debug)]
pub struct KnownUsers {
    store: Store,
    feed: Feed,
    recent: Cache<UserKey, Kept>,
}

/// A failure is kept for those alone who shared it.
type Kept = Result<Arc<Reading>, StoreError>;

/// What was read of a user.
#[derive(Debug)]
struct Reading {
    found: Found,
    began_at: Instant,
    fingerprint: i64,
    /// How often the user had been woken before.
    wakes: u64,
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
    /// Users of this database, whose changes are heard by this feed.
    pub fn new(store: Store, feed: Feed) -> Self {
        let recent = Cache::builder().max_capacity(CAPACITY).time_to_live(LONGEST).build();
        Self { store, feed, recent }
    }

    /// What is known of a user, at most a moment old.
    ///
    /// Those who ask together share one reading: thousands of streams of one user are woken at once.
    pub async fn get(&self, key: &UserKey) -> Result<Found, StoreError> {
        loop {
            if let Some(Ok(reading)) = self.recent.get(key).await
                && self.still_counts(&reading)
            {
                return Ok(reading.found.clone());
            }
            let is_past = |kept: &Kept| !kept.as_ref().is_ok_and(|kept| self.still_counts(kept));
            let entry = self.recent.entry_by_ref(key).or_insert_with_if(self.read(key), is_past).await;
            let is_own = entry.is_fresh();
            let reading = entry.into_value()?;
            // Another's may have begun before the change that this one was woken for.
            if is_own || self.still_counts(&reading) {
                return Ok(reading.found.clone());
            }
        }
    }

    async fn read(&self, key: &UserKey) -> Kept {
        let began_at = Instant::now();
        let fingerprint = key.fingerprint();
        // Before the reading: a change during it makes it count for nothing.
        let wakes = self.feed.wakes(fingerprint);
        let found = match self.store.users().get(key).await? {
            Some((user, deleted_at)) => {
                Found::Living(Arc::new(Known { user, deleted_at, shown: OnceLock::new() }))
            }
            // Only after the row: a deletion between the two then shows as one, and never as a user who was not
            // there yet.
            None => Found::Nobody(self.store.users().deleted_at(key).await?),
        };
        Ok(Arc::new(Reading { found, began_at, fingerprint, wakes }))
    }

    fn still_counts(&self, reading: &Reading) -> bool {
        self.feed.wakes(reading.fingerprint) == reading.wakes && reading.began_at.elapsed() < LONGEST
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
