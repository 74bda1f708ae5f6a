//! A page of a provider's list of users as one transaction: the rows, the journal and the run's progress, together or
//! not at all.

use std::collections::BTreeSet;

use tracing::warn;

use super::deliveries::DeliveryOrigin;
use super::transaction::{Ending, LoadedUsers, TransactionWork, Writer};
use crate::domain::{Delivery, Life, Outcome, Profile, UserKey};
use crate::store::{Chain, RunCounts, RunProgress, StoreError, Tx};

/// A page of listed users.
#[derive(Clone, Copy)]
struct ListedPage<'a> {
    deliveries: &'a [Delivery],
    /// `None` for a dry run: nothing is written.
    progress: Option<&'a RunProgress<'a>>,
    /// Whether rows are written even where nothing changed: their columns are not what is known of their users.
    rewrite: bool,
}

/// What a listed user's row is, once what is listed was applied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExpectedRow {
    pub(crate) user: UserKey,
    /// `None` where the user was deleted here, or cannot be read.
    pub(crate) profile: Option<Profile>,
}

impl TransactionWork for ListedPage<'_> {
    type Prepared = ();
    type Output = (Vec<Outcome>, Vec<ExpectedRow>);

    fn users(&self) -> BTreeSet<UserKey> {
        self.deliveries.iter().filter_map(|delivery| delivery.user().cloned()).collect()
    }

    async fn prepare(&self, _: &Tx, _: &LoadedUsers<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn change(&self, (): (), users: &mut LoadedUsers<'_>) -> Self::Output {
        let outcome =
            |delivery: &Delivery| delivery.change().map_or(Outcome::Parked, |change| users.apply(change));
        let outcomes = self.deliveries.iter().map(outcome).collect();
        let mut expected = Vec::new();
        for user in self.deliveries.iter().filter_map(Delivery::user) {
            let record = users.get(user).map(|stored| stored.record.clone()).unwrap_or_default();
            let profile = record.life.as_ref().map(Life::profile);
            if self.rewrite && profile.is_some() {
                users.rewrite(user.clone(), record);
            }
            expected.push(ExpectedRow { user: user.clone(), profile });
        }
        (outcomes, expected)
    }

    async fn finish(
        &self,
        tx: &Tx,
        _: &LoadedUsers<'_>,
        (outcomes, _): &Self::Output,
    ) -> Result<(), StoreError> {
        let Some(progress) = self.progress else { return Ok(()) };
        // A user who changed nothing is not journaled: most of a list is known already.
        let is_journaled = |outcome: &Outcome| matches!(outcome, Outcome::Applied | Outcome::Parked);
        let written = self.deliveries.iter().zip(outcomes).filter(|(_, outcome)| is_journaled(outcome));
        tx.append_unseen(written.map(|(delivery, _)| delivery)).await?;
        let mut page = counts(outcomes);
        // A reconciliation also sees users that it does not have to write.
        page.seen = page.seen.max(progress.seen.len() as u64);
        tx.advance_run(progress, page).await
    }

    fn ending(&self, _: &LoadedUsers<'_>) -> Ending {
        if self.progress.is_some() { Ending::Commit } else { Ending::Rollback }
    }
}

fn counts(outcomes: &[Outcome]) -> RunCounts {
    let count = |of: Outcome| outcomes.iter().filter(|outcome| **outcome == of).count() as u64;
    RunCounts {
        seen: outcomes.len() as u64,
        applied: count(Outcome::Applied),
        unchanged: count(Outcome::Stale) + count(Outcome::Duplicate),
        parked: count(Outcome::Parked),
    }
}

impl Writer {
    /// Writes a page of listed users and the progress of the run; returns their outcomes.
    ///
    /// If the database rejects the page, each user is written alone, so that a value that it rejects or a
    /// row that another program has locked affects only its own user.
    pub(crate) async fn write_listed(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
        progress: &RunProgress<'_>,
    ) -> Result<RunCounts, StoreError> {
        self.write_page(chain, ListedPage { deliveries, progress: Some(progress), rewrite: false }).await
    }

    async fn write_page(&self, chain: &mut Chain, page: ListedPage<'_>) -> Result<RunCounts, StoreError> {
        match self.write_together(chain, &page).await {
            Err(StoreError::Rejected(_) | StoreError::Blocked(_)) if !page.deliveries.is_empty() => {
                self.write_each(chain, page).await
            }
            result => result,
        }
    }

    async fn write_together(
        &self,
        chain: &mut Chain,
        page: &ListedPage<'_>,
    ) -> Result<RunCounts, StoreError> {
        Ok(counts(&self.change_users(chain, page).await?.0))
    }

    async fn write_each(&self, chain: &mut Chain, page: ListedPage<'_>) -> Result<RunCounts, StoreError> {
        // The run has not passed the page before all of it is written.
        let within =
            page.progress.map(|progress| RunProgress { position: None, seen: &[], ..progress.clone() });
        let progress = within.as_ref();
        let mut all = RunCounts::default();
        for delivery in page.deliveries {
            let deliveries = std::slice::from_ref(delivery);
            let counts = match self.write_together(chain, &ListedPage { deliveries, progress, ..page }).await
            {
                Err(error @ StoreError::Rejected(_)) => {
                    warn!(%error, source = delivery.source, message_id = delivery.message_id, "the database rejected a listed user");
                    let parked = [Self::rejected(delivery.clone())];
                    self.write_together(chain, &ListedPage { deliveries: &parked, progress, ..page }).await?
                }
                result => result?,
            };
            all = all + counts;
        }
        self.write_together(chain, &ListedPage { deliveries: &[], ..page }).await?;
        Ok(all)
    }

    /// What a page of listed users would change. Nothing is written.
    pub(crate) async fn try_listed(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
    ) -> Result<RunCounts, StoreError> {
        let page = ListedPage { deliveries, progress: None, rewrite: false };
        Ok(counts(&self.change_users(chain, &page).await?.0))
    }

    /// What the rows of listed users should be. Nothing is written.
    pub(crate) async fn expect_listed(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
    ) -> Result<Vec<ExpectedRow>, StoreError> {
        let page = ListedPage { deliveries, progress: None, rewrite: false };
        Ok(self.change_users(chain, &page).await?.1)
    }

    /// Applies listed users whose rows differ, and writes these rows again; returns how many.
    pub(crate) async fn repair_listed(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
        progress: &RunProgress<'_>,
    ) -> Result<u64, StoreError> {
        let page = ListedPage { deliveries, progress: Some(progress), rewrite: true };
        let RunCounts { seen, parked, .. } = self.write_page(chain, page).await?;
        Ok(seen - parked)
    }

    /// Writes deletions that the provider has confirmed.
    pub(crate) async fn write_confirmed_deletions(
        &self,
        chain: &mut Chain,
        deletions: Vec<Delivery>,
    ) -> Result<(), StoreError> {
        for result in self.write_batch(chain, deletions, DeliveryOrigin::Received).await {
            result?;
        }
        Ok(())
    }
}
