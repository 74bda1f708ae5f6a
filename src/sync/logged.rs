//! Events of a provider's own log, written like deliveries, in one transaction with the position in the log.

use std::collections::BTreeSet;

use super::deliveries::{Deliveries, DeliveryOrigin, Written};
use super::transaction::{Ending, LoadedUsers, TransactionWork, Writer};
use crate::domain::{Delivery, DeliveryKey, Outcome, UserKey};
use crate::store::{Chain, LogPosition, StoreError, Tx};

/// Events of a log, and the position after them.
struct LoggedEvents<'a> {
    deliveries: Deliveries<'a>,
    position: &'a LogPosition<'a>,
}

impl TransactionWork for LoggedEvents<'_> {
    type Prepared = BTreeSet<DeliveryKey>;
    type Output = Vec<Written>;

    fn users(&self) -> BTreeSet<UserKey> {
        self.deliveries.users()
    }

    async fn prepare(&self, tx: &Tx, users: &LoadedUsers<'_>) -> Result<Self::Prepared, StoreError> {
        self.deliveries.prepare(tx, users).await
    }

    fn change(&self, unseen: Self::Prepared, users: &mut LoadedUsers<'_>) -> Self::Output {
        self.deliveries.change(unseen, users)
    }

    async fn finish(
        &self,
        tx: &Tx,
        users: &LoadedUsers<'_>,
        written: &Self::Output,
    ) -> Result<(), StoreError> {
        self.deliveries.finish(tx, users, written).await?;
        let has_news = written.iter().any(|written| written.outcome != Outcome::Duplicate);
        tx.advance_log(self.position, has_news).await
    }

    fn ending(&self, _: &LoadedUsers<'_>) -> Ending {
        Ending::Commit
    }
}

impl Writer {
    /// Writes events of a provider's log and the position after them; the outcomes are in the order of the events.
    ///
    /// If the database rejects the transaction, each event is written alone, and then the position.
    pub(crate) async fn write_logged(
        &self,
        chain: &mut Chain,
        events: Vec<Delivery>,
        position: &LogPosition<'_>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let outcomes = |written: Vec<Written>| written.iter().map(|written| written.outcome).collect();
        match self.write_log_together(chain, &events, position).await {
            Err(StoreError::Rejected(_) | StoreError::Blocked(_)) if !events.is_empty() => {
                let written = self.write_batch(chain, events, DeliveryOrigin::UNTRACED).await;
                // An event that is not written is read again.
                let written = written.into_iter().collect::<Result<Vec<Written>, StoreError>>()?;
                self.write_log_together(chain, &[], position).await?;
                Ok(outcomes(written))
            }
            written => Ok(outcomes(written?)),
        }
    }

    async fn write_log_together(
        &self,
        chain: &mut Chain,
        batch: &[Delivery],
        position: &LogPosition<'_>,
    ) -> Result<Vec<Written>, StoreError> {
        let deliveries = Deliveries { sources: &self.sources, batch, origin: DeliveryOrigin::UNTRACED };
        self.change_users(chain, &LoggedEvents { deliveries, position }).await
    }
}
