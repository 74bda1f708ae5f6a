//! A cache of users, each kept for a second at most.
//!
//! A user is requested far more often than it changes. A cached read is used again for a second at most, and not after
//! the user changed here or another replica notified us of a change: each read stores the user's change count, and is
//! invalid when that count has increased. The limit of one second covers lost notifications.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::feed::Feed;
use super::user_loader::UserLoader;
use crate::domain::{Profile, Timestamp, User, UserKey};
use crate::jobs::Jobs;
use crate::store::{Store, StoreError, UserLookup};

/// How long a read may be used.
const TIME_TO_LIVE: Duration = Duration::from_secs(1);
/// How long to wait for another caller's read of the same user.
const SHARED_READ_TIMEOUT: Duration = Duration::from_secs(5);
/// What the users that are kept may weigh in all, in bytes; an estimate.
const CAPACITY: u64 = 16 << 20;
/// What a user weighs beside its texts.
const ENTRY_OVERHEAD: usize = 1024;
/// How many users are expected within that.
const EXPECTED_USERS: usize = 10_000;

/// Reads users, and keeps them for a second at most.
#[derive(Clone, Debug)]
pub struct UserCache {
    loader: UserLoader,
    feed: Feed,
    recent: Arc<Cache<UserKey, Arc<CachedRead>, Weight>>,
}

/// What was read of a user, and when.
#[derive(Debug)]
struct CachedRead {
    found: Result<CachedLookup, StoreError>,
    began_at: Instant,
    ended_at: Instant,
    fingerprint: i64,
    /// How often the user may have changed before it was read.
    changes: u64,
    /// Of the texts that are kept, in bytes.
    size: usize,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<UserKey, Arc<CachedRead>> for Weight {
    fn weight(&self, _: &UserKey, read: &Arc<CachedRead>) -> u64 {
        u64::try_from(read.size + ENTRY_OVERHEAD).unwrap_or(u64::MAX)
    }
}

/// The row or tombstone of a user.
#[derive(Clone, Debug)]
pub enum CachedLookup {
    /// It has a row.
    Row(Arc<CachedUser>),
    /// It has no row; when it was deleted, if it was.
    NoRow(Option<Timestamp>),
}

/// A user with a row, as it was read.
#[derive(Debug)]
pub struct CachedUser {
    /// The highest stamp of an earlier lifetime's deletion.
    pub deleted_at: Option<Timestamp>,
    user: User,
    shown: OnceLock<Bytes>,
}

impl UserCache {
    /// A cache of this database's users; the feed reports their changes. Must be called within a tokio runtime, which
    /// reads them.
    pub fn new(jobs: &Jobs, store: &Store, feed: Feed) -> Self {
        let recent = Cache::with_weighter(EXPECTED_USERS, CAPACITY, Weight);
        Self { loader: UserLoader::start(jobs, store), feed, recent: Arc::new(recent) }
    }

    /// The row or tombstone of a user, a second old at most.
    ///
    /// Concurrent callers share one read: thousands of streams of one user are notified at once.
    pub async fn get(&self, key: &UserKey) -> Result<CachedLookup, StoreError> {
        let asked_at = Instant::now();
        if let Some(read) = self.recent.get(key)
            && self.is_valid(&read, asked_at)
        {
            return read.found.clone();
        }
        let look = |_: &UserKey, read: &mut Arc<CachedRead>| {
            if self.is_valid(read, asked_at) {
                EntryAction::Retain(Arc::clone(read))
            } else {
                EntryAction::ReplaceWithGuard
            }
        };
        let waiting = tokio::time::timeout(SHARED_READ_TIMEOUT, self.recent.entry_async(key, look));
        let late = |_| StoreError::unavailable("another request's read of the same user did not end in time");
        let place = match waiting.await.map_err(late)? {
            EntryResult::Retained(read) => return read.found.clone(),
            EntryResult::Vacant(place) | EntryResult::Replaced(place, _) => Some(place),
            // `look` requests neither of these.
            EntryResult::Removed(..) | EntryResult::Timeout => None,
        };
        let read = Arc::new(self.read(key).await);
        if let Some(place) = place {
            // Where its place was taken meanwhile it is not kept.
            drop(place.insert(Arc::clone(&read)));
        }
        read.found.clone()
    }

    async fn read(&self, key: &UserKey) -> CachedRead {
        let began_at = Instant::now();
        let fingerprint = key.fingerprint();
        // Counted before the read: a change during the read makes it invalid.
        let changes = self.feed.changes(fingerprint);
        let found = self.loader.look_up(key).await.map(|UserLookup { user, deleted_at }| match user {
            Some(user) => {
                CachedLookup::Row(Arc::new(CachedUser { user, deleted_at, shown: OnceLock::new() }))
            }
            None => CachedLookup::NoRow(deleted_at),
        });
        let size = if let Ok(CachedLookup::Row(cached)) = &found { size_of_texts(&cached.user) } else { 0 };
        CachedRead { found, began_at, ended_at: Instant::now(), fingerprint, changes, size }
    }

    /// A failure, or that there is no row, is valid only for callers that came before it was known: a later caller may
    /// already know that the row exists.
    fn is_valid(&self, read: &CachedRead, asked_at: Instant) -> bool {
        let is_shared = asked_at <= read.ended_at;
        let is_current = || self.feed.changes(read.fingerprint) == read.changes;
        match read.found {
            Err(_) => is_shared,
            Ok(CachedLookup::NoRow(_)) => is_shared && is_current(),
            Ok(CachedLookup::Row(_)) => asked_at.duration_since(read.began_at) < TIME_TO_LIVE && is_current(),
        }
    }
}

/// The user's texts, twice: as they are, and in the answer that is made of them.
fn size_of_texts(User { key, profile, .. }: &User) -> usize {
    let Profile {
        name, given_name, family_name, nickname, email, phone_number, picture_url, metadata, ..
    } = profile;
    let texts = [name, given_name, family_name, nickname, email, phone_number, picture_url];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    // Each of its values is an allocation of its own.
    let metadata = metadata.as_ref().map_or(0, |metadata| 4 * metadata.to_string().len());
    2 * (key.external_id.len() + texts + metadata)
}

impl CachedUser {
    /// The user as the API shows it, computed once for each read.
    pub fn shown(&self, show: impl FnOnce(&User) -> Bytes) -> Bytes {
        self.shown.get_or_init(|| show(&self.user)).clone()
    }
}

impl Deref for CachedUser {
    type Target = User;

    fn deref(&self) -> &User {
        &self.user
    }
}
