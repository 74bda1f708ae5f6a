//! What a reconciliation found.

use serde_json::{Value, json};

use crate::domain::{Delivery, Timestamp};

/// At the most so many ids of each kind are told; the counts are true.
const IDS_TOLD: usize = 1000;

/// What a reconciliation found. Ids only: no personal data.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) source: String,
    /// Whether the walk came to the provider's documented end.
    pub(crate) complete: bool,
    /// The users whom the provider listed.
    pub(crate) provider: u64,
    /// The rows of the source.
    pub(crate) rows: u64,
    /// The rows whose users were listed.
    pub(crate) overlap: u64,
    /// Listed, without a row here.
    pub(crate) missing: Vec<String>,
    pub(crate) different: Vec<Difference>,
    /// A row here, and nobody there; with the time of the provider's answer.
    pub(crate) extra: Vec<(String, Option<Timestamp>)>,
    /// Whether the provider could not be asked for the extra users by id.
    pub(crate) unconfirmed: bool,
    /// There by id, but not in the list.
    pub(crate) not_listed: Vec<String>,
    /// The descriptions of those.
    pub(crate) found: Vec<Delivery>,
    pub(crate) repaired: u64,
    pub(crate) deleted: u64,
    /// Why it could not be told who is gone, or why nobody was deleted.
    pub(crate) refused: Option<String>,
}

/// A row whose fields are not what the provider says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) external_id: String,
    /// By their names in the API.
    pub(crate) fields: Vec<String>,
}

impl Report {
    /// Of a run that has found nothing yet.
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// Whether the table is as the provider says, or is now.
    pub(crate) fn is_in_step(&self) -> bool {
        let drift = self.missing.len() + self.different.len();
        let is_repaired = drift as u64 <= self.repaired;
        is_repaired && self.extra.len() as u64 == self.deleted
    }

    pub(crate) fn to_json(&self) -> Value {
        let told = |ids: &[String]| -> Vec<String> { ids.iter().take(IDS_TOLD).cloned().collect() };
        let extra: Vec<String> = self.extra.iter().map(|(id, _)| id.clone()).collect();
        let different = self.different.iter().take(IDS_TOLD);
        let different: Vec<Value> =
            different.map(|one| json!({"externalId": one.external_id, "fields": one.fields})).collect();
        json!({
            "source": self.source,
            "complete": self.complete,
            "provider": self.provider,
            "rows": self.rows,
            "missing": told(&self.missing),
            "different": different,
            "extra": told(&extra),
            "notListed": told(&self.not_listed),
            "repaired": self.repaired,
            "deleted": self.deleted,
            "refused": self.refused,
            "counts": {
                "missing": self.missing.len(),
                "different": self.different.len(),
                "extra": extra.len(),
                "notListed": self.not_listed.len(),
            },
        })
    }
}
