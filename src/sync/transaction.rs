//! The one step that changes users: one transaction that locks, loads, joins, saves and commits.
//!
//! Deliveries, a token's claims and a rebuild all take this step. They differ in what they read and write beside
//! the users, and that is their [`TransactionWork`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::{Change, Event, Outcome, Record, StaleReason, StoredUser, UserId, UserKey, events_of};
use crate::providers::Sources;
use crate::store::{Chain, Store, StoreError, Tx, UserUpdate};
use crate::telemetry::{Metrics, Span};

/// How often a transaction that conflicts with others is tried before the database counts as unavailable.
const ATTEMPTS: u32 = 5;
/// The pause after the first conflict; it grows with each further one.
const PAUSE_AFTER_CONFLICT: Duration = Duration::from_millis(5);
/// How long all attempts together may take before the database counts as unavailable.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes changes of users.
#[derive(Clone, Debug)]
pub struct Writer {
    /// Where it writes.
    pub store: Store,
    /// The configured sources.
    pub sources: Arc<Sources>,
    /// What time it is.
    pub clock: Clock,
    /// Counts what was written.
    pub metrics: Metrics,
    /// Whether changes are logged as events.
    pub logs_events: bool,
}

/// What a transaction does beside changing users.
///
/// A transaction that conflicts with another one is tried again from the beginning, so nothing here changes the work itself.
pub(super) trait TransactionWork: Sync {
    /// What has to be known before the users change.
    type Prepared: Send;
    /// The result for the caller.
    type Output: Send;

    /// The users that may change. They are locked, also those that have no row.
    fn users(&self) -> BTreeSet<UserKey>;

    /// Reads and writes what comes before the change.
    fn prepare(
        &self,
        tx: &Tx,
        users: &LoadedUsers<'_>,
    ) -> impl Future<Output = Result<Self::Prepared, StoreError>> + Send;

    /// Changes the users in memory.
    fn change(&self, prepared: Self::Prepared, users: &mut LoadedUsers<'_>) -> Self::Output;

    /// Writes what comes after the users are saved.
    fn finish(
        &self,
        _tx: &Tx,
        _users: &LoadedUsers<'_>,
        _output: &Self::Output,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        std::future::ready(Ok(()))
    }

    /// How the transaction ends.
    fn ending(&self, users: &LoadedUsers<'_>) -> Ending {
        if users.updates().is_empty() { Ending::Rollback } else { Ending::Commit }
    }

    /// The span in which a user is changed, if there is one.
    fn cause(&self, _user: &UserKey) -> Option<&Span> {
        None
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything written is committed.
    Commit,
    /// The same, and the next transaction on this connection begins at once.
    CommitAndContinue,
    /// Nothing was written.
    Rollback,
}

impl Writer {
    /// Changes users. When it returns, the change is committed; if it fails, nothing was changed.
    pub(super) async fn change_users<W: TransactionWork>(
        &self,
        chain: &mut Chain,
        work: &W,
    ) -> Result<W::Output, StoreError> {
        let late = |_| Err(StoreError::unavailable("the transaction took too long"));
        let attempts = self.change_users_with_retry(chain, work);
        tokio::time::timeout(TRANSACTION_TIMEOUT, attempts).await.unwrap_or_else(late)
    }

    async fn change_users_with_retry<W: TransactionWork>(
        &self,
        chain: &mut Chain,
        work: &W,
    ) -> Result<W::Output, StoreError> {
        let mut attempt = 1;
        loop {
            match self.change_users_once(chain, work).await {
                Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE_AFTER_CONFLICT * attempt).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn change_users_once<W: TransactionWork>(
        &self,
        chain: &mut Chain,
        work: &W,
    ) -> Result<W::Output, StoreError> {
        let keys = work.users();
        let tx = chain.begin().await?;
        tx.lock(&keys).await?;
        let mut users = LoadedUsers::new(self, tx.load(&keys).await?);
        let prepared = work.prepare(&tx, &users).await?;
        let output = work.change(prepared, &mut users);
        tx.save(&users.updates(), self.clock.now()).await?;
        work.finish(&tx, &users, &output).await?;
        let ending = work.ending(&users);
        if self.logs_events && ending != Ending::Rollback {
            // Last: no other transaction logs events from here until the commit.
            Box::pin(self.log_events(&tx, &users, work)).await?;
        }
        match ending {
            Ending::Commit => tx.commit().await?,
            Ending::CommitAndContinue => chain.commit_and_continue(tx).await?,
            Ending::Rollback => drop(tx),
        }
        Ok(output)
    }

    async fn log_events<W: TransactionWork>(
        &self,
        tx: &Tx,
        users: &LoadedUsers<'_>,
        work: &W,
    ) -> Result<(), StoreError> {
        let events: Vec<_> = users.events().map(|event| (self.clock.fresh_id(), event)).collect();
        for (id, event) in &events {
            if let Some(span) = work.cause(&event.user) {
                span.remember(*id);
            }
        }
        tx.log_events(&events, None, self.clock.now()).await
    }
}

/// The users of one transaction: as they were loaded, and as they are now.
#[derive(Debug)]
pub(super) struct LoadedUsers<'a> {
    sources: &'a Sources,
    clock: &'a Clock,
    before: BTreeMap<UserKey, StoredUser>,
    now: BTreeMap<UserKey, StoredUser>,
    /// Users whose row is written even if nothing about them changed.
    rewritten: BTreeSet<UserKey>,
}

impl<'a> LoadedUsers<'a> {
    fn new(writer: &'a Writer, loaded: BTreeMap<UserKey, StoredUser>) -> Self {
        let Writer { sources, clock, .. } = writer;
        Self { sources, clock, now: loaded.clone(), before: loaded, rewritten: BTreeSet::new() }
    }

    /// The users as they were loaded; users of whom nothing is known are absent.
    pub(super) fn loaded(&self) -> &BTreeMap<UserKey, StoredUser> {
        &self.before
    }

    /// What is known of a user now.
    pub(super) fn get(&self, user: &UserKey) -> Option<&StoredUser> {
        self.now.get(user)
    }

    /// Joins a change to what is known of its user.
    pub(super) fn apply(&mut self, change: &Change) -> Outcome {
        let ids = self.sources.ids(&change.user.source);
        let stored = self.now.entry(change.user.clone()).or_default();
        stored.apply(change, ids, &mut || UserId(self.clock.fresh_id()))
    }

    /// Why a change altered nothing that is known of its user.
    pub(super) fn stale_reason(&self, change: &Change) -> Option<StaleReason> {
        let ids = self.sources.ids(&change.user.source);
        self.get(&change.user).map(|stored| stored.stale_reason(change, ids))
    }

    /// Puts another record in the place of a user's, and writes the row even if it is the same.
    pub(super) fn rewrite(&mut self, user: UserKey, record: Record) {
        let ids = self.sources.ids(&user.source);
        self.now
            .entry(user.clone())
            .or_default()
            .replace_record(record, ids, &mut || UserId(self.clock.fresh_id()));
        self.rewritten.insert(user);
    }

    /// The events that these changes make.
    fn events(&self) -> impl Iterator<Item = Event> {
        self.updates().into_iter().flat_map(|update| events_of(update.key, update.before, update.now))
    }

    /// What has to be written.
    fn updates(&self) -> Vec<UserUpdate<'_>> {
        let updates = self.now.iter().map(|(key, now)| UserUpdate {
            key,
            before: self.before.get(key),
            now,
            is_rewritten: self.rewritten.contains(key),
        });
        updates.filter(UserUpdate::changes_anything).collect()
    }
}
