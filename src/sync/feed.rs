//! Notifies the requests that wait for a user. A notification carries no data: its receiver reads the row again, so one
//! too many does no harm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::UserKey;

/// How many counts of changes there are. Users whose fingerprints have the same remainder share one: a needless
/// notification does no harm.
const COUNTS: usize = 4096;

/// Who waits for which user, and how often each user may have changed. A waiter costs some bytes and no connection.
#[derive(Clone, Debug)]
pub struct Feed(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    waiters: Mutex<HashMap<i64, watch::Sender<()>>>,
    /// For tasks that wait for a change of any user.
    any: watch::Sender<()>,
    counts: Vec<AtomicU64>,
}

impl Default for Feed {
    fn default() -> Self {
        let counts = (0..COUNTS).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { waiters: Mutex::default(), any: watch::channel(()).0, counts }))
    }
}

/// A wait for changes of one user.
#[derive(Debug)]
pub struct Subscription {
    feed: Feed,
    fingerprint: i64,
    notified: watch::Receiver<()>,
}

/// A wait for changes of any user.
#[derive(Debug)]
pub struct AnyChange {
    _feed: Feed,
    notified: watch::Receiver<()>,
}

impl AnyChange {
    /// Returns when some user may have changed since the last call, or since the subscription.
    pub async fn changed(&mut self) {
        // The feed that is kept here has the sender, so it does not end.
        self.notified.changed().await.unwrap_or_default();
    }
}

impl Feed {
    /// Starts to wait: from now on no change is missed.
    pub fn subscribe(&self, user: &UserKey) -> Subscription {
        let fingerprint = user.fingerprint();
        let notified = self.waiters().entry(fingerprint).or_insert_with(|| watch::channel(()).0).subscribe();
        Subscription { feed: self.clone(), fingerprint, notified }
    }

    /// Starts to wait for a change of any user.
    pub fn subscribe_to_all(&self) -> AnyChange {
        AnyChange { _feed: self.clone(), notified: self.0.any.subscribe() }
    }

    /// How often the user with this fingerprint may have changed: a number that grows with each change.
    pub(super) fn changes(&self, fingerprint: i64) -> u64 {
        self.count(fingerprint).load(Ordering::Acquire)
    }

    /// Makes everything that was read of these users until now invalid.
    pub(super) fn invalidate(&self, fingerprints: impl IntoIterator<Item = i64>) {
        for fingerprint in fingerprints {
            self.count(fingerprint).fetch_add(1, Ordering::Release);
        }
    }

    /// Notifies the requests that wait for these users. They must have been invalidated before.
    pub(super) fn notify(&self, fingerprints: impl IntoIterator<Item = i64>) {
        let waiters = self.waiters();
        for waiter in fingerprints.into_iter().filter_map(|fingerprint| waiters.get(&fingerprint)) {
            waiter.send_replace(());
        }
        self.0.any.send_replace(());
    }

    /// Invalidates and notifies.
    pub(crate) fn wake(&self, fingerprints: &[i64]) {
        self.invalidate(fingerprints.iter().copied());
        self.notify(fingerprints.iter().copied());
    }

    /// Invalidates and notifies all users' requests, after a time in which changes may have been missed.
    pub(crate) fn wake_all(&self) {
        for count in &self.0.counts {
            count.fetch_add(1, Ordering::Release);
        }
        for waiter in self.waiters().values() {
            waiter.send_replace(());
        }
        self.0.any.send_replace(());
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
        // Nothing is left half done under the lock, so a panic elsewhere does no harm.
        self.0.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Returns when the user may have changed since the last call, or since the subscription.
    pub async fn changed(&mut self) {
        if self.notified.changed().await.is_err() {
            // The feed ended with the service: nothing will change any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut waiters = self.feed.waiters();
        // This subscription is still counted.
        if waiters.get(&self.fingerprint).is_some_and(|waiter| waiter.receiver_count() <= 1) {
            waiters.remove(&self.fingerprint);
        }
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
    async fn a_subscriber_is_notified_of_its_own_user_and_misses_no_change() {
        let feed = Feed::default();
        let (ada, grace) = (UserKey::new("clerk", "ada"), UserKey::new("clerk", "grace"));
        let mut waiting = feed.subscribe(&ada);
        feed.wake(&[grace.fingerprint()]);
        assert!(!is_woken(&mut waiting).await);
        feed.wake(&[ada.fingerprint()]);
        assert!(is_woken(&mut waiting).await, "the change came before the wait began");
        assert!(!is_woken(&mut waiting).await);
        feed.wake_all();
        assert!(is_woken(&mut waiting).await);
    }

    #[tokio::test]
    async fn whoever_waits_for_anybody_hears_of_everybody() {
        let feed = Feed::default();
        let mut waiting = feed.subscribe_to_all();
        feed.wake(&[UserKey::new("clerk", "ada").fingerprint()]);
        waiting.changed().await;
        feed.wake_all();
        waiting.changed().await;
    }

    #[tokio::test]
    async fn dropped_subscriptions_are_removed() {
        let feed = Feed::default();
        let ada = UserKey::new("clerk", "ada");
        let (one, two) = (feed.subscribe(&ada), feed.subscribe(&ada));
        drop(one);
        assert_eq!(feed.waiters().len(), 1);
        drop(two);
        assert_eq!(feed.waiters().len(), 0);
    }
}
