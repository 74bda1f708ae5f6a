//! Whether a list that was read to its end has all users.

use super::error::PullError;
use crate::store::RunCounts;

/// How much the number of listed users may differ from the provider's count, because some sign up and leave meanwhile.
fn tolerance(total: u64) -> u64 {
    5.max(total / 200)
}

/// Whether the provider's count is about the number of listed users.
pub(super) fn agrees(total: u64, listed: u64) -> bool {
    listed.abs_diff(total) <= tolerance(total)
}

/// Checks that a run that reached the end of the list has read all users. A user may be listed twice, so there may be
/// more users than the provider counts.
///
/// `has_rows` is whether the source already has users here.
pub(super) fn check(counts: RunCounts, total: Option<u64>, has_rows: bool) -> Result<(), PullError> {
    let RunCounts { seen, parked, .. } = counts;
    let total = total.unwrap_or_default();
    let refuse = |what: String| Err(PullError::Incomplete(what));
    if seen == 0 && total > 0 {
        return refuse(format!("the list is empty, but the provider reports {total} users"));
    }
    if seen == 0 && has_rows {
        return refuse("the list is empty, but this source has users here".to_owned());
    }
    if seen < total && !agrees(total, seen) {
        return refuse(format!("the list ended after {seen} users, but the provider reports {total}"));
    }
    if seen > 0 && parked == seen {
        return refuse(format!("none of the {seen} users could be read: are they from this provider?"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::store::RunCounts;

    fn is_complete(seen: u64, parked: u64, total: Option<u64>, has_rows: bool) -> bool {
        check(RunCounts { seen, parked, ..RunCounts::default() }, total, has_rows).is_ok()
    }

    #[test]
    fn a_list_without_too_many_users_is_incomplete() {
        for (seen, total, expected) in [
            (500, Some(1200), false),
            (94, Some(100), false),
            (95, Some(100), true),
            (9_950, Some(10_000), true),
            (9_949, Some(10_000), false),
            // Some users are listed twice, or there is no count.
            (150, Some(100), true),
            (3, None, true),
        ] {
            assert_eq!(is_complete(seen, 0, total, true), expected, "{seen} of {total:?}");
        }
    }

    #[test]
    fn an_empty_list_is_accepted_only_if_there_are_no_rows_and_no_count() {
        assert!(is_complete(0, 0, None, false));
        assert!(is_complete(0, 0, Some(0), false));
        assert!(!is_complete(0, 0, Some(1), false));
        assert!(!is_complete(0, 0, None, true));
    }

    #[test]
    fn a_list_without_a_readable_user_is_incomplete() {
        assert!(!is_complete(9, 9, None, false));
        assert!(is_complete(9, 8, None, false));
    }
}
