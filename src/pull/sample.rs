//! Whether the rows of a source are users of the instance that the key is for: some of them are looked up by id.
//!
//! Not every provider names its instance in its webhooks, and a table that was imported from a list never had one.

use super::client::ApiClient;
use super::error::PullError;
use crate::domain::UserKey;
use crate::providers::directory::{Directory, Lookup};
use crate::store::{Listing, Store};

/// How many rows are looked up. It is a number of requests, and some plans allow only two in a second.
const ROWS: usize = 10;
/// The rows are taken evenly from so many of the oldest. Those of another instance, if there are any, are newer.
const OLDEST: u64 = 500;
/// Fewer rows do not prevent a backfill.
const ENOUGH_ROWS: u64 = 5;

/// What the provider said of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// The rows of which the provider said whether their users exist.
    pub(super) rows: u64,
    /// Of those, the rows whose users exist.
    pub(super) found: u64,
}

impl Sample {
    /// Looks some rows of a source up. The sample is empty if there are no rows, or no lookups by id.
    pub(super) async fn take(
        client: &ApiClient,
        directory: &dyn Directory,
        store: &Store,
        source: &str,
    ) -> Result<Self, PullError> {
        let listing =
            Listing { source: Some(source.to_owned()), after: None, limit: OLDEST, ..Listing::default() };
        let rows = store.users().list(&listing).await?.users;
        let mut sample = Self::default();
        for row in evenly(rows.len()) {
            let Some(UserKey { external_id, .. }) = rows.get(row).map(|user| &user.key) else { continue };
            let Some(request) = directory.lookup(external_id) else { continue };
            match directory.read_lookup(&client.send_for_any_answer(&request).await?) {
                Lookup::Found(_) => {
                    sample.rows += 1;
                    sample.found += 1;
                }
                Lookup::NotFound => sample.rows += 1,
                Lookup::Unknown(_) => {}
            }
        }
        Ok(sample)
    }

    /// Refuses a repair if most rows do not exist at the provider.
    pub(super) fn check_for_repair(self) -> Result<(), PullError> {
        if self.found * 2 < self.rows { Err(self.wrong_instance()) } else { Ok(()) }
    }

    /// Refuses a backfill if none of several rows exists at the provider. A few may be examples that the provider's
    /// dashboard has sent.
    pub(super) fn check_for_backfill(self) -> Result<(), PullError> {
        if self.found == 0 && self.rows >= ENOUGH_ROWS { Err(self.wrong_instance()) } else { Ok(()) }
    }

    fn wrong_instance(self) -> PullError {
        let Self { rows, found } = self;
        PullError::WrongInstance(format!(
            "of {rows} rows that were looked up {found} exist at the provider: check that the key under [sources.api] is \
             for the instance of these users; users of two instances belong in two sources"
        ))
    }
}

/// The positions of the sample in a list of this length.
fn evenly(length: usize) -> impl Iterator<Item = usize> {
    let step = length.div_ceil(ROWS).max(1);
    (0..length).step_by(step)
}

#[cfg(test)]
mod tests {
    use super::{ROWS, Sample, evenly};

    #[test]
    fn the_sample_is_spread_and_small() {
        assert_eq!(evenly(0).count(), 0);
        assert_eq!(evenly(3).collect::<Vec<_>>(), [0, 1, 2]);
        for length in [10, 11, 499, 500] {
            let positions: Vec<usize> = evenly(length).collect();
            assert!(positions.len() <= ROWS && positions.len() * 2 >= ROWS, "{length}: {positions:?}");
            assert!(positions.iter().all(|position| *position < length));
        }
    }

    #[test]
    fn half_of_the_rows_must_exist_for_a_repair_and_one_of_several_for_a_backfill() {
        let repair = |found, rows| Sample { rows, found }.check_for_repair().is_ok();
        assert!(repair(0, 0) && repair(5, 10) && repair(1, 1));
        assert!(!repair(4, 10) && !repair(0, 1));
        let backfill = |found, rows| Sample { rows, found }.check_for_backfill().is_ok();
        assert!(backfill(0, 0) && backfill(0, 4) && backfill(1, 10));
        assert!(!backfill(0, 5) && !backfill(0, 10));
    }
}
