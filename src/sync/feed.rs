//! Waking those who wait for a user. It only wakes: who is woken reads again, so a wake too many does no
//! harm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::domain::UserKey;
use crate::store::{Store, StoreError};

/// How long to wait before listening again to a database that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// Users share a count of changes with those whose fingerprints are alike in this many ways: a change too many
/// does no harm.
const COUNTS: usize = 4096;

/// Who waits for whom, and how often each may have changed. A waiter costs some bytes and no connection.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiters: Mutex<HashMap<i64, watch::Sender<()>>>,
    counts: Vec<AtomicU64>,
}

impl Default for Feed {
    fn default() -> Self {
        let counts = (0..COUNTS).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { waiters: Mutex::default(), counts }))
    }
}

/// A wait for one user's changes.
#[derive(Debug)]
pub struct Subscription {
    feed: Feed,
    fingerprint: i64,
    woken: watch::Receiver<()>,
}

impl Feed {
    /// Begins to wait: from now on no change is missed, however late it is asked for.
    pub fn subscribe(&self, user: &UserKey) -> Subscription {
        let fingerprint = user.fingerprint();
        let woken = self.waiters().entry(fingerprint).or_insert_with(|| watch::channel(()).0).subscribe();
        Subscription { feed: self.clone(), fingerprint, woken }
    }

    /// How often the user with this fingerprint may have changed: a number that moves on with each time.
    pub(super) fn changes(&self, fingerprint: i64) -> u64 {
        self.count(fingerprint).load(Ordering::Acquire)
    }

    /// What was read of these users until now counts for nothing.
    pub(super) fn outdate(&self, fingerprints: impl IntoIterator<Item = i64>) {
        for fingerprint in fingerprints {
            self.count(fingerprint).fetch_add(1, Ordering::Release);
        }
    }

    /// Wakes whoever waits for these users, which have been outdated.
    pub(super) fn rouse(&self, fingerprints: impl IntoIterator<Item = i64>) {
        let waiters = self.waiters();
        for waiter in fingerprints.into_iter().filter_map(|fingerprint| waiters.get(&fingerprint)) {
            waiter.send_replace(());
        }
    }

    /// Both at once.
    pub(super) fn wake(&self, fingerprints: &[i64]) {
        self.outdate(fingerprints.iter().copied());
        self.rouse(fingerprints.iter().copied());
    }

    fn wake_all(&self) {
        for count in &self.0.counts {
            count.fetch_add(1, Ordering::Release);
        }
        for waiter in self.waiters().values() {
            waiter.send_replace(());
        }
    }

    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        reason = "any of its bits will do, and the remainder is below the length"
    )]
    fn count(&self, fingerprint: i64) -> &AtomicU64 {
        &self.0.counts[fingerprint as usize % COUNTS]
    }

    fn waiters(&self) -> MutexGuard<'_, HashMap<i64, watch::Sender<()>>> {
        // Nothing is left half-done under the lock, so a panic elsewhere does not spoil it.
        self.0.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Returns when the user may have changed since the last call, or since the subscription.
    pub async fn changed(&mut self) {
        if self.woken.changed().await.is_err() {
            // The feed is gone with the service, and nothing will change any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiters = self.feed.waiters();
        // This one still counts itself.
        if waiters.get(&self.fingerprint).is_some_and(|waiter| waiter.receiver_count() <= 1) {
            waiters.remove(&self.fingerprint);
        }
    }
}

/// Hears of other replicas' changes in the background; it ends when this is dropped.
#[derive(Debug)]
pub struct Ear(JoinHandle<()>);

impl Ear {
    /// Begins to listen, on PostgreSQL. Must be called within a tokio runtime.
    pub fn start(store: Store, feed: Feed) -> Self {
        Self(tokio::spawn(async move {
            while let Err(error) = listen(&store, &feed).await {
                warn!(%error, "cannot hear of other replicas' changes; tried again in a second");
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens until the database is away; returns at once where there is nobody to listen to.
async fn listen(store: &Store, feed: &Feed) -> Result<(), StoreError> {
    let Some(mut listener) = store.listen().await? else { return Ok(()) };
    info!("listening to other replicas");
    // What changed before somebody listened is known to nobody who waits.
    feed.wake_all();
    loop {
        feed.wake(&listener.next().await?);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Feed;
    use crate::domain::UserKey;

    async fn is_woken(subscription: &mut super::Subscription) -> bool {
        tokio::time::timeout(Duration::from_millis(10), subscription.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_waiter_hears_of_its_own_user_and_misses_nothing_meanwhile() {
        let feed = Feed::default();
        let (ada, grace) = (UserKey::new("clerk", "ada"), UserKey::new("clerk", "grace"));
        let mut waiting = feed.subscribe(&ada);
        feed.wake(&[grace.fingerprint()]);
        assert!(!is_woken(&mut waiting).await);
        feed.wake(&[ada.fingerprint()]);
        assert!(is_woken(&mut waiting).await, "the change came before it was asked for");
        assert!(!is_woken(&mut waiting).await);
        feed.wake_all();
        assert!(is_woken(&mut waiting).await);
    }

    #[tokio::test]
    async fn nothing_is_kept_of_those_who_left() {
        let feed = Feed::default();
        let ada = UserKey::new("clerk", "ada");
        let (one, two) = (feed.subscribe(&ada), feed.subscribe(&ada));
        drop(one);
        assert_eq!(feed.waiters().len(), 1);
        drop(two);
        assert_eq!(feed.waiters().len(), 0);
    }
}
