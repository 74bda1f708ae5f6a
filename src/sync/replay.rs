//! Processes deliveries again: event files, the journal, parked deliveries; and rebuilds the table from the journal.
//!
//! Everything goes in small transactions of whole users, and applying a change twice has no effect: a replay
//! may stop anywhere and begin again, beside a service that runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deliveries::{DeliveryOrigin, read_again};
use super::rebuild::{Rebuild, Rebuilt};
use super::transaction::Writer;
use crate::clock::Clock;
use crate::domain::{Content, Delivery, Outcome, UserKey};
use crate::providers::{NotJson, ReadMessage, Source, Sources};
use crate::signature::{self, Message, Verified};
use crate::store::{Chain, JournalEntry, Position, Store, StoreError, Which};
use crate::telemetry::Metrics;

/// Deliveries or users in one transaction: few enough that a service beside it hardly waits.
const BATCH: u64 = 100;
/// Deliveries that are counted at a time.
const COUNTED: u64 = 10_000;

/// Replays deliveries.
#[derive(Debug)]
pub struct Replay {
    writer: Writer,
}

/// The outcomes of replayed deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many had each outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Deliveries whose payload is no longer kept.
    pub without_payload: u64,
    /// Deliveries of sources that are configured no more.
    pub without_source: u64,
}

/// What a replay would find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preview {
    /// Deliveries that can be read now, and would be applied.
    pub(crate) readable: u64,
    /// Deliveries that still cannot be read, and would stay parked.
    pub(crate) unreadable: u64,
    /// Why the first of them cannot be read.
    pub(crate) reason: Option<String>,
    /// Deliveries without a configured source, or not about a user any more.
    pub(crate) skipped: u64,
    /// Whether there are more than were looked at.
    pub(crate) is_cut: bool,
}

impl Replayed {
    fn add(&mut self, outcome: Outcome) {
        *self.outcomes.entry(outcome.as_str()).or_default() += 1;
    }
}

impl Replay {
    /// A replay into this database; `logs_events` as in [`Writer`].
    pub fn new(sources: Arc<Sources>, store: Store, clock: Clock, logs_events: bool) -> Self {
        Self { writer: Writer { store, sources, clock, metrics: Metrics::default(), logs_events } }
    }

    /// A replay by a service, through its own writer.
    pub(crate) fn by(writer: Writer) -> Self {
        Self { writer }
    }

    /// Replays one delivery of the journal, which was read again.
    pub(crate) async fn one(&self, delivery: Delivery) -> Result<Outcome, StoreError> {
        self.write_one(delivery, DeliveryOrigin::Replayed).await
    }

    /// What a replay of the first of these deliveries would find. Nothing is written.
    pub(crate) async fn preview(&self, which: &Which, limit: u64) -> Result<Preview, ReplayError> {
        let page = self.writer.store.journal().page(which, None, limit).await?;
        let mut preview = Preview { is_cut: page.len() as u64 >= limit, ..Preview::default() };
        let mut skipped = Replayed::default();
        for entry in page {
            match self.read(entry, &mut skipped).map(|delivery| delivery.content) {
                Some(Content::Change(_)) => preview.readable += 1,
                Some(Content::Unreadable { reason, .. }) => {
                    preview.unreadable += 1;
                    preview.reason.get_or_insert(reason);
                }
                None => preview.skipped += 1,
            }
        }
        Ok(preview)
    }

    /// Takes an event given by hand as if its source had sent it. Its message id is made of its content, so
    /// that the same event given again is a duplicate.
    pub async fn event(&self, source: &Source, body: Vec<u8>) -> Result<Outcome, ReplayError> {
        let id = format!("replay_{}", signature::digest(&body));
        let message = Verified::trusted(Message { id: Some(id), body });
        match source.read(message, self.writer.clock.now())? {
            ReadMessage::NotAboutUsers { .. } => Ok(Outcome::Ignored),
            ReadMessage::Delivery(delivery) => Ok(self.write_one(delivery, DeliveryOrigin::UNTRACED).await?),
        }
    }

    async fn write_one(&self, delivery: Delivery, origin: DeliveryOrigin<'_>) -> Result<Outcome, StoreError> {
        let mut chain = Chain::for_batches(self.writer.store.clone());
        let mut written = self.writer.write_batch(&mut chain, vec![delivery], origin).await;
        let written = written.pop().unwrap_or_else(|| Err(StoreError::unavailable("there is no outcome")));
        Ok(written?.outcome)
    }

    /// Reads journaled deliveries again and applies them. `progress` gets the number of those that are done.
    pub async fn journal(&self, which: &Which, progress: impl Fn(u64)) -> Result<Replayed, ReplayError> {
        let mut replayed = Replayed::default();
        let mut chain = Chain::for_batches(self.writer.store.clone());
        let mut after: Option<Position> = None;
        let mut done = 0;
        loop {
            let page = self.writer.store.journal().page(which, after.as_ref(), BATCH).await?;
            let Some(last) = page.last() else { return Ok(replayed) };
            after = Some(last.position());
            done += page.len() as u64;
            let batch = page.into_iter().filter_map(|entry| self.read(entry, &mut replayed)).collect();
            for written in self.writer.write_batch(&mut chain, batch, DeliveryOrigin::Replayed).await {
                replayed.add(written?.outcome);
            }
            progress(done);
        }
    }

    /// Rebuilds the table from the journal. `progress` gets the number of users that are done.
    pub async fn rebuild(&self, progress: impl Fn(u64)) -> Result<Rebuilt, ReplayError> {
        let mut rebuilt = Rebuilt::default();
        let mut chain = Chain::for_batches(self.writer.store.clone());
        let mut after: Option<UserKey> = None;
        let mut done = 0;
        loop {
            let users = self.writer.store.journal().users(after.as_ref(), BATCH).await?;
            let Some(last) = users.last() else { return Ok(rebuilt) };
            after = Some(last.clone());
            done += users.len() as u64;
            let page = Rebuild { sources: &self.writer.sources, users: users.into_iter().collect() };
            rebuilt.add(self.writer.change_users(&mut chain, &page).await?);
            progress(done);
        }
    }

    /// Counts the deliveries that [`Self::journal`] reads, in pages and at the same time, because one count of all
    /// would delay it. `progress` gets the number that was counted so far.
    pub async fn count(&self, which: &Which, progress: impl Fn(u64)) -> Result<(), ReplayError> {
        let mut after: Option<Position> = None;
        let mut counted = 0;
        loop {
            let page = self.writer.store.journal().positions(which, after.as_ref(), COUNTED).await?;
            counted += page.len() as u64;
            progress(counted);
            after = page.into_iter().last();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Counts the users that [`Self::rebuild`] reads, in the same way.
    pub async fn count_users(&self, progress: impl Fn(u64)) -> Result<(), ReplayError> {
        let mut after: Option<UserKey> = None;
        let mut counted = 0;
        loop {
            let page = self.writer.store.journal().users(after.as_ref(), COUNTED).await?;
            counted += page.len() as u64;
            progress(counted);
            after = page.into_iter().last();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn read(&self, entry: JournalEntry, replayed: &mut Replayed) -> Option<Delivery> {
        let Some(source) = self.writer.sources.get(&entry.key.source) else {
            replayed.without_source += 1;
            return None;
        };
        let Some(payload) = entry.payload else {
            replayed.without_payload += 1;
            return None;
        };
        read_again(source, entry.key.message_id, payload, entry.received_at)
    }
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An event given by hand is no JSON.
    #[error(transparent)]
    NotJson(#[from] NotJson),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
