//! A rule's keys: written in the configuration, or fetched from the provider and cached.
//!
//! Every rule has its own keys, so that a `kid` of one issuer is never taken for another's.

mod cache;
mod fetch;
mod jwks;

use std::sync::Arc;

use self::cache::Cache;
pub(super) use self::fetch::Fetcher;
use self::fetch::Location;
pub(super) use self::jwks::KeySet;
use super::error::{SetupError, TokenError};
use crate::config::{JwksLocation, RuleKind, TokenRule};
use crate::domain::Timestamp;

/// What is known of a rule's keys.
#[derive(Clone, Debug, Default)]
pub struct KeyState {
    /// How many there are; `None` if none were ever fetched.
    pub keys: Option<usize>,
    /// When they were fetched; `None` if they are in the configuration.
    pub fetched_at: Option<Timestamp>,
    /// When and why the last fetch failed.
    pub failure: Option<(Timestamp, String)>,
}

/// The keys of one rule.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    /// Written in the configuration: they never change.
    Fixed(Arc<KeySet>),
    /// The provider's, which rotates them.
    Fetched(Arc<Cache>),
}

impl Keys {
    pub(super) fn new(source: &str, rule: &TokenRule, fetcher: &Fetcher) -> Result<Self, SetupError> {
        let location = match &rule.kind {
            RuleKind::Oidc { domain, .. } => Location::Discovery(domain.clone()),
            RuleKind::CustomJwt { jwks: JwksLocation::Url(url), .. } => Location::Jwks(url.clone()),
            RuleKind::CustomJwt { jwks: JwksLocation::Inline(json), .. } => {
                let keys = serde_json::from_str(json).ok().and_then(|jwks| KeySet::from_json(&jwks));
                let keys = keys.ok_or_else(|| SetupError::InlineKeys { source_name: source.to_owned() })?;
                return Ok(Self::Fixed(Arc::new(keys)));
            }
        };
        Ok(Self::Fetched(Arc::new(Cache::new(source, location, fetcher))))
    }

    /// The keys as known now; fetched first if there are none, or if they are too old.
    pub(super) async fn current(&self) -> Result<Arc<KeySet>, TokenError> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Fetched(cache) => cache.current().await,
        }
    }

    /// What is known of the keys now. Nothing is fetched.
    pub(super) fn state(&self) -> KeyState {
        match self {
            Self::Fixed(keys) => KeyState { keys: Some(keys.len()), ..KeyState::default() },
            Self::Fetched(cache) => cache.key_state(),
        }
    }

    /// The keys after a token named an unknown one: fetched again, if the cool-down allows it.
    pub(super) async fn after_unknown_kid(&self) -> Result<Arc<KeySet>, TokenError> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Fetched(cache) => cache.after_unknown_kid().await,
        }
    }
}
