//! The activity of a source: when a delivery was last accepted, and which deliveries were refused since then.

use super::Timestamp;

/// A summary of the deliveries of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// When a delivery was last accepted, whatever its outcome.
    pub last_delivery_at: Option<Timestamp>,
    /// When a delivery was last refused because of its signature or token.
    pub last_refused_at: Option<Timestamp>,
    /// The first refusal since the last delivery that was accepted.
    pub refused_since: Option<Timestamp>,
    /// How many were refused since then.
    pub refused: u64,
}

impl Activity {
    /// Notes an accepted delivery.
    pub fn accept(&mut self, at: Timestamp) {
        self.last_delivery_at = self.last_delivery_at.max(Some(at));
        self.refused_since = None;
        self.refused = 0;
    }

    /// Notes a refused delivery.
    pub fn refuse(&mut self, at: Timestamp) {
        self.last_refused_at = self.last_refused_at.max(Some(at));
        self.refused_since.get_or_insert(at);
        self.refused += 1;
    }

    /// Adds `later`, the activity that another replica noted or that came later.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let mut both = self;
        if let Some(at) = later.last_delivery_at {
            both.accept(at);
        }
        both.last_refused_at = both.last_refused_at.max(later.last_refused_at);
        both.refused_since = [both.refused_since, later.refused_since].into_iter().flatten().min();
        both.refused += later.refused;
        both
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Activity;
    use crate::domain::Timestamp;

    fn activity_of(events: &[bool], from: i64) -> Activity {
        let mut activity = Activity::default();
        for (second, is_accepted) in (from..).zip(events) {
            let at = Timestamp::from_seconds(second);
            if *is_accepted { activity.accept(at) } else { activity.refuse(at) }
        }
        activity
    }

    #[test]
    fn refusals_are_counted_since_the_last_delivery() {
        let activity = activity_of(&[false, true, false, false], 10);
        assert_eq!(activity.last_delivery_at, Some(Timestamp::from_seconds(11)));
        assert_eq!(activity.refused_since, Some(Timestamp::from_seconds(12)));
        assert_eq!(activity.last_refused_at, Some(Timestamp::from_seconds(13)));
        assert_eq!(activity.refused, 2);
        assert_eq!(activity_of(&[false, true], 10).refused_since, None);
    }

    proptest! {
        #[test]
        fn adding_in_parts_gives_the_same_result(
            events in proptest::collection::vec(any::<bool>(), 0..30),
            cut in 0_usize..30,
        ) {
            let (before, after) = events.split_at(cut.min(events.len()));
            let later = activity_of(after, i64::try_from(before.len()).unwrap());
            prop_assert_eq!(activity_of(before, 0).and(later), activity_of(&events, 0));
        }
    }
}
