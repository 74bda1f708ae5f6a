//! Rebuilds the users table from the journal.

use std::collections::{BTreeMap, BTreeSet};

use super::deliveries::read_again;
use super::transaction::{LoadedUsers, TransactionWork};
use crate::domain::{IdPolicy, Record, UserKey};
use crate::providers::Sources;
use crate::store::{JournalEntry, StoreError, Tx};

/// The result of a rebuild of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Users whose history is complete and gives what the table has.
    pub same: u64,
    /// Users whose row was corrected.
    pub corrected: u64,
    /// Users left alone, because payloads of theirs are no longer kept or cannot be read.
    pub incomplete: u64,
}

impl Rebuilt {
    /// Adds the counts of further users.
    pub(super) fn add(&mut self, Self { same, corrected, incomplete }: Self) {
        self.same += same;
        self.corrected += corrected;
        self.incomplete += incomplete;
    }
}

/// Some users whose rows are rebuilt.
pub(super) struct Rebuild<'a> {
    pub(super) sources: &'a Sources,
    pub(super) users: BTreeSet<UserKey>,
}

/// The rows and tombstones of these users, without their records.
pub(super) struct RebuildInput {
    history: BTreeMap<UserKey, Vec<JournalEntry>>,
    /// Users whose columns are not what their record makes of them.
    out_of_sync: BTreeSet<UserKey>,
}

impl TransactionWork for Rebuild<'_> {
    type Prepared = RebuildInput;
    type Output = Rebuilt;

    fn users(&self) -> BTreeSet<UserKey> {
        self.users.clone()
    }

    async fn prepare(&self, tx: &Tx, users: &LoadedUsers<'_>) -> Result<RebuildInput, StoreError> {
        let out_of_sync = tx.rows_out_of_sync(users.loaded()).await?;
        Ok(RebuildInput { history: tx.history(&self.users).await?, out_of_sync })
    }

    fn change(&self, input: RebuildInput, users: &mut LoadedUsers<'_>) -> Rebuilt {
        let mut rebuilt = Rebuilt::default();
        for (user, history) in input.history {
            let known = users.get(&user).map(|stored| stored.record.clone()).unwrap_or_default();
            match self.record(&known, history, self.sources.ids(&user.source)) {
                None => rebuilt.incomplete += 1,
                Some(record) if record == known && !input.out_of_sync.contains(&user) => rebuilt.same += 1,
                Some(record) => {
                    rebuilt.corrected += 1;
                    users.rewrite(user, record);
                }
            }
        }
        rebuilt
    }
}

impl Rebuild<'_> {
    /// The record that a history makes, with the deletions and claims that are known; `None` if the history is
    /// incomplete.
    fn record(&self, known: &Record, history: Vec<JournalEntry>, ids: IdPolicy) -> Option<Record> {
        let mut record = known.without_provider();
        for entry in history {
            if entry.is_parked || has_ended(known, &entry, ids) {
                continue;
            }
            let source = self.sources.get(&entry.key.source)?;
            let delivery = read_again(source, entry.key.message_id, entry.payload?, entry.received_at)?;
            record = record.join(Record::of(delivery.change()?), ids);
        }
        Some(record)
    }
}

/// Whether an entry belongs only to lifetimes that the tombstone has ended, so that it is not needed.
fn has_ended(known: &Record, entry: &JournalEntry, ids: IdPolicy) -> bool {
    known.deleted_at.is_some() && (ids.is_final() || entry.lifetime <= known.deleted_at)
}
