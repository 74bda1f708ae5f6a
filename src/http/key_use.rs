//! When service keys were last used: noted beside the requests, which neither wait for it nor fail by it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::domain::Timestamp;
use crate::jobs::Jobs;
use crate::store::Store;

/// For each key it is noted this often at most.
const EVERY: Duration = Duration::from_mins(1);

/// What this replica has noted last, by the hash of the key: there are as many as there are keys.
#[derive(Clone, Debug)]
pub struct KeyUse {
    jobs: Jobs,
    noted: Arc<Mutex<HashMap<String, Timestamp>>>,
}

impl KeyUse {
    /// Notes nothing yet; what it notes is written by these jobs.
    pub fn new(jobs: Jobs) -> Self {
        Self { jobs, noted: Arc::default() }
    }

    /// Notes that the key with this hash is used now.
    pub(super) fn note(&self, store: &Store, hash: String, now: Timestamp) {
        if !self.is_due(&hash, now) {
            return;
        }
        let store = store.clone();
        self.jobs.spawn_task(async move {
            if let Err(error) = store.api_keys().record_use(&hash, now, now.minus(EVERY)).await {
                warn!(%error, "cannot note when a service key was last used");
            }
        });
    }

    fn is_due(&self, hash: &str, now: Timestamp) -> bool {
        // Nothing is left half-done under the lock, so a panic elsewhere does not spoil it.
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(hash).is_some_and(|last| now.since(*last) < EVERY) {
            return false;
        }
        noted.insert(hash.to_owned(), now);
        true
    }
}
