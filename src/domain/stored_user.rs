//! What the database has of one user, and how one change alters it.

use super::{Change, IdPolicy, Outcome, Record, UserId};

/// What is stored of one user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredUser {
    /// The id of the row in `users`; `None` while the user has no row.
    pub id: Option<UserId>,
    /// Everything that is known of the user.
    pub record: Record,
}

/// Why a change altered nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The user, or the lifetime that the change belongs to, was deleted.
    Deleted,
    /// All facts of the change were already known, or newer ones are known.
    NothingNew,
}

impl StaleReason {
    /// The reason, for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "the user was deleted before; later events about a deleted user are not applied",
            Self::NothingNew => "it contains nothing new: the stored data is the same or newer",
        }
    }
}

impl StoredUser {
    /// Why a change altered nothing, if [`Self::apply`] has just returned `Stale`.
    pub fn stale_reason(&self, change: &Change, ids: IdPolicy) -> StaleReason {
        if self.record.has_ended(change, ids) { StaleReason::Deleted } else { StaleReason::NothingNew }
    }

    /// Joins one change to what is known.
    ///
    /// The outcome is `Applied` if the record changed, else `Stale`. `fresh_id` gives the id of a new row.
    pub fn apply(&mut self, change: &Change, ids: IdPolicy, fresh_id: &mut dyn FnMut() -> UserId) -> Outcome {
        let record = self.record.clone().join(Record::of(change), ids);
        if record == self.record {
            return Outcome::Stale;
        }
        self.replace_record(record, ids, fresh_id);
        Outcome::Applied
    }

    /// Puts another record in the place of the known one. The row keeps its id while the user's lifetime lasts.
    pub fn replace_record(&mut self, record: Record, ids: IdPolicy, fresh_id: &mut dyn FnMut() -> UserId) {
        self.id = match self.id {
            _ if record.life.is_none() => None,
            Some(id) if record.continues(&self.record, ids) => Some(id),
            _ => Some(fresh_id()),
        };
        self.record = record;
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{StaleReason, StoredUser};
    use crate::domain::{Change, ChangeKind, Facts, IdPolicy, Outcome, Timestamp, UserId, UserKey};

    fn change(stamp: i64, kind: ChangeKind) -> Change {
        Change { user: UserKey::new("auth0", "ada"), stamp: Timestamp::from_seconds(stamp), kind }
    }

    fn upsert(created_at: i64, stamp: i64) -> Change {
        let lifetime = Some(Timestamp::from_seconds(created_at));
        change(stamp, ChangeKind::Upsert { lifetime, event_time: None, facts: Facts::default() })
    }

    /// Applies changes one after the other; each outcome, and the number of the row's id after it.
    fn outcomes(changes: &[Change]) -> Vec<(Outcome, Option<u128>)> {
        let mut last = 0;
        let mut fresh_id = || {
            last += 1;
            UserId(Uuid::from_u128(last))
        };
        let mut user = StoredUser::default();
        let apply = |change: &Change| {
            let outcome = user.apply(change, IdPolicy::Reusable, &mut fresh_id);
            (outcome, user.id.map(|id| id.0.as_u128()))
        };
        changes.iter().map(apply).collect()
    }

    #[test]
    fn the_row_keeps_its_id_for_one_lifetime_and_the_next_lifetime_has_another() {
        use Outcome::{Applied, Stale};
        let deletion = change(5, ChangeKind::Delete);
        let history = [upsert(1, 1), upsert(1, 2), upsert(1, 2), deletion.clone(), deletion, upsert(6, 6)];
        let expected = [
            (Applied, Some(1)),
            (Applied, Some(1)),
            (Stale, Some(1)),
            (Applied, None),
            (Stale, None),
            (Applied, Some(2)),
        ];
        assert_eq!(outcomes(&history), expected);
    }

    #[test]
    fn a_stale_change_is_one_of_a_deleted_lifetime_or_says_nothing_new() {
        let reason = |history: &[Change], change: &Change, ids| {
            let mut user = StoredUser::default();
            let mut fresh_id = || UserId(Uuid::from_u128(1));
            for change in history {
                user.apply(change, ids, &mut fresh_id);
            }
            assert_eq!(user.apply(change, ids, &mut fresh_id), Outcome::Stale);
            user.stale_reason(change, ids)
        };
        let deletion = || change(5, ChangeKind::Delete);
        for ids in [IdPolicy::Final, IdPolicy::Reusable] {
            assert_eq!(reason(&[upsert(1, 2)], &upsert(1, 1), ids), StaleReason::NothingNew);
            assert_eq!(reason(&[upsert(1, 1), deletion()], &upsert(1, 1), ids), StaleReason::Deleted);
            assert_eq!(reason(&[deletion()], &deletion(), ids), StaleReason::Deleted);
        }
        assert_eq!(reason(&[deletion()], &upsert(6, 6), IdPolicy::Final), StaleReason::Deleted);
        let next_lifetime = [upsert(1, 1), deletion(), upsert(6, 6)];
        assert_eq!(reason(&next_lifetime, &upsert(6, 6), IdPolicy::Reusable), StaleReason::NothingNew);
    }
}
