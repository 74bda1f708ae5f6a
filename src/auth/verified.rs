//! Tokens that passed every check, so that the next request with the same token need not check the signature
//! again.
//!
//! Kept by their SHA-256, within a bound, and never longer than what they were checked against: not past
//! `exp`, and only while the rule's keys are those of the check. A new key set makes every token of its rule
//! be checked anew, so that a key that left it takes its tokens along.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::Authenticated;
use super::keys::{KeySet, Keys};
use crate::domain::Timestamp;

/// About what the tokens kept may weigh in all, in bytes.
const CAPACITY: u64 = 32 << 20;
/// What an entry weighs beside its claims, which are about as long as the token.
const ENTRY: usize = 512;

/// How many are expected within that.
const USUAL: usize = 20_000;

type Fingerprint = [u8; 32];

/// The tokens that are known to be good.
#[derive(Clone, Debug)]
pub(super) struct VerifiedTokens(Arc<Cache<Fingerprint, Arc<Decided>, Weight>>);

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Fingerprint, Arc<Decided>> for Weight {
    fn weight(&self, _: &Fingerprint, decided: &Arc<Decided>) -> u64 {
        u64::try_from(decided.length + ENTRY).unwrap_or(u64::MAX)
    }
}

/// A token that passed every check.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) authenticated: Arc<Authenticated>,
    /// The keys of the rule that decided.
    pub(super) keys: Keys,
    /// What they were when the signature was checked.
    pub(super) checked_with: Arc<KeySet>,
    /// Of the token, in bytes.
    pub(super) length: usize,
}

impl VerifiedTokens {
    pub(super) fn new() -> Self {
        Self(Arc::new(Cache::with_weighter(USUAL, CAPACITY, Weight)))
    }

    /// By what a token is known; the token itself is not kept.
    pub(super) fn fingerprint(token: &str) -> Fingerprint {
        Sha256::digest(token).into()
    }

    pub(super) fn get(&self, token: &Fingerprint) -> Option<Arc<Decided>> {
        self.0.get(token)
    }

    pub(super) fn insert(&self, token: Fingerprint, decided: Decided) {
        self.0.insert(token, Arc::new(decided));
    }

    /// Lets go of those that are past `exp`, which nobody may ask about any more.
    pub(super) fn forget_expired(&self, now: Timestamp, leeway: Duration) {
        self.0.retain(|_, decided| now < decided.authenticated.expires_at.plus(leeway));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Decided {
    /// Whether the same checks would pass now: what is true of the claims stays true until `exp`, and the
    /// signature fits while the keys are those that it was checked with.
    pub(super) async fn is_still_good(&self, now: Timestamp, leeway: Duration) -> bool {
        let keys = self.keys.current().await;
        keys.is_ok_and(|keys| Arc::ptr_eq(&keys, &self.checked_with))
            && now < self.authenticated.expires_at.plus(leeway)
    }
}
