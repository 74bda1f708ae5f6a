//! What a reconciliation found.

use serde::{Deserialize, Serialize};

use crate::domain::{Delivery, Timestamp};

/// At the most so many users of each kind are told; the counts are true.
const USERS_TOLD: usize = 1000;

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
    pub(crate) drift: Drift,
    /// A row here, and nobody there; with the time of the provider's answer.
    pub(crate) extra: Vec<(String, Option<Timestamp>)>,
    /// Whether the provider could not be asked for the extra users by id.
    pub(crate) unconfirmed: bool,
    /// There by id, but not in the list.
    pub(crate) not_listed: Vec<String>,
    /// The descriptions of those.
    pub(crate) found: Vec<Delivery>,
    pub(crate) deleted: u64,
    /// Why it could not be told who is gone, or why nobody was deleted.
    pub(crate) refused: Option<String>,
}

/// What was found of the users in the provider's list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drift {
    /// Listed, without a row here.
    pub(crate) missing: Found<String>,
    /// How many of those were deleted here, which no list undoes.
    #[serde(default)]
    pub(crate) deleted_here: u64,
    pub(crate) different: Found<Difference>,
    pub(crate) repaired: u64,
}

/// Some of the users of one kind, and how many there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found<T> {
    pub(crate) count: u64,
    pub(crate) first: Vec<T>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Found<T> {
    pub(crate) fn push(&mut self, user: T) {
        self.count += 1;
        if self.first.len() < USERS_TOLD {
            self.first.push(user);
        }
    }
}

/// A row whose fields are not what the provider says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    pub(crate) external_id: String,
    /// By their names in the API.
    pub(crate) fields: Vec<String>,
}

/// The report as JSON, its members in this order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    source: &'a str,
    complete: bool,
    provider: u64,
    rows: u64,
    missing: &'a [String],
    different: &'a [Difference],
    extra: Vec<&'a str>,
    not_listed: &'a [String],
    repaired: u64,
    deleted: u64,
    refused: Option<&'a str>,
    counts: Counts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    missing: u64,
    different: u64,
    extra: usize,
    not_listed: usize,
}

impl Report {
    /// Of a run that has found nothing yet.
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// Whether the table is as the provider says, or is now.
    pub(crate) fn is_in_step(&self) -> bool {
        let Drift { missing, different, repaired, .. } = &self.drift;
        missing.count + different.count <= *repaired && self.extra.len() as u64 == self.deleted
    }

    pub(crate) fn to_json(&self) -> String {
        let Drift { missing, different, repaired, .. } = &self.drift;
        let json = Json {
            source: &self.source,
            complete: self.complete,
            provider: self.provider,
            rows: self.rows,
            missing: &missing.first,
            different: &different.first,
            extra: self.extra.iter().take(USERS_TOLD).map(|(id, _)| id.as_str()).collect(),
            not_listed: &self.not_listed[..self.not_listed.len().min(USERS_TOLD)],
            repaired: *repaired,
            deleted: self.deleted,
            refused: self.refused.as_deref(),
            counts: Counts {
                missing: missing.count,
                different: different.count,
                extra: self.extra.len(),
                not_listed: self.not_listed.len(),
            },
        };
        // Texts and numbers, which always have a JSON form.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Report, USERS_TOLD};

    #[test]
    fn the_members_are_in_the_order_of_the_contract() {
        let expected = r#"{"source":"clerk","complete":false,"provider":0,"rows":0,"missing":[],"different":[],"extra":[],"notListed":[],"repaired":0,"deleted":0,"refused":null,"counts":{"missing":0,"different":0,"extra":0,"notListed":0}}"#;
        assert_eq!(Report::new("clerk").to_json(), expected);
    }

    #[test]
    fn a_thousand_of_each_kind_are_told_and_all_are_counted() {
        let mut found = Found::default();
        for number in 0..2500 {
            found.push(number);
        }
        assert_eq!((found.count, found.first.len()), (2500, USERS_TOLD));
    }
}
