//! Notices a list that has no end: cursors that go round in a circle, a server that ignores the paging, pages without users.
//!
//! A page now and then may repeat users: a walk that has lost its place begins anew. So what counts is how many pages
//! bring somebody new. Nothing here looks at cursors, so it is the same for every provider.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::providers::directory::ListError;

/// So many pages may bring nobody new.
const FREE_PAGES: u64 = 20;
/// And so many for each page that did: a walk of WorkOS may begin anew three times.
const PAGES_PER_NEW_PAGE: u64 = 3;
/// Of the memory of ids. Only what is used of it takes memory: 16 MiB at the most, however many users there are.
const BITS: u64 = 1 << 27;

/// Counts the pages of a walk in this process.
#[derive(Debug)]
pub(super) struct Repetition {
    /// A bit for each id that was read, by its hash. Two ids may share one, which many pages in a row do not.
    read: Vec<u64>,
    pages: u64,
    new_pages: u64,
}

impl Repetition {
    pub(super) fn new() -> Self {
        Self { read: vec![0; usize::try_from(BITS / 64).unwrap_or_default()], pages: 0, new_pages: 0 }
    }

    /// A page with the users of these ids. Fails when the walk does not come forward any more.
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
            "only {new_pages} of {pages} pages had users who were not in the pages before, so the walk cannot come to its end"
        )))
    }

    /// Whether an id was not marked before.
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

    /// How many pages are read before the walk is given up; `None` if it is not.
    fn given_up_after(pages: impl IntoIterator<Item = Vec<u32>>) -> Option<usize> {
        let mut repetition = Repetition::new();
        pages.into_iter().position(|page| repetition.page(page).is_err())
    }

    fn page(number: u32) -> Vec<u32> {
        (number * 10..(number + 1) * 10).collect()
    }

    #[test]
    fn a_list_that_comes_forward_is_read_however_long_it_is() {
        assert_eq!(given_up_after((0..20_000).map(page)), None);
        // The whole list three times more, as when a walk of WorkOS begins anew, and an empty page now and then.
        assert_eq!(given_up_after((0..4).flat_map(|_| (0..2000).map(page))), None);
        assert_eq!(given_up_after((0..1000).map(|n| if n % 2 == 0 { Vec::new() } else { page(n) })), None);
    }

    #[test]
    fn a_list_that_goes_round_in_a_circle_is_given_up() {
        for circle in [1, 2, 3, 500] {
            let after = given_up_after((0..1_000_000).map(|n| page(n % circle))).unwrap();
            assert!(after <= 4 * circle as usize + 20, "{circle}: {after}");
        }
        // In another order each time.
        assert!(given_up_after((0..1000).map(|n| vec![n % 7, (n * 3) % 11])).is_some());
        assert!(given_up_after((0..1000).map(|_| Vec::new())).is_some());
    }
}
