//! Storing a user from a token's claims, for an app that cannot wait for the webhook.
//!
//! It goes through the same rule and the same locks as a delivery, so it does not race with a webhook that arrives
//! at the same moment. It has no place in the journal: the next token contains the same claims.

use std::collections::BTreeSet;

use tracing::warn;

use super::transaction::{LoadedUsers, TransactionWork, Writer};
use crate::domain::{Change, Outcome, UserKey};
use crate::store::{Chain, StoreError, Tx};

/// A token's claims to be joined to what is known of their user.
struct TokenClaims<'a>(&'a Change);

/// The result for a token's claims.
pub(super) struct ClaimsStored {
    /// Whether they changed the user, or contained nothing new.
    pub(super) outcome: Outcome,
    /// Whether they made the row.
    pub(super) is_new: bool,
}

impl Writer {
    /// Writes what a token's claims say.
    ///
    /// What the database rejects is left out, for its encoding may lack some characters: first the fields that are not ASCII
    /// alone; if that is not enough, the user.
    pub(super) async fn write_claims(
        &self,
        chain: &mut Chain,
        claims: &Change,
    ) -> Result<ClaimsStored, StoreError> {
        let UserKey { source, external_id } = &claims.user;
        match self.change_users(chain, &TokenClaims(claims)).await {
            Err(error @ StoreError::Rejected(_)) => {
                warn!(%error, source, external_id, "the database rejected some token claims; only those in ASCII are stored");
            }
            stored => return stored,
        }
        match self.change_users(chain, &TokenClaims(&claims.clone().into_ascii())).await {
            Err(error @ StoreError::Rejected(_)) => {
                warn!(%error, source, external_id, "the database rejected the user of a token; no row was created");
                Ok(ClaimsStored { outcome: Outcome::Stale, is_new: false })
            }
            stored => stored,
        }
    }
}

impl TransactionWork for TokenClaims<'_> {
    type Prepared = ();
    type Output = ClaimsStored;

    fn users(&self) -> BTreeSet<UserKey> {
        BTreeSet::from([self.0.user.clone()])
    }

    async fn prepare(&self, _: &Tx, _: &LoadedUsers<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn change(&self, (): (), users: &mut LoadedUsers<'_>) -> ClaimsStored {
        let has_row = |users: &LoadedUsers<'_>| users.get(&self.0.user).is_some_and(|it| it.id.is_some());
        let is_known = has_row(users);
        let outcome = users.apply(self.0);
        ClaimsStored { outcome, is_new: !is_known && has_row(users) }
    }
}
