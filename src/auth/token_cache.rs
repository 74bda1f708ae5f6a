//! A cache of tokens that passed every check, so that the next request with the same token need not check
//! the signature again.
//!
//! The keys of the cache are SHA-256 digests, and its size is bounded. A token is never used from the cache longer than
//! what it was checked against: not past `exp`, and only while the rule has the same key set. A new key set makes every
//! token of its rule be checked again, so that the tokens of a removed key are refused.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::jwt::Authenticated;
use super::keys::{KeySet, Keys};
use crate::domain::Timestamp;

/// The total size limit of the entries, in bytes; an estimate.
const CAPACITY: u64 = 32 << 20;
/// What an entry weighs beside its claims, which are about as long as the token.
const ENTRY_OVERHEAD: usize = 512;
/// How many entries are expected within that.
const EXPECTED_ENTRIES: usize = 20_000;

type Fingerprint = [u8; 32];

/// The tokens that are known to be good.
#[derive(Clone, Debug)]
pub(super) struct TokenCache(Arc<Cache<Fingerprint, Entry, Weight>>);

#[derive(Clone, Debug)]
struct Entry {
    token: Arc<CachedToken>,
    /// Of the token, in bytes.
    length: usize,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Fingerprint, Entry> for Weight {
    fn weight(&self, _: &Fingerprint, entry: &Entry) -> u64 {
        u64::try_from(entry.length + ENTRY_OVERHEAD).unwrap_or(u64::MAX)
    }
}

/// A token that passed every check.
#[derive(Debug)]
pub(super) struct CachedToken {
    pub(super) authenticated: Arc<Authenticated>,
    /// The keys of the rule that decided.
    pub(super) keys: Keys,
    /// What they were when the signature was checked.
    pub(super) checked_with: Arc<KeySet>,
}

impl TokenCache {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::with_weighter(EXPECTED_ENTRIES, CAPACITY, Weight)))
    }

    /// What a token is found by; the token itself is not kept.
    pub(super) fn fingerprint(token: &str) -> Fingerprint {
        Sha256::digest(token).into()
    }

    pub(super) fn get(&self, token: &Fingerprint) -> Option<Arc<CachedToken>> {
        self.0.get(token).map(|entry| entry.token)
    }

    pub(super) fn insert(&self, fingerprint: Fingerprint, length: usize, token: CachedToken) {
        self.0.insert(fingerprint, Entry { token: Arc::new(token), length });
    }

    /// Removes those that are past `exp`: they are not used again.
    pub(super) fn remove_expired(&self, now: Timestamp, leeway: Duration) {
        self.0.retain(|_, entry| now < entry.token.authenticated.expires_at.plus(leeway));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl CachedToken {
    /// Whether the same checks would pass now: the claims stay good until `exp`, and the signature stays good
    /// while the key set is the one that it was checked with.
    pub(super) async fn is_still_valid(&self, now: Timestamp, leeway: Duration) -> bool {
        let keys = self.keys.current().await;
        keys.is_ok_and(|keys| Arc::ptr_eq(&keys, &self.checked_with))
            && now < self.authenticated.expires_at.plus(leeway)
    }
}
