//! Reading the provider's list page by page, and comparing each page with the rows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Puller;
use super::client::ApiClient;
use super::error::PullError;
use super::progress::Progress;
use super::report::{Difference, Drift};
use super::walk::Visitor;
use crate::domain::{Delivery, Profile, Timestamp, UserKey};
use crate::providers::Source;
use crate::providers::directory::Position;
use crate::store::{Chain, Run, RunCounts, RunProgress, StoreError};

/// How far a run has come, which is committed with each page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SoFar {
    /// Where the next page of the list is.
    pub(super) list: Option<Position>,
    /// What was found before.
    pub(super) drift: Drift,
}

/// The state of a comparison while it reads the list.
pub(super) struct Comparing<'a> {
    puller: &'a Puller,
    source: &'a Source,
    run: Uuid,
    client: &'a ApiClient,
    /// When the run began, by the provider's clock, once that is written.
    pub(super) provider_time: Option<Timestamp>,
    repair: bool,
    pub(super) chain: Chain,
    pub(super) total: Option<u64>,
    seen: u64,
    pub(super) so_far: SoFar,
    /// Somebody who was listed, to ask for by id.
    pub(super) somebody: Option<String>,
    progress: &'a mut dyn Progress,
}

impl Visitor for Comparing<'_> {
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
        let SoFar { drift, list } = &mut self.so_far;
        let drifted = self.puller.drifted(&mut self.chain, &deliveries, drift).await?;
        let repaired = if self.repair { only(&deliveries, &drifted) } else { Vec::new() };
        *list = next.cloned();
        drift.repaired += repaired.len() as u64;
        // The last page leaves the position before it: whoever continues then reads that page again, and compares it
        // with what was found before.
        let position = next.is_some().then(|| serde_json::to_value(&self.so_far).unwrap_or_default());
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
        // What the database did not take stays as it is.
        self.so_far.drift.repaired -= repaired.len() as u64 - written;
        self.somebody = seen.last().cloned().or(self.somebody.take());
        self.seen += seen.len() as u64;
        self.progress.read(RunCounts { seen: self.seen, ..RunCounts::default() }, self.total);
        Ok(())
    }

    fn preparing(&mut self, percent: Option<u64>) {
        self.progress.preparing(percent);
    }
}

impl Comparing<'_> {
    /// Notes when the run began, by the provider's clock, before anything that was read then.
    async fn describe(&mut self) -> Result<(), StoreError> {
        if self.provider_time.is_none() {
            self.provider_time = self.client.first_date();
            self.puller.writer.store.runs().describe(self.run, self.total, self.provider_time).await?;
        }
        Ok(())
    }
}

impl Puller {
    /// A comparison that begins, or that goes on where an earlier call of the run ended.
    pub(super) async fn comparing<'a>(
        &'a self,
        source: &'a Source,
        run: &Run,
        client: &'a ApiClient,
        repair: bool,
        progress: &'a mut dyn Progress,
    ) -> Result<Comparing<'a>, PullError> {
        let so_far: SoFar =
            run.position.clone().and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default();
        let seen = if so_far.list.is_some() { self.writer.store.runs().count_seen(run.id).await? } else { 0 };
        if so_far.list.is_some() {
            progress
                .note(&format!("continuing after {seen} users; the comparison began at {}", run.started_at));
        }
        Ok(Comparing {
            puller: self,
            source,
            run: run.id,
            client,
            provider_time: run.provider_time,
            repair,
            chain: Chain::for_batches(self.writer.store.clone()),
            total: None,
            seen,
            so_far,
            somebody: None,
            progress,
        })
    }

    /// Which of these listed users have a row that is not as it should be.
    pub(super) async fn drifted(
        &self,
        chain: &mut Chain,
        deliveries: &[Delivery],
        drift: &mut Drift,
    ) -> Result<BTreeSet<UserKey>, StoreError> {
        let Self { writer, .. } = self;
        let expected = writer.expect_listed(chain, deliveries).await?;
        let keys: BTreeSet<&UserKey> = expected.iter().map(|row| &row.user).collect();
        let rows = writer.store.users().look_up(&keys).await?;
        let understood: BTreeSet<&UserKey> =
            deliveries.iter().filter_map(|delivery| Some(&delivery.change()?.user)).collect();
        let mut drifted = BTreeSet::new();
        for row in &expected {
            // A row that cannot be read is as good as none.
            let found = rows.get(&row.user).and_then(|found| found.as_ref().ok());
            let found = found.and_then(|found| found.user.as_ref());
            let Some(profile) = &row.profile else {
                // Deleted here, or described in a way that is not understood: no repair makes the row.
                if found.is_none() {
                    drift.missing.push(row.user.external_id.clone());
                    drift.deleted_here += u64::from(understood.contains(&row.user));
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
            drifted.insert(row.user.clone());
        }
        Ok(drifted)
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
