//! Detects a list that never ends: cursors that form a cycle, a server that ignores the paging, pages without users.
//!
//! Some pages may repeat users, because a run that has lost its position starts again. So it counts how many pages have
//! new users. It does not use cursors, so it works for every provider.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::providers::directory::ListError;

/// How many pages without a new user are allowed.
const FREE_PAGES: u64 = 20;
/// How many more are allowed for each page with a new user: a run at WorkOS may start again three times.
const PAGES_PER_NEW_PAGE: u64 = 3;
/// The size of the bitmap of ids. It takes at most 16 MiB of memory, for any number of users; unused parts take none.
const BITS: u64 = 1 << 27;

/// Counts the pages of a run in this process.
#[derive(Debug)]
pub(super) struct Repetition {
    /// A bit for each id that was read, by its hash. Two ids may share a bit, but that is unlikely for many pages in a
    /// row.
    read: Vec<u64>,
    pages: u64,
    new_pages: u64,
}

impl Repetition {
    pub(super) fn new() -> Self {
        Self { read: vec![0; usize::try_from(BITS / 64).unwrap_or_default()], pages: 0, new_pages: 0 }
    }

    /// Counts a page with the users of these ids. Fails when the list makes no progress any more.
    pub(super) fn page<T: Hash>(&mut self, ids: impl IntoIterator<Item = T>) -> Result<(), ListError> {
        let mut is_new = false;
        for id in ids {
            is_new |= self.mark(&id);
        }
        self.pages += 1;
        self.new_pages += u64::from(is_new);
        let Self { pages, new_pages, .. } = *self;
        if pages - new_pages <= FREE_PAGES + PAGES_PER_NEW_PAGE * new_pages {
            return Ok(());
        }
        Err(ListError::Repeats(format!(
            "only {new_pages} of {pages} pages had users who were not on earlier pages, so the list has no end"
        )))
    }

    /// Marks an id; returns whether it was not marked before.
    fn mark(&mut self, id: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let bit = hasher.finish() % BITS;
        let Some(word) = usize::try_from(bit / 64).ok().and_then(|at| self.read.get_mut(at)) else {
            return false;
        };
        let mask = 1 << (bit % 64);
        let is_new = *word & mask == 0;
        *word |= mask;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::Repetition;

    /// How many pages are read before the run fails; `None` if it does not.
    fn stopped_after(pages: impl IntoIterator<Item = Vec<u32>>) -> Option<usize> {
        let mut repetition = Repetition::new();
        pages.into_iter().position(|page| repetition.page(page).is_err())
    }

    fn page(number: u32) -> Vec<u32> {
        (number * 10..(number + 1) * 10).collect()
    }

    #[test]
    fn a_long_list_with_new_users_is_read_to_the_end() {
        assert_eq!(stopped_after((0..20_000).map(page)), None);
        // The whole list three times more, as when a run at WorkOS starts again, and with some empty pages.
        assert_eq!(stopped_after((0..4).flat_map(|_| (0..2000).map(page))), None);
        assert_eq!(stopped_after((0..1000).map(|n| if n % 2 == 0 { Vec::new() } else { page(n) })), None);
    }

    #[test]
    fn a_list_that_repeats_itself_is_not_read_for_ever() {
        for period in [1, 2, 3, 500] {
            let after = stopped_after((0..1_000_000).map(|n| page(n % period))).unwrap();
            assert!(after <= 4 * period as usize + 20, "{period}: {after}");
        }
        // The same users in a different order each time.
        assert!(stopped_after((0..1000).map(|n| vec![n % 7, (n * 3) % 11])).is_some());
        assert!(stopped_after((0..1000).map(|_| Vec::new())).is_some());
    }
}
