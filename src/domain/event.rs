//! Which events a change makes, and how events of one user become one.
//!
//! An event reports that a user changed, not how: its body is made from the row as it is when the event is sent. So
//! events of one user that have not been sent yet collapse to the newest.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Life, StoredUser, Timestamp, UserId, UserKey};

/// What happened to a user.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
pub enum EventKind {
    /// A row was created.
    #[strum(serialize = "user.created")]
    Created,
    /// What the API shows of the user changed.
    #[strum(serialize = "user.updated")]
    Updated,
    /// The row was deleted.
    #[strum(serialize = "user.deleted")]
    Deleted,
}

impl EventKind {
    /// Its name, such as `user.created`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A user changed. Contains no personal data but the provider's id, as a tombstone does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The user.
    pub user: UserKey,
    /// The id of the row, which is another one for each lifetime.
    pub id: UserId,
    /// What happened.
    pub kind: EventKind,
    /// For an update, the names of the changed fields.
    pub changed: Vec<String>,
    /// The provider's time of the change.
    pub stamp: Timestamp,
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its sequence number in the log; later events have higher ones.
    pub sequence: i64,
    /// The id of the event.
    pub event_id: Uuid,
    /// The event.
    pub event: Event,
    /// When it was logged.
    pub at: Timestamp,
}

/// The events that a change of what is stored of a user makes, in order.
///
/// There is none if the API shows the same as before, or only another `updatedAt`. If a new row replaces another one,
/// the events are the deletion of the old row and the creation of the new one.
pub fn events_of(user: &UserKey, before: Option<&StoredUser>, now: &StoredUser) -> Vec<Event> {
    let row = |stored: &StoredUser| stored.id.zip(stored.record.life.clone());
    let event = |id, kind, changed, stamp| Event { user: user.clone(), id, kind, changed, stamp };
    let created = |id, life: &Life| event(id, EventKind::Created, Vec::new(), life.updated_at());
    let deleted = |id, stamp| event(id, EventKind::Deleted, Vec::new(), stamp);
    match (before.and_then(row), row(now)) {
        (None, None) => Vec::new(),
        (None, Some((id, life))) => vec![created(id, &life)],
        (Some((id, life)), None) => {
            vec![deleted(id, now.record.deleted_at.unwrap_or_else(|| life.updated_at()))]
        }
        (Some((old, _)), Some((new, life))) if old != new => {
            let ended_at = now.record.deleted_at.or(life.created_at());
            vec![deleted(old, ended_at.unwrap_or_else(|| life.updated_at())), created(new, &life)]
        }
        (Some((id, old)), Some((_, new))) => {
            let changed = changed_fields(&old, &new);
            if changed.is_empty() {
                return Vec::new();
            }
            vec![event(id, EventKind::Updated, changed, new.updated_at())]
        }
    }
}

