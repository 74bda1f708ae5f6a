//! A page of a provider's list of users: the rows, the journal and the run's progress, together or not at all.
//!
//! On SQLite a page is several transactions, so that deliveries wait less. The run's progress is in the last one: after
//! an interruption the page is read again, and what was written of it changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::warn;

use super::deliveries::DeliveryOrigin;
use super::transaction::{Ending, LoadedUsers, TransactionWork, Writer};
use crate::domain::{Delivery, Life, Outcome, Profile, UserKey};
use crate::store::{Chain, RunCounts, RunProgress, StoreError, Tx};

/// The most users in one transaction where only one transaction at a time can write. Deliveries wait for it.
const SLICE: usize = 100;
/// The pause after such a transaction: deliveries that wait try every millisecond.
const PAUSE_AFTER_SLICE: Duration = Duration::from_millis(1);

/// A page of listed users, or a slice of one.
#[derive(Clone, Copy)]
struct ListedPage<'a> {
    deliveries: &'a [Delivery],
    /// `None` for a dry run: nothing is written.
    progress: Option<&'a RunProgress<'a>>,
    /// What the slices before it have written. The run counts it with the last slice, which ends the page.
    before: RunCounts,
    is_last: bool,
    /// Whether rows are written even where nothing changed: their columns are not what is known of their users.
    rewrite: bool,
}

impl<'a> ListedPage<'a> {
    /// A whole page of a dry run.
    fn of(deliveries: &'a [Delivery]) -> Self {
        Self { deliveries, progress: None, before: RunCounts::default(), is_last: true, rewrite: false }
    }
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
        if !self.is_last {
            let within = RunProgress { position: None, seen: &[], ..progress.clone() };
            return tx.advance_run(&within, RunCounts::default()).await;
        }
        let mut page = self.before + counts(outcomes);
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
        self.write_page(chain, ListedPage { progress: Some(progress), ..ListedPage::of(deliveries) }).await
    }

    async fn write_page(&self, chain: &mut Chain, page: ListedPage<'_>) -> Result<RunCounts, StoreError> {
        let size = if self.store.has_one_writer() { SLICE } else { page.deliveries.len() };
        self.write_slices(chain, page, size).await
    }

    async fn write_slices(
        &self,
        chain: &mut Chain,
        page: ListedPage<'_>,
        size: usize,
    ) -> Result<RunCounts, StoreError> {
        let mut written = page.before;
        let mut rest = page.deliveries;
        loop {
            let (deliveries, after) = rest.split_at(size.min(rest.len()));
            let is_last = page.is_last && after.is_empty();
            let slice = ListedPage { deliveries, before: written, is_last, ..page };
            written = match self.write_together(chain, &slice).await {
                Err(StoreError::Rejected(_) | StoreError::Blocked(_)) if deliveries.len() > 1 => {
                    Box::pin(self.write_slices(chain, slice, 1)).await?
                }
                Err(StoreError::Rejected(error)) if let [delivery] = deliveries => {
                    warn!(%error, source = delivery.source, message_id = delivery.message_id, "the database rejected a listed user");
                    let parked = [Self::rejected(delivery.clone())];
                    written + self.write_together(chain, &ListedPage { deliveries: &parked, ..slice }).await?
                }
                counts => written + counts?,
            };
            if after.is_empty() {
                return Ok(written);
            }
            rest = after;
            if self.store.has_one_writer() {
                tokio::time::sleep(PAUSE_AFTER_SLICE).await;
            }
        }
    }

    async fn write_together(
        &self,
        chain: &mut Chain,
        slice: &ListedPage<'_>,
    ) -> Result<RunCounts, StoreError> {
        Ok(counts(&self.change_users(chain, slice).await?.0))
    }

    /// What a page of listed users would change. Nothing is written.
    pub(crate) async fn try_listed(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
    ) -> Result<RunCounts, StoreError> {
        self.write_together(chain, &ListedPage::of(deliveries)).await
    }

    /// What the rows of listed users should be. Nothing is written.
    pub(crate) async fn expect_listed(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
    ) -> Result<Vec<ExpectedRow>, StoreError> {
        let page = ListedPage::of(deliveries);
        Ok(self.change_users(chain, &page).await?.1)
    }

    /// Applies listed users whose rows differ, and writes these rows again; returns how many.
    pub(crate) async fn repair_listed(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
        progress: &RunProgress<'_>,
    ) -> Result<u64, StoreError> {
        let page = ListedPage { progress: Some(progress), rewrite: true, ..ListedPage::of(deliveries) };
        let RunCounts { seen, parked, .. } = self.write_page(chain, page).await?;
        Ok(seen - parked)
    }

    /// Writes deletions that the provider has confirmed.
    pub(crate) async fn write_confirmed_deletions(
        &self,
        chain: &mut Chain,
        deletions: Vec<Delivery>,
    ) -> Result<(), StoreError> {
        for result in self.write_batch(chain, deletions, DeliveryOrigin::UNTRACED).await {
            result?;
        }
        Ok(())
    }
}
