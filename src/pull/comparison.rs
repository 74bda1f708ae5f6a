//! Reading the provider's list page by page, and comparing each page with the rows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Puller;
use super::client::ApiClient;
use super::error::PullError;
use super::paging::PageHandler;
use super::progress::Progress;
use super::report::{Difference, Drift};
use crate::domain::{Delivery, Profile, Timestamp, UserKey};
use crate::providers::Source;
use crate::providers::directory::Position;
use crate::store::{Chain, Run, RunCounts, RunProgress, StoreError};

/// The progress of a run, which is committed with each page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The position of the next page of the list.
    pub(super) list: Option<Position>,
    /// What the earlier pages have shown.
    pub(super) drift: Drift,
}

/// The state of a comparison while it reads the list.
pub(super) struct Comparison<'a> {
    puller: &'a Puller,
    source: &'a Source,
    run: Uuid,
    client: &'a ApiClient,
    /// When the run began, according to the provider's clock; `None` until it is stored.
    pub(super) provider_time: Option<Timestamp>,
    repair: bool,
    pub(super) chain: Chain,
    pub(super) total: Option<u64>,
    seen: u64,
    pub(super) checkpoint: Checkpoint,
    /// The id of a listed user, for the test lookup.
    pub(super) probe_id: Option<String>,
    progress: &'a mut dyn Progress,
}

impl PageHandler for Comparison<'_> {
    async fn page(
        &mut self,
        users: Vec<Value>,
        next: Option<&Position>,
        total: Option<u64>,
    ) -> Result<(), PullError> {
        self.total = total.or(self.total);
        self.describe().await?;
        let Puller { writer, clock, holder, .. } = self.puller;
        let now = clock.now();
        let deliveries: Vec<Delivery> = users.into_iter().map(|user| self.source.listed(user, now)).collect();
        let Checkpoint { drift, list } = &mut self.checkpoint;
        let mismatched = self.puller.mismatched(&mut self.chain, &deliveries, drift).await?;
        let repaired = if self.repair { only(&deliveries, &mismatched) } else { Vec::new() };
        *list = next.cloned();
        drift.repaired += repaired.len() as u64;
        // After the last page the stored position is still the one before it: a process that continues the run reads
        // that page again.
        let position = next.is_some().then(|| serde_json::to_value(&self.checkpoint).unwrap_or_default());
        let seen: Vec<String> =
            deliveries.iter().filter_map(|one| one.user().map(|user| user.external_id.clone())).collect();
        let progress = RunProgress {
            run: self.run,
            holder,
            position: position.as_ref(),
            total: self.total,
            seen: &seen,
            now,
        };
        let written = writer.repair_listed(&mut self.chain, &repaired, &progress).await?;
        // Rows that the database rejected stay unchanged.
        self.checkpoint.drift.repaired -= repaired.len() as u64 - written;
        self.probe_id = seen.last().cloned().or(self.probe_id.take());
        self.seen += seen.len() as u64;
        self.progress.read(RunCounts { seen: self.seen, ..RunCounts::default() }, self.total);
        Ok(())
    }

    fn preparing(&mut self, percent: Option<u64>) {
        self.progress.preparing(percent);
    }

    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }
}

impl Comparison<'_> {
    /// Stores when the run began, according to the provider's clock, before the first page is written.
    async fn describe(&mut self) -> Result<(), StoreError> {
        if self.provider_time.is_none() {
            self.provider_time = self.client.first_date();
            self.puller.writer.store.runs().describe(self.run, self.total, self.provider_time).await?;
        }
        Ok(())
    }
}

impl Puller {
    /// A new comparison, or one that continues where an earlier call of the run stopped.
    pub(super) async fn comparison<'a>(
        &'a self,
        source: &'a Source,
        run: &Run,
        client: &'a ApiClient,
        repair: bool,
        progress: &'a mut dyn Progress,
    ) -> Result<Comparison<'a>, PullError> {
        let checkpoint: Checkpoint =
            run.position.clone().and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default();
        let seen =
            if checkpoint.list.is_some() { self.writer.store.runs().count_seen(run.id).await? } else { 0 };
        if checkpoint.list.is_some() {
            progress
                .note(&format!("continuing after {seen} users; the comparison began at {}", run.started_at));
        }
        Ok(Comparison {
            puller: self,
            source,
            run: run.id,
            client,
            provider_time: run.provider_time,
            repair,
            chain: Chain::for_batches(self.writer.store.clone()),
            total: None,
            seen,
            checkpoint,
            probe_id: None,
            progress,
        })
    }

    /// Which of these listed users have no row, or a row that differs.
    pub(super) async fn mismatched(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
        drift: &mut Drift,
    ) -> Result<BTreeSet<UserKey>, StoreError> {
        let Self { writer, .. } = self;
        let expected = writer.expect_listed(chain, deliveries).await?;
        let keys: BTreeSet<&UserKey> = expected.iter().map(|row| &row.user).collect();
        let rows = writer.store.users().look_up(&keys).await?;
        let readable: BTreeSet<&UserKey> =
            deliveries.iter().filter_map(|delivery| Some(&delivery.change()?.user)).collect();
        let mut mismatched = BTreeSet::new();
        for row in &expected {
            // A row that cannot be read counts as missing.
            let found = rows.get(&row.user).and_then(|found| found.as_ref().ok());
            let found = found.and_then(|found| found.user.as_ref());
            let Some(profile) = &row.profile else {
                // The user was deleted here, or cannot be read: a repair cannot create the row.
                if found.is_none() {
                    drift.missing.push(row.user.external_id.clone());
                    drift.deleted_here += u64::from(readable.contains(&row.user));
                }
                continue;
            };
            match found {
                None => drift.missing.push(row.user.external_id.clone()),
                Some(user) => {
                    let fields = differing(&user.profile, profile);
                    if fields.is_empty() {
                        continue;
                    }
                    let external_id = row.user.external_id.clone();
                    drift.different.push(Difference { external_id, fields });
                }
            }
            mismatched.insert(row.user.clone());
        }
        Ok(mismatched)
    }
}

/// The names of the fields that differ.
fn differing(row: &Profile, expected: &Profile) -> Vec<String> {
    let members = |profile: &Profile| match serde_json::to_value(profile) {
        Ok(Value::Object(members)) => members.into_iter().collect::<BTreeMap<String, Value>>(),
        _ => BTreeMap::new(),
    };
    let (row, expected) = (members(row), members(expected));
    expected.into_iter().filter(|(name, value)| row.get(name) != Some(value)).map(|(name, _)| name).collect()
}

/// The deliveries of these users.
pub(super) fn only(deliveries: &[Delivery], users: &BTreeSet<UserKey>) -> Vec<Delivery> {
    let is_one = |delivery: &&Delivery| delivery.user().is_some_and(|user| users.contains(user));
    deliveries.iter().filter(is_one).cloned().collect()
}
