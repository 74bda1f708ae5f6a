//! Records when service keys were last used. Requests neither wait for it nor fail because of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::domain::Timestamp;
use crate::jobs::Jobs;
use crate::store::Store;

/// The use of one key is recorded at most once in this time.
const INTERVAL: Duration = Duration::from_mins(1);

/// When this replica last recorded the use of each key, by the hash of the key.
#[derive(Clone, Debug)]
pub struct KeyUse {
    jobs: Jobs,
    recorded: Arc<Mutex<HashMap<String, Timestamp>>>,
}

impl KeyUse {
    /// Has recorded nothing yet. The jobs do the writing.
    pub fn new(jobs: Jobs) -> Self {
        Self { jobs, recorded: Arc::default() }
    }

    /// Records that the key with this hash is used now.
    pub(super) fn record(&self, store: &Store, hash: String, now: Timestamp) {
        if !self.is_due(&hash, now) {
            return;
        }
        let store = store.clone();
        self.jobs.spawn_task(async move {
            if let Err(error) = store.api_keys().record_use(&hash, now, now.minus(INTERVAL)).await {
                warn!(%error, "could not record when a service key was last used");
            }
        });
    }

    fn is_due(&self, hash: &str, now: Timestamp) -> bool {
        // Nothing is left half-written under the lock, so a panic elsewhere does no harm.
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.get(hash).is_some_and(|last| now.since(*last) < INTERVAL) {
            return false;
        }
        recorded.insert(hash.to_owned(), now);
        true
    }
}
