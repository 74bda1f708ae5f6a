//! A rule's keys: written in the configuration, or fetched from the provider and kept.
//!
//! Every rule has keys of its own, so that a `kid` of one issuer never stands for another's.

mod cache;
mod fetch;
mod jwks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::cache::Cache;
pub(super) use self::fetch::Clients;
pub use self::fetch::FetchError;
use self::fetch::Location;
pub(super) use self::jwks::KeySet;
use super::SetupError;
use super::error::TokenError;
use crate::clock::Clock;
use crate::config::{JwksLocation, RuleKind, TokenRule, Tokens};

/// How often keys were fetched since the start, over all rules.
#[derive(Debug, Default)]
pub struct KeyFetches {
    ok: AtomicU64,
    failed: AtomicU64,
}

impl KeyFetches {
    /// Fetches that gave a key set.
    pub fn ok(&self) -> u64 {
        self.ok.load(Ordering::Relaxed)
    }

    /// Fetches that gave none.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn count(&self, is_ok: bool) {
        let counter = if is_ok { &self.ok } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the key caches of all rules share: the way out, not the keys.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) clients: Clients,
    pub(super) settings: Tokens,
    pub(super) clock: Clock,
    pub(super) fetches: Arc<KeyFetches>,
}

/// The keys of one rule.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    /// Written in the configuration: they change with it only.
    Fixed(Arc<KeySet>),
    /// The provider's, which rotates them.
    Fetched(Arc<Cache>),
}

impl Keys {
    pub(super) fn new(
        source: &str,
        rule: &TokenRule,
        surroundings: &Surroundings,
    ) -> Result<Self, SetupError> {
        let location = match &rule.kind {
            RuleKind::Oidc { domain, .. } => Location::Discovery(domain.clone()),
            RuleKind::CustomJwt { jwks: JwksLocation::Url(url), .. } => Location::Jwks(url.clone()),
            RuleKind::CustomJwt { jwks: JwksLocation::Inline(json), .. } => {
                let keys = serde_json::from_str(json).ok().and_then(|jwks| KeySet::from_json(&jwks));
                let keys = keys.ok_or_else(|| SetupError::InlineKeys { source_name: source.to_owned() })?;
                return Ok(Self::Fixed(Arc::new(keys)));
            }
        };
        Ok(Self::Fetched(Arc::new(Cache::new(source, location, surroundings))))
    }

    /// The keys as known now; fetched first if there are none, or none young enough.
    pub(super) async fn current(&self) -> Result<Arc<KeySet>, TokenError> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Fetched(cache) => cache.current().await,
        }
    }

    /// The keys after a token named an unknown one: newer ones, if they may be asked for.
    pub(super) async fn after_unknown_kid(&self) -> Result<Arc<KeySet>, TokenError> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Fetched(cache) => cache.after_unknown_kid().await,
        }
    }
}