/// The names of the fields of the user that differ; `updatedAt` and `syncedAt` are never among them.
fn changed_fields(old: &Life, new: &Life) -> Vec<String> {
    let mut names = old.profile().difference(&new.profile());
    if old.created_at() != new.created_at() {
        names.push("createdAt");
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Merges two events of one row; `None` if nothing has to be sent.
///
/// `may_be_received` is whether the older one may have been received: then the deletion must be sent as well.
fn merge(older: LoggedEvent, may_be_received: bool, newer: LoggedEvent) -> Option<LoggedEvent> {
    use EventKind::{Created, Deleted, Updated};
    let kind = match (older.event.kind, newer.event.kind) {
        (Created, Deleted) if !may_be_received => return None,
        (_, Deleted) => Deleted,
        (Created, _) | (_, Created) => Created,
        (Updated | Deleted, Updated) => Updated,
    };
    let mut changed = Vec::new();
    if kind == Updated {
        changed = older.event.changed;
        for name in newer.event.changed {
            if !changed.contains(&name) {
                changed.push(name);
            }
        }
    }
    Some(LoggedEvent { event: Event { kind, changed, ..newer.event }, ..newer })
}

/// Merges the events of one row, given in the order of the log, each with whether it may have been received.
pub fn collapse_user(events: impl IntoIterator<Item = (LoggedEvent, bool)>) -> Option<LoggedEvent> {
    let mut merged: Option<LoggedEvent> = None;
    let mut may_be_received = false;
    for (event, may_this_be_received) in events {
        merged = match merged {
            Some(older) => merge(older, may_be_received, event),
            None => Some(event),
        };
        may_be_received |= may_this_be_received;
    }
    merged
}

/// Merges the events of each row, for a receiver that has received none of them, in the order of the log.
pub fn collapse(events: impl IntoIterator<Item = LoggedEvent>) -> Vec<LoggedEvent> {
    let mut of_row: BTreeMap<UserId, Vec<(LoggedEvent, bool)>> = BTreeMap::new();
    for event in events {
        of_row.entry(event.event.id).or_default().push((event, false));
    }
    let mut collapsed: Vec<LoggedEvent> = of_row.into_values().filter_map(collapse_user).collect();
    collapsed.sort_by_key(|event| event.sequence);
    collapsed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::{Event, EventKind, LoggedEvent, collapse, collapse_user, events_of};
    use crate::domain::{Change, ChangeKind, Facts, IdPolicy, StoredUser, Timestamp, UserId, UserKey};

    fn ada() -> UserKey {
        UserKey::new("auth0", "ada")
    }

    fn upsert(created_at: i64, stamp: i64, facts: Value) -> Change {
        let Value::Object(facts) = facts else { unreachable!("the facts of a test are an object") };
        let field =
            |name: &str| crate::domain::Field::ALL.iter().copied().find(|it| it.name() == name).unwrap();
        let mut read = Facts::default();
        for (name, value) in facts {
            read.set(field(&name), value).unwrap();
        }
        let lifetime = Some(Timestamp::from_seconds(created_at));
        let kind = ChangeKind::Upsert { lifetime, event_time: None, facts: read };
        Change { user: ada(), stamp: Timestamp::from_seconds(stamp), kind }
    }

    fn deletion(stamp: i64) -> Change {
        Change { user: ada(), stamp: Timestamp::from_seconds(stamp), kind: ChangeKind::Delete }
    }

    /// The events of each change in a history: kind, number of the row's id, changed fields.
    fn events_of_history(history: &[Change]) -> Vec<Vec<(&'static str, u128, String)>> {
        let mut last = 0;
        let mut stored = StoredUser::default();
        let mut events = |change: &Change| {
            let before = stored.clone();
            stored.apply(change, IdPolicy::Reusable, &mut || {
                last += 1;
                UserId(Uuid::from_u128(last))
            });
            let events = events_of(&ada(), Some(&before), &stored);
            events.iter().map(|it| (it.kind.name(), it.id.0.as_u128(), it.changed.join(","))).collect()
        };
        history.iter().map(&mut events).collect()
    }

    #[test]
    fn a_change_makes_an_event_only_if_the_api_shows_something_else() {
        let history = [
            upsert(1, 1, json!({"email": "a@example.com"})),
            // Only the stamp is different.
            upsert(1, 2, json!({"email": "a@example.com"})),
            upsert(1, 3, json!({"email": "b@example.com", "nickname": "ada", "givenName": "Ada"})),
            // Older than what is known.
            upsert(1, 2, json!({"email": "a@example.com"})),
            deletion(5),
            deletion(6),
            upsert(7, 7, json!({})),
            // The next lifetime, without a deletion before it.
            upsert(8, 8, json!({})),
        ];
        let none = Vec::new();
        let one = |kind, id, changed: &str| vec![(kind, id, changed.to_owned())];
        assert_eq!(
            events_of_history(&history),
            [
                one("user.created", 1, ""),
                none.clone(),
                one("user.updated", 1, "name,givenName,nickname,email"),
                none.clone(),
                one("user.deleted", 1, ""),
                none,
                one("user.created", 2, ""),
                vec![("user.deleted", 2, String::new()), ("user.created", 3, String::new())],
            ]
        );
    }

    #[test]
    fn the_deletion_of_a_user_without_a_row_makes_no_event() {
        assert_eq!(events_of_history(&[deletion(1)]), [vec![]]);
    }

    fn logged(sequence: i64, id: u128, kind: EventKind, changed: &[&str]) -> LoggedEvent {
        let changed = changed.iter().map(|it| (*it).to_owned()).collect();
        let stamp = Timestamp::from_seconds(sequence);
        let event = Event { user: ada(), id: UserId(Uuid::from_u128(id)), kind, changed, stamp };
        LoggedEvent { sequence, event_id: Uuid::from_u128(sequence.unsigned_abs().into()), event, at: stamp }
    }

    #[test]
    fn events_of_a_user_collapse_to_the_newest() {
        use EventKind::{Created, Deleted, Updated};
        let merged = |events: &[(EventKind, bool)]| {
            let events = events.iter().zip(1..);
            collapse_user(events.map(|((kind, sent), number)| (logged(number, 1, *kind, &["email"]), *sent)))
                .map(|it| (it.event.kind, it.sequence))
        };
        assert_eq!(merged(&[(Created, false), (Updated, false)]), Some((Created, 2)));
        assert_eq!(merged(&[(Created, true), (Updated, false)]), Some((Created, 2)));
        assert_eq!(merged(&[(Created, false), (Updated, false), (Deleted, false)]), None);
        assert_eq!(merged(&[(Created, true), (Updated, false), (Deleted, false)]), Some((Deleted, 3)));
        assert_eq!(merged(&[(Updated, false), (Updated, false)]), Some((Updated, 2)));
        assert_eq!(merged(&[(Updated, false), (Deleted, false)]), Some((Deleted, 2)));
        assert_eq!(merged(&[]), None);
    }

    #[test]
    fn the_next_lifetime_comes_after_the_end_of_the_previous_one() {
        use EventKind::{Created, Deleted, Updated};
        let log = [
            logged(1, 1, Updated, &["email"]),
            logged(2, 2, Created, &[]),
            logged(3, 1, Updated, &["name"]),
            logged(4, 1, Deleted, &[]),
            logged(5, 3, Created, &[]),
            logged(6, 2, Deleted, &[]),
            logged(7, 3, Updated, &["email"]),
        ];
        let collapsed: Vec<_> =
            collapse(log).iter().map(|it| (it.sequence, it.event.id.0.as_u128(), it.event.kind)).collect();
        assert_eq!(collapsed, [(4, 1, Deleted), (7, 3, Created)]);
        let changed =
            collapse([logged(1, 1, Updated, &["email"]), logged(2, 1, Updated, &["name", "email"])]);
        assert_eq!(changed[0].event.changed, ["email", "name"]);
    }

    /// A log like that of real changes: each row is created, updated, and finally deleted.
    fn logs() -> impl Strategy<Value = Vec<LoggedEvent>> {
        let fields = prop::collection::vec(prop::sample::select(vec!["email", "name", "nickname"]), 1..3);
        prop::collection::vec((0..4_u128, prop::bool::weighted(0.2), fields), 0..40).prop_map(|steps| {
            let mut rows: [Option<u128>; 4] = [None; 4];
            let mut last = 0;
            let mut log = Vec::new();
            for (sequence, (user, deletes, fields)) in (1..).zip(steps) {
                let row = &mut rows[usize::try_from(user).unwrap()];
                let (id, kind) = match *row {
                    None => {
                        last += 1;
                        *row = Some(last);
                        (last, EventKind::Created)
                    }
                    Some(id) if deletes => {
                        *row = None;
                        (id, EventKind::Deleted)
                    }
                    Some(id) => (id, EventKind::Updated),
                };
                let changed = if kind == EventKind::Updated { fields } else { Vec::new() };
                log.push(logged(sequence, id, kind, &changed));
            }
            log
        })
    }

    proptest! {
        #[test]
        fn collapsing_in_parts_gives_the_same_result(log in logs(), cut in 0..40_usize) {
            let (first, rest) = log.split_at(cut.min(log.len()));
            let parts: Vec<_> = collapse(first.to_vec()).into_iter().chain(rest.to_vec()).collect();
            prop_assert_eq!(collapse(parts), collapse(log));
        }

        #[test]
        fn a_new_receiver_ends_up_with_the_rows_that_exist(log in logs()) {
            let rows = |events: &[LoggedEvent]| {
                let mut rows = std::collections::BTreeSet::new();
                for it in events {
                    if it.event.kind == EventKind::Deleted { rows.remove(&it.event.id) } else { rows.insert(it.event.id) };
                }
                rows
            };
            let collapsed = collapse(log.clone());
            prop_assert_eq!(rows(&collapsed), rows(&log));
            prop_assert!(collapsed.iter().all(|it| it.event.kind == EventKind::Created), "each row has its first event");
            prop_assert!(collapsed.is_sorted_by(|one, next| one.sequence < next.sequence));
        }

        #[test]
        fn a_row_that_may_have_been_received_is_reported_as_deleted(log in logs()) {
            for id in log.iter().map(|it| it.event.id) {
                let of_row: Vec<_> = log.iter().filter(|it| it.event.id == id).cloned().collect();
                let last = of_row.last().unwrap().clone();
                let merged = collapse_user(of_row.into_iter().map(|it| (it, true))).unwrap();
                prop_assert_eq!(merged.event.kind == EventKind::Deleted, last.event.kind == EventKind::Deleted);
                prop_assert_eq!(merged.sequence, last.sequence);
            }
        }
    }
}
