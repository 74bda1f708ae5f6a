//! Decides about tokens by the rules and keys of all sources.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::error::{SetupError, TokenError};
use super::jwt::{Authenticated, Candidate, Token};
use super::keys::{Fetcher, KeyState, Keys};
use super::rule::{Rule, algorithm_name, pick};
use super::token_cache::{CachedToken, TokenCache};
use crate::clock::Clock;
use crate::config::{TokenRule, Tokens};
use crate::domain::TokenKind;
use crate::jobs::Jobs;
use crate::telemetry::Metrics;

/// How often the background checks whether keys are due. The check itself costs nothing.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// How often expired tokens are removed from the cache.
const CLEANUP_INTERVAL: Duration = Duration::from_mins(1);

/// Decides about tokens by the configured rules.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Vec<Issuer>,
    cache: TokenCache,
    settings: Tokens,
    clock: Clock,
    jobs: Jobs,
}

/// A rule and its own keys.
#[derive(Debug)]
pub(super) struct Issuer {
    /// The rule's place among those of all sources, in configured order.
    pub(super) place: usize,
    rule: Rule,
    keys: Keys,
}

impl AsRef<Rule> for Issuer {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}

impl Authenticator {
    /// From the rules of all sources, each with its source's name, in configured order. Fetches nothing yet.
    pub fn new(
        rules: Vec<(String, TokenRule)>,
        settings: Tokens,
        clock: Clock,
        metrics: Metrics,
        jobs: Jobs,
    ) -> Result<Self, SetupError> {
        let fetcher = Fetcher::new(settings.clone(), clock.clone(), metrics, jobs.clone())?;
        let issuers = rules.into_iter().enumerate().map(|(place, (source, rule))| {
            let keys = Keys::new(&source, &rule, &fetcher)?;
            Ok(Issuer { place, rule: Rule::new(source, &rule), keys })
        });
        let issuers = issuers.collect::<Result<_, SetupError>>()?;
        Ok(Self { issuers, cache: TokenCache::new(), settings, clock, jobs })
    }

    /// Fetches every rule's keys in the background, now and before they are too old, so that no
    /// request waits for them, and removes expired tokens from the cache. Must be called within a tokio
    /// runtime.
    pub fn start(&self) {
        let pause_after_failure = self.settings.jwks_cooldown.max(REFRESH_INTERVAL);
        for keys in self.issuers.iter().map(|issuer| issuer.keys.clone()) {
            self.jobs
                .spawn_loop("key refresh", move || refresh_periodically(keys.clone(), pause_after_failure));
        }
        let (cache, clock, leeway) = (self.cache.clone(), self.clock.clone(), self.settings.leeway);
        self.jobs.spawn_loop("token cache cleanup", move || {
            remove_expired_periodically(cache.clone(), clock.clone(), leeway)
        });
    }

    /// What is known of a rule's keys, without a fetch. Rules are counted over all sources, in configured order.
    pub fn key_state(&self, rule: usize) -> Option<KeyState> {
        self.issuers.get(rule).map(|issuer| issuer.keys.state())
    }

    /// How many usable keys a rule has for each of its algorithms, fetched first if there are none. Rules
    /// are counted over all sources, in configured order; a rule that does not exist has no result.
    pub async fn usable_keys(&self, rule: usize) -> Result<Vec<(&'static str, usize)>, TokenError> {
        let Some(Issuer { rule, keys, .. }) = self.issuers.get(rule) else { return Ok(Vec::new()) };
        let keys = keys.current().await?;
        let of_each = rule.algorithms.iter().map(|one| (algorithm_name(*one), keys.count(*one)));
        Ok(of_each.collect())
    }

    /// The ids of the signing keys of the issuers of a source's rules, fetched first if there are none; `None` if not all
    /// of them are known, or if there is a rule of the type `customJwt`, whose keys need not be the provider's.
    pub async fn key_ids(&self, source: &str) -> Option<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for issuer in self.issuers.iter().filter(|issuer| issuer.rule.source == source) {
            if issuer.rule.kind == TokenKind::CustomJwt {
                return None;
            }
            ids.extend(issuer.keys.current().await.ok()?.ids().map(str::to_owned));
        }
        (!ids.is_empty()).then_some(ids)
    }

    /// The user that a token (without `Bearer `) identifies, or the first check that it failed.
    ///
    /// A token that passed is cached for as long as it would pass again.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Authenticated>, TokenError> {
        let fingerprint = TokenCache::fingerprint(token);
        if let Some(cached) = self.cache.get(&fingerprint)
            && cached.is_still_valid(self.clock.now(), self.settings.leeway).await
        {
            return Ok(Arc::clone(&cached.authenticated));
        }
        let parsed = Token::parse(token)?;
        let verified = self.verify(&parsed, self.issuer_of(&parsed)?).await?;
        let authenticated = Arc::clone(&verified.authenticated);
        self.cache.insert(fingerprint, token.len(), verified);
        Ok(authenticated)
    }

    /// The rule that decides about a token, with its keys.
    pub(super) fn issuer_of(&self, token: &Token) -> Result<&Issuer, TokenError> {
        pick(&self.issuers, token.unverified_claims())
    }

    /// Decides by the rule that was picked. If the token names an unknown key, it is checked a second time
    /// after the keys were fetched again.
    pub(super) async fn verify(&self, token: &Token<'_>, issuer: &Issuer) -> Result<CachedToken, TokenError> {
        let Issuer { rule, keys, .. } = issuer;
        let candidate = Candidate::new(token, rule)?;
        let verify = |keys: &_| candidate.verify(keys, self.clock.now(), self.settings.leeway);
        let mut current = keys.current().await?;
        let decided = match verify(&current) {
            Err(TokenError::UnknownKey { .. }) => {
                current = keys.after_unknown_kid().await?;
                verify(&current)
            }
            decided => decided,
        };
        Ok(CachedToken { authenticated: Arc::new(decided?), keys: keys.clone(), checked_with: current })
    }

    #[cfg(test)]
    pub(super) fn cache(&self) -> &TokenCache {
        &self.cache
    }
}

async fn refresh_periodically(keys: Keys, pause_after_failure: Duration) {
    loop {
        // A failure is logged and counted where it happens. Requests may fetch again sooner.
        let is_fetched = keys.current().await.is_ok();
        let pause = if is_fetched { REFRESH_INTERVAL } else { pause_after_failure };
        tokio::time::sleep(pause).await;
    }
}

async fn remove_expired_periodically(cache: TokenCache, clock: Clock, leeway: Duration) {
    loop {
        tokio::time::sleep(CLEANUP_INTERVAL).await;
        cache.remove_expired(clock.now(), leeway);
    }
}
