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
use moka::sync::Cache;

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
    recent: Cache<UserKey, Arc<Known>>,
}

/// A living user as it was read.
#[derive(Debug)]
pub struct Known {
    /// The highest stamp of an earlier life's deletion.
    pub deleted_at: Option<Timestamp>,
    user: User,
    shown: OnceLock<Bytes>,
    read_at: Instant,
    fingerprint: i64,
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

impl KnownUsers {
    /// Users of this database, whose changes are heard by this feed.
    pub fn new(store: Store, feed: Feed) -> Self {
        let recent = Cache::builder().max_capacity(CAPACITY).time_to_live(LONGEST).build();
        Self { store, feed, recent }
    }

    /// What is known of a user, at most a moment old.
    pub async fn get(&self, key: &UserKey) -> Result<Found, StoreError> {
        if let Some(known) = self.recent.get(key).filter(|known| self.still_counts(known)) {
            return Ok(Found::Living(known));
        }
        // Before the reading: a change during it makes it count for nothing.
        let fingerprint = key.fingerprint();
        let wakes = self.feed.wakes(fingerprint);
        let read_at = Instant::now();
        // The row first: a deletion between the two then shows as one, and never as a user who was not there
        // yet.
        let user = self.store.users().get(key).await?;
        let deleted_at = self.store.users().deleted_at(key).await?;
        let Some(user) = user else { return Ok(Found::Nobody(deleted_at)) };
        let known = Arc::new(Known { user, deleted_at, shown: OnceLock::new(), read_at, fingerprint, wakes });
        self.recent.insert(key.clone(), Arc::clone(&known));
        Ok(Found::Living(known))
    }

    fn still_counts(&self, known: &Known) -> bool {
        self.feed.wakes(known.fingerprint) == known.wakes && known.read_at.elapsed() < LONGEST
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
