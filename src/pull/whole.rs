//! Whether a list that came to its end had everybody.

use super::error::PullError;
use crate::store::RunCounts;

/// How many users a list may lack of those whom the provider counts: some sign up and leave meanwhile.
fn tolerance(total: u64) -> u64 {
    5.max(total / 200)
}

/// Whether the provider counts about as many users as it has listed.
pub(super) fn agrees(total: u64, listed: u64) -> bool {
    listed.abs_diff(total) <= tolerance(total)
}

/// Whether a walk that came to its end has read everybody. A user who is listed twice does no harm, so there may be more
/// than the provider counts.
///
/// `has_rows` tells whether the source has users here already.
pub(super) fn check(counts: RunCounts, total: Option<u64>, has_rows: bool) -> Result<(), PullError> {
    let RunCounts { seen, parked, .. } = counts;
    let total = total.unwrap_or_default();
    let refuse = |what: String| Err(PullError::NotWhole(what));
    if seen == 0 && total > 0 {
        return refuse(format!("the list is empty, but the provider says that it has {total} users"));
    }
    if seen == 0 && has_rows {
        return refuse("the list is empty, but this source has users here".to_owned());
    }
    if seen < total && !agrees(total, seen) {
        return refuse(format!(
            "the list ended after {seen} users, but the provider says that it has {total}"
        ));
    }
    if seen > 0 && parked == seen {
        return refuse(format!("none of the {seen} users could be understood: are they of this provider?"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::store::RunCounts;

    fn is_whole(seen: u64, parked: u64, total: Option<u64>, has_rows: bool) -> bool {
        check(RunCounts { seen, parked, ..RunCounts::default() }, total, has_rows).is_ok()
    }

    #[test]
    fn a_list_that_lacks_more_users_than_sign_up_meanwhile_is_not_whole() {
        for (seen, total, expected) in [
            (500, Some(1200), false),
            (94, Some(100), false),
            (95, Some(100), true),
            (9_950, Some(10_000), true),
            (9_949, Some(10_000), false),
            // Some are listed twice, or nothing is known.
            (150, Some(100), true),
            (3, None, true),
        ] {
            assert_eq!(is_whole(seen, 0, total, true), expected, "{seen} of {total:?}");
        }
    }

    #[test]
    fn an_empty_list_is_believed_only_where_nobody_is_known() {
        assert!(is_whole(0, 0, None, false));
        assert!(is_whole(0, 0, Some(0), false));
        assert!(!is_whole(0, 0, Some(1), false));
        assert!(!is_whole(0, 0, None, true));
    }

    #[test]
    fn a_list_of_which_nobody_is_understood_is_not_whole() {
        assert!(!is_whole(9, 9, None, false));
        assert!(is_whole(9, 8, None, false));
    }
}
