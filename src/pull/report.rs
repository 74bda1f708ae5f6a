//! What a reconciliation found.

use serde::{Deserialize, Serialize};

use crate::domain::{Delivery, Timestamp};

/// How many users of each kind are listed at most; the counts include all of them.
const MAX_USERS_IN_JSON: usize = 1000;

/// What a reconciliation found. Ids only: no personal data.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) source: String,
    /// Whether the list was read to the provider's documented end.
    pub(crate) complete: bool,
    /// The number of users in the provider's list.
    pub(crate) provider: u64,
    /// The number of rows of the source.
    pub(crate) rows: u64,
    /// The number of rows that existed before the run. Those that the run itself has written prove nothing.
    pub(crate) older_rows: u64,
    /// Of those, the number whose users were listed.
    pub(crate) older_rows_listed: u64,
    pub(crate) drift: Drift,
    /// Rows without a user at the provider, with the time of the provider's answer.
    pub(crate) extra: Vec<(String, Option<Timestamp>)>,
    /// Whether the extra users could not be looked up by id.
    pub(crate) unconfirmed: bool,
    /// The number of rows that are not in the list, whose users signed up too recently for the list.
    pub(crate) recent: u64,
    /// Users who are found by id, but are not in the list.
    pub(crate) not_listed: Vec<String>,
    /// The data of those users.
    pub(crate) found: Vec<Delivery>,
    pub(crate) deleted: u64,
    /// Why no user was deleted.
    pub(crate) refused: Option<String>,
}

/// The differences between the provider's list and the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Drift {
    /// Users in the list without a row.
    pub(crate) missing: Found<String>,
    /// How many of those were deleted here. A list never undoes a deletion.
    #[serde(default)]
    pub(crate) deleted_here: u64,
    pub(crate) different: Found<Difference>,
    pub(crate) repaired: u64,
}

/// The first users of one kind, and their number.
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
        if self.first.len() < MAX_USERS_IN_JSON {
            self.first.push(user);
        }
    }
}

/// A row whose fields differ from the provider's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    pub(crate) external_id: String,
    /// The fields, by their names in the API.
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
    recent: u64,
}

impl Report {
    /// A report without findings.
    pub(crate) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), ..Self::default() }
    }

    /// Whether the table matches the provider's list, perhaps after repairs.
    pub(crate) fn matches_provider(&self) -> bool {
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
            extra: self.extra.iter().take(MAX_USERS_IN_JSON).map(|(id, _)| id.as_str()).collect(),
            not_listed: &self.not_listed[..self.not_listed.len().min(MAX_USERS_IN_JSON)],
            repaired: *repaired,
            deleted: self.deleted,
            refused: self.refused.as_deref(),
            counts: Counts {
                missing: missing.count,
                different: different.count,
                extra: self.extra.len(),
                not_listed: self.not_listed.len(),
                recent: self.recent,
            },
        };
        // These are strings and numbers, so serialization cannot fail.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, MAX_USERS_IN_JSON, Report};

    #[test]
    fn the_members_are_in_the_order_of_the_contract() {
        let expected = r#"{"source":"clerk","complete":false,"provider":0,"rows":0,"missing":[],"different":[],"extra":[],"notListed":[],"repaired":0,"deleted":0,"refused":null,"counts":{"missing":0,"different":0,"extra":0,"notListed":0,"recent":0}}"#;
        assert_eq!(Report::new("clerk").to_json(), expected);
    }

    #[test]
    fn a_thousand_of_each_kind_are_listed_and_all_are_counted() {
        let mut found = Found::default();
        for number in 0..2500 {
            found.push(number);
        }
        assert_eq!((found.count, found.first.len()), (2500, MAX_USERS_IN_JSON));
    }
}
