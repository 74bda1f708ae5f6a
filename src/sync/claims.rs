//! Storing a user from a token's claims, for an app that cannot wait for the webhook.
//!
//! It goes through the same rule and the same locks as a delivery, so it is no race with the webhook that
//! arrives at the same moment. It has no place in the journal: what a token says can be had again from the
//! next token.

use std::collections::{BTreeMap, BTreeSet};

use tracing::info;

use super::apply::{PAUSE, TRIES, become_known};
use super::batcher::Writer;
use crate::domain::{Change, Record, UserKey};
use crate::store::StoreError;

impl Writer {
    /// Joins claims to what is known of their user; tells whether that made the row.
    pub(super) async fn store_claims(&self, change: &Change) -> Result<bool, StoreError> {
        let mut tries = 1;
        loop {
            match self.store_claims_once(change).await {
                Err(StoreError::Conflict(_)) if tries < TRIES => {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    async fn store_claims_once(&self, change: &Change) -> Result<bool, StoreError> {
        let users = BTreeSet::from([change.user.clone()]);
        let ids = self.sources.ids(&change.user.source);
        let tx = self.store.begin().await?;
        tx.lock(&users).await?;
        let before = tx.load(&users).await?;
        let mut stored = before.get(&change.user).cloned().unwrap_or_default();
        let record = stored.record.clone().join(Record::of(change), ids);
        if record == stored.record {
            return Ok(false);
        }
        let is_new = stored.record.life.is_none() && record.life.is_some();
        become_known(&mut stored, record, ids, &self.clock);
        tx.save(&before, &BTreeMap::from([(change.user.clone(), stored)]), self.clock.now()).await?;
        tx.commit().await?;
        let UserKey { source, external_id } = &change.user;
        info!(source, external_id, is_new, "stored from a token's claims");
        Ok(is_new)
    }
}
