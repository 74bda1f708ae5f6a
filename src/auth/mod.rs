//! "Who is this token?": rules pick the issuer, its keys prove the signature, the claims tell the rest.
//!
//! `rule` picks, `jwt` decides (pure, given keys and time), `keys` fetches and keeps the keys.

mod error;
mod explain;
mod jwt;
mod keys;
mod rule;
pub mod service_key;
#[cfg(test)]
mod testing;
mod verified;

use std::sync::Arc;
use std::time::Duration;

use self::jwt::Unverified;
use self::keys::{Keys, Surroundings};
use self::rule::Rule;
use self::verified::{Decided, VerifiedTokens};
use crate::clock::Clock;
use crate::config::{TokenRule, Tokens};
use crate::domain::{Change, ChangeKind, Identity, Timestamp, UserKey};
use crate::jobs::Jobs;

pub use self::error::TokenError;
pub use self::explain::{Claimed, Explained};
pub use self::keys::{FetchError, KeyFetches};
pub use self::rule::same_issuer;

/// How often the background looks whether keys are due; looking costs nothing.
const TICK: Duration = Duration::from_secs(1);

/// How often expired tokens are let go of.
const FORGET_EVERY: Duration = Duration::from_mins(1);

/// Decides about tokens by the configured rules.
#[derive(Debug)]
pub struct Authenticator {
    issuers: Vec<Issuer>,
    surroundings: Surroundings,
    verified: VerifiedTokens,
}

/// A rule and the keys that belong to it alone.
#[derive(Debug)]
struct Issuer {
    rule: Rule,
    keys: Keys,
}

impl AsRef<Rule> for Issuer {
    fn as_ref(&self) -> &Rule {
        &self.rule
    }
}

/// What a token proves that passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticated {
    /// Whom the token speaks for: the source whose rule decided, and `sub`.
    pub user: UserKey,
    /// What the token says about its bearer.
    pub identity: Identity,
    /// `iat`; always there for an oidc token.
    pub issued_at: Option<Timestamp>,
    /// `exp`, without leeway.
    pub expires_at: Timestamp,
}

impl Authenticated {
    /// What its claims say of the user, dated by when it was issued; one that does not say ranks below every
    /// other.
    pub fn claims(&self) -> Change {
        let stamp = self.issued_at.unwrap_or(Timestamp::EPOCH);
        Change { user: self.user.clone(), stamp, kind: ChangeKind::Claims { facts: self.identity.facts() } }
    }
}

/// Why no authenticator could be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The keys written in the configuration are none.
    #[error("the `jwks` of a token rule of source {source_name:?} is no JSON Web Key Set")]
    InlineKeys {
        /// The source's name.
        source_name: String,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client for fetching keys could not be made")]
    Client(#[from] reqwest::Error),
}

impl Authenticator {
    /// From the rules of all sources, each with its source's name, in configured order. Fetches nothing yet.
    pub fn new(rules: Vec<(String, TokenRule)>, settings: Tokens, clock: Clock) -> Result<Self, SetupError> {
        let clients = keys::Clients::new(&settings)?;
        let surroundings = Surroundings { clients, settings, clock, fetches: Arc::default() };
        let issuers = rules.into_iter().map(|(source, rule)| {
            let keys = Keys::new(&source, &rule, &surroundings)?;
            Ok(Issuer { rule: Rule::new(source, &rule), keys })
        });
        let issuers = issuers.collect::<Result<_, SetupError>>()?;
        Ok(Self { issuers, surroundings, verified: VerifiedTokens::new() })
    }

    /// Fetches every rule's keys in the background, now and whenever they are soon to be too old, so that no
    /// request waits for them, and lets go of expired tokens. Must be called within a tokio runtime.
    pub fn start(&self, jobs: &Jobs) {
        let cooldown = self.surroundings.settings.jwks_cooldown.max(TICK);
        for keys in self.issuers.iter().map(|issuer| issuer.keys.clone()) {
            jobs.spawn_loop("key refresh", async move {
                loop {
                    // A failure is logged and counted where it happens. Requests may ask again sooner.
                    let pause = if keys.current().await.is_ok() { TICK } else { cooldown };
                    tokio::time::sleep(pause).await;
                }
            });
        }
        let (verified, Surroundings { clock, settings, .. }) =
            (self.verified.clone(), self.surroundings.clone());
        jobs.spawn_loop("expired tokens", async move {
            loop {
                tokio::time::sleep(FORGET_EVERY).await;
                verified.forget_expired(clock.now(), settings.leeway);
            }
        });
    }

    /// Every rule's source with the number of its usable keys, fetched first if there are none.
    pub async fn warm(&self) -> Vec<(&str, Result<usize, TokenError>)> {
        let mut found = Vec::new();
        for issuer in &self.issuers {
            let keys = issuer.keys.current().await;
            found.push((issuer.rule.source.as_str(), keys.map(|keys| keys.len())));
        }
        found
    }

    /// How many usable keys a rule has for each of its algorithms, fetched first if there are none. Rules are
    /// counted over all sources, in configured order; of one that is not there nothing is told.
    pub async fn usable_keys(&self, rule: usize) -> Result<Vec<(String, usize)>, TokenError> {
        let Some(Issuer { rule, keys }) = self.issuers.get(rule) else { return Ok(Vec::new()) };
        let keys = keys.current().await?;
        Ok(rule.algorithms.iter().map(|one| (format!("{one:?}"), keys.count(*one))).collect())
    }

    /// How often keys were fetched.
    pub fn key_fetches(&self) -> &KeyFetches {
        &self.surroundings.fetches
    }

    /// Who a token (without `Bearer `) speaks for, or the first check that it failed.
    ///
    /// One that passed is known again for as long as it would pass.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Authenticated>, TokenError> {
        let Surroundings { clock, settings, .. } = &self.surroundings;
        let fingerprint = VerifiedTokens::fingerprint(token);
        if let Some(known) = self.verified.get(&fingerprint)
            && known.is_still_good(clock.now(), settings.leeway).await
        {
            return Ok(Arc::clone(&known.authenticated));
        }
        let decided = self.decide(token).await?;
        let authenticated = Arc::clone(&decided.authenticated);
        self.verified.insert(fingerprint, decided);
        Ok(authenticated)
    }

    /// A token whose key is unknown is looked at a second time after the keys were fetched again.
    async fn decide(&self, token: &str) -> Result<Decided, TokenError> {
        let length = token.len();
        let token = Unverified::parse(token)?;
        let Issuer { rule, keys } = rule::pick(&self.issuers, token.unverified_claims())?;
        token.check_header(rule)?;
        let mut current = keys.current().await?;
        let decided = match self.verify(&token, rule, &current) {
            Err(TokenError::UnknownKey { .. }) => {
                current = keys.after_unknown_kid().await?;
                self.verify(&token, rule, &current)
            }
            decided => decided,
        };
        Ok(Decided { authenticated: Arc::new(decided?), keys: keys.clone(), checked_with: current, length })
    }

    fn verify(
        &self,
        token: &Unverified,
        rule: &Rule,
        keys: &keys::KeySet,
    ) -> Result<Authenticated, TokenError> {
        let Surroundings { clock, settings, .. } = &self.surroundings;
        jwt::verify(token, rule, keys, clock.now(), settings.leeway)
    }
}

#[cfg(test)]
mod tests;
