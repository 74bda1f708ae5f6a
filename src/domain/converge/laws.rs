//! The laws at the top of the module, each as a property over random histories, and over every order of small
//! ones.

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use super::Record;
use crate::domain::{Change, ChangeKind, Facts, Field, IdPolicy, Timestamp, UserKey};

const POLICIES: [IdPolicy; 2] = [IdPolicy::Final, IdPolicy::Reusable];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn facts(fields: &[(Field, Value)]) -> Facts {
    let mut facts = Facts::default();
    for (field, value) in fields {
        facts.set(*field, value.clone()).unwrap();
    }
    facts
}

fn change(stamp: i64, kind: ChangeKind) -> Change {
    Change { user: UserKey::new("source", "user"), stamp: at(stamp), kind }
}

fn upsert(created_at: i64, stamp: i64, fields: &[(Field, Value)]) -> Change {
    change(
        stamp,
        ChangeKind::Upsert { lifetime: Some(at(created_at)), event_time: None, facts: facts(fields) },
    )
}

fn claims(stamp: i64, fields: &[(Field, Value)]) -> Change {
    change(stamp, ChangeKind::Claims { facts: facts(fields) })
}

fn delete(stamp: i64) -> Change {
    change(stamp, ChangeKind::Delete)
}

fn email(address: &str) -> (Field, Value) {
    (Field::Email, json!(address))
}

fn given(name: &str) -> (Field, Value) {
    (Field::GivenName, json!(name))
}

/// The record of a history, one change after the other.
fn joined(history: &[Change], ids: IdPolicy) -> Record {
    history.iter().fold(Record::default(), |record, change| record.join(Record::of(change), ids))
}

fn email_of(record: &Record) -> Option<String> {
    record.life.as_ref().and_then(|life| life.profile().email)
}

/// A value of every kind that a field can have, few enough to meet often.
fn some_facts() -> impl Strategy<Value = Facts> {
    let texts = [Field::Name, Field::GivenName, Field::Email];
    let text = prop_oneof![Just(json!(null)), Just(json!("a")), Just(json!("b"))];
    let flag = prop_oneof![Just(json!(null)), Just(json!(true)), Just(json!(false))];
    (subsequence(texts.to_vec(), 0..=3), text, prop::option::of(flag)).prop_map(|(fields, text, verified)| {
        let mut facts = Facts::default();
        for field in fields {
            facts.set(field, text.clone()).unwrap();
        }
        if let Some(verified) = verified {
            facts.set(Field::EmailVerified, verified).unwrap();
        }
        facts
    })
}

/// Stamps and lifetimes from so small a range that ties, reversals and overlaps are the rule.
fn some_change() -> impl Strategy<Value = Change> {
    let upsert =
        (0..6_i64, prop::option::of(0..3_i64), some_facts()).prop_map(|(created_at, event_time, facts)| {
            ChangeKind::Upsert { lifetime: Some(at(created_at)), event_time: event_time.map(at), facts }
        });
    let claims = some_facts().prop_map(|facts| ChangeKind::Claims { facts });
    let kind = prop_oneof![4 => upsert, 1 => claims, 1 => Just(ChangeKind::Delete)];
    (0..8_i64, kind).prop_map(|(stamp, kind)| change(stamp, kind))
}

fn some_history() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(some_change(), 0..12)
}

fn some_policy() -> impl Strategy<Value = IdPolicy> {
    prop_oneof![Just(IdPolicy::Final), Just(IdPolicy::Reusable)]
}

proptest! {
    #[test]
    fn joining_is_commutative(one in some_history(), two in some_history(), ids in some_policy()) {
        let (one, two) = (joined(&one, ids), joined(&two, ids));
        prop_assert_eq!(one.clone().join(two.clone(), ids), two.join(one, ids));
    }

    #[test]
    fn joining_is_associative(
        one in some_history(), two in some_history(), three in some_history(), ids in some_policy(),
    ) {
        let [one, two, three] = [one, two, three].map(|history| joined(&history, ids));
        let left = one.clone().join(two.clone(), ids).join(three.clone(), ids);
        prop_assert_eq!(left, one.join(two.join(three, ids), ids));
    }

    #[test]
    fn joining_is_idempotent(history in some_history(), ids in some_policy()) {
        let record = joined(&history, ids);
        prop_assert_eq!(record.clone().join(record.clone(), ids), record);
    }

    #[test]
    fn any_order_and_any_repetition_give_the_same_record(
        (history, shuffled) in some_history().prop_flat_map(|history| {
            let twice: Vec<Change> = history.iter().chain(&history).cloned().collect();
            (Just(history), Just(twice).prop_shuffle())
        }),
        ids in some_policy(),
    ) {
        prop_assert_eq!(joined(&history, ids), joined(&shuffled, ids));
    }

    #[test]
    fn a_field_has_the_value_of_the_highest_stamp_that_carries_it(history in some_history()) {
        // Of one lifetime and without deletions or claims, so that the plain statement is the whole rule.
        let alive: Vec<Change> = history
            .into_iter()
            .filter_map(|change| match change.kind {
                ChangeKind::Upsert { facts, event_time, .. } => {
                    Some(Change { kind: ChangeKind::Upsert { lifetime: Some(at(0)), event_time, facts }, ..change })
                }
                _ => None,
            })
            .collect();
        let newest_value = |field: Field| {
            let carrying = alive.iter().filter_map(|change| {
                let ChangeKind::Upsert { facts, event_time, .. } = &change.kind else { return None };
                let value = facts.clone().into_iter().find(|(known, _)| *known == field)?.1;
                Some(((change.stamp, *event_time, facts.digest()), value))
            });
            carrying.max_by_key(|(rank, _)| *rank).map(|(_, value)| value)
        };
        let profile = joined(&alive, IdPolicy::Final).life.map(|life| life.profile()).unwrap_or_default();
        let text = |value: Option<Value>| value.and_then(|it| it.as_str().map(str::to_owned));
        prop_assert_eq!(profile.email, text(newest_value(Field::Email)));
        prop_assert_eq!(profile.given_name, text(newest_value(Field::GivenName)));
        prop_assert_eq!(profile.email_verified, newest_value(Field::EmailVerified).and_then(|it| it.as_bool()));
    }

    #[test]
    fn a_deleted_user_with_a_final_id_never_lives(history in some_history()) {
        let record = joined(&history, IdPolicy::Final);
        let deletions = history.iter().filter(|change| change.is_delete());
        prop_assert_eq!(record.deleted_at, deletions.map(|change| change.stamp).max());
        prop_assert!(record.deleted_at.is_none() || record.life.is_none());
    }

    #[test]
    fn a_reused_id_lives_only_in_a_lifetime_after_every_deletion(history in some_history()) {
        let record = joined(&history, IdPolicy::Reusable);
        if let (Some(deleted_at), Some(life)) = (record.deleted_at, &record.life) {
            prop_assert!(life.created_at().is_none_or(|created_at| created_at > deleted_at));
        }
    }

    #[test]
    fn a_record_survives_being_written_and_read(history in some_history(), ids in some_policy()) {
        let life = joined(&history, ids).life;
        let text = serde_json::to_string(&life).unwrap();
        prop_assert_eq!(serde_json::from_str::<Option<super::Life>>(&text).unwrap(), life);
    }
}

/// Every order of a history.
fn permutations(history: &[Change]) -> Vec<Vec<Change>> {
    if history.is_empty() {
        return vec![Vec::new()];
    }
    (0..history.len())
        .flat_map(|first| {
            let mut rest = history.to_vec();
            let head = rest.remove(first);
            permutations(&rest).into_iter().map(move |mut tail| {
                tail.insert(0, head.clone());
                tail
            })
        })
        .collect()
}

/// What every order of a history ends in; they must all agree.
fn in_every_order(history: &[Change], ids: IdPolicy) -> Record {
    let expected = joined(history, ids);
    for order in permutations(history) {
        assert_eq!(joined(&order, ids), expected, "{order:#?}");
    }
    expected
}

#[test]
fn every_order_of_a_partial_update_keeps_what_it_does_not_carry() {
    let history =
        [upsert(1, 1, &[email("a@x"), given("Ada")]), upsert(1, 2, &[email("b@x")]), upsert(1, 3, &[])];
    for ids in POLICIES {
        let life = in_every_order(&history, ids).life.unwrap();
        assert_eq!(life.profile().email.as_deref(), Some("b@x"));
        assert_eq!(life.profile().given_name.as_deref(), Some("Ada"));
        assert_eq!(life.updated_at(), at(3), "an update that carries nothing still dates the row");
    }
}

#[test]
fn every_order_of_create_delete_update_leaves_a_final_id_deleted() {
    let history =
        [upsert(1, 1, &[email("a@x")]), delete(2), upsert(1, 3, &[email("b@x")]), claims(4, &[given("A")])];
    assert_eq!(in_every_order(&history, IdPolicy::Final), Record { deleted_at: Some(at(2)), life: None });
}

#[test]
fn every_order_brings_a_reused_id_back_without_the_old_lifes_fields() {
    let history = [upsert(1, 1, &[email("a@x"), given("Ada")]), delete(5), upsert(6, 6, &[email("b@x")])];
    let record = in_every_order(&history, IdPolicy::Reusable);
    assert_eq!(email_of(&record).as_deref(), Some("b@x"));
    assert_eq!(record.life.unwrap().profile().given_name, None);
    assert_eq!(record.deleted_at, Some(at(5)));
}

#[test]
fn a_late_deletion_of_an_earlier_life_leaves_the_later_one_alone() {
    let history = [upsert(6, 6, &[email("b@x")]), delete(5), delete(3)];
    assert_eq!(email_of(&in_every_order(&history, IdPolicy::Reusable)).as_deref(), Some("b@x"));
    assert_eq!(in_every_order(&[upsert(5, 9, &[]), delete(5)], IdPolicy::Reusable).life, None);
}

#[test]
fn a_new_life_has_a_new_row_and_the_same_life_the_same() {
    let old = joined(&[upsert(1, 1, &[])], IdPolicy::Reusable);
    let newer = joined(&[upsert(1, 2, &[])], IdPolicy::Reusable);
    let reborn = joined(&[upsert(6, 6, &[])], IdPolicy::Reusable);
    assert!(newer.continues(&old, IdPolicy::Reusable));
    assert!(!reborn.continues(&old, IdPolicy::Reusable));
    assert!(reborn.continues(&old, IdPolicy::Final), "a final id has one life");
    let claimed = joined(&[claims(1, &[given("A")])], IdPolicy::Reusable);
    assert!(old.continues(&claimed, IdPolicy::Reusable), "a row that a token made becomes the provider's");
}

#[test]
fn claims_are_used_only_for_fields_that_the_provider_has_not_sent() {
    let history = [claims(9, &[email("claimed@x"), given("Claimed")]), upsert(1, 1, &[email("a@x")])];
    for ids in POLICIES {
        let life = in_every_order(&history, ids).life.unwrap();
        assert_eq!(life.profile().email.as_deref(), Some("a@x"));
        assert_eq!(life.profile().given_name.as_deref(), Some("Claimed"));
        assert_eq!(life.updated_at(), at(1), "the provider's stamp, if there is one");
    }
}

#[test]
fn a_claimed_name_gives_way_to_the_parts_that_the_provider_knows() {
    let history = [
        claims(9, &[(Field::Name, json!("Claimed Name"))]),
        upsert(1, 1, &[given("Grace"), (Field::FamilyName, json!("Hopper"))]),
    ];
    for ids in POLICIES {
        let life = in_every_order(&history, ids).life.unwrap();
        assert_eq!(life.profile().name.as_deref(), Some("Grace Hopper"));
    }
    let nameless = [claims(9, &[(Field::Name, json!("Claimed Name"))]), upsert(1, 1, &[email("a@x")])];
    let life = in_every_order(&nameless, IdPolicy::Final).life.unwrap();
    assert_eq!(life.profile().name.as_deref(), Some("Claimed Name"));
}

#[test]
fn a_claimed_name_stays_while_the_parts_from_the_provider_are_null() {
    let claimed = claims(9, &[(Field::Name, json!("Claimed Name"))]);
    let null_parts = upsert(1, 1, &[(Field::GivenName, json!(null)), (Field::FamilyName, json!(null))]);
    let one_part = upsert(1, 2, &[given("Grace")]);
    for ids in POLICIES {
        let life = in_every_order(&[claimed.clone(), null_parts.clone()], ids).life.unwrap();
        assert_eq!(life.profile().name.as_deref(), Some("Claimed Name"));
        let life =
            in_every_order(&[claimed.clone(), null_parts.clone(), one_part.clone()], ids).life.unwrap();
        assert_eq!(life.profile().name.as_deref(), Some("Grace"));
    }
}

#[test]
fn claims_from_before_a_deletion_are_not_used_in_the_next_lifetime() {
    let history = [claims(4, &[given("Old")]), delete(5), upsert(6, 6, &[email("b@x")])];
    let life = in_every_order(&history, IdPolicy::Reusable).life.unwrap();
    assert_eq!(life.profile().given_name, None);
    let history = [claims(6, &[given("New")]), delete(5)];
    assert!(in_every_order(&history, IdPolicy::Reusable).life.unwrap().is_claimed_only());
    assert_eq!(in_every_order(&history, IdPolicy::Final).life, None);
}

#[test]
fn fields_that_belong_together_come_from_one_change_at_equal_stamps() {
    let verified = [email("a@x"), (Field::EmailVerified, json!(true))];
    let unverified = [email("b@x"), (Field::EmailVerified, json!(false))];
    for ids in POLICIES {
        let record = in_every_order(&[upsert(1, 1, &verified), upsert(1, 1, &unverified)], ids);
        let profile = record.life.unwrap().profile();
        assert_eq!(profile.email_verified, Some(profile.email.as_deref() == Some("a@x")));
    }
}

#[test]
fn an_explicit_null_is_a_fact_and_an_absent_field_is_none() {
    let history = [upsert(1, 1, &[email("a@x"), given("Ada")]), upsert(1, 2, &[(Field::Email, json!(null))])];
    let profile = in_every_order(&history, IdPolicy::Final).life.unwrap().profile();
    assert_eq!((profile.email, profile.given_name.as_deref()), (None, Some("Ada")));
}

#[test]
fn a_deletion_in_seconds_is_final_for_users_in_milliseconds() {
    let millis = Timestamp::from_json(&json!(1_767_441_600_900_i64)).unwrap();
    let seconds = Timestamp::from_json(&json!(1_767_441_600)).unwrap();
    assert!(seconds < millis);
    let born = Change { stamp: millis, ..upsert(1, 1, &[email("a@x")]) };
    let gone = Change { stamp: seconds, ..delete(0) };
    assert_eq!(in_every_order(&[born, gone], IdPolicy::Final).life, None);
}

#[test]
fn of_equal_stamps_the_change_with_the_later_event_wins_whatever_its_digest() {
    let with_event_time = |address: &str, event_time: i64| {
        let kind = ChangeKind::Upsert {
            lifetime: Some(at(1)),
            event_time: Some(at(event_time)),
            facts: facts(&[email(address)]),
        };
        change(5, kind)
    };
    for (first, second) in [("a@x", "b@x"), ("b@x", "a@x")] {
        let record =
            in_every_order(&[with_event_time(first, 6), with_event_time(second, 7)], IdPolicy::Final);
        assert_eq!(email_of(&record).as_deref(), Some(second));
        // One without the time of its event is the older one.
        let record =
            in_every_order(&[upsert(1, 5, &[email(second)]), with_event_time(first, 6)], IdPolicy::Final);
        assert_eq!(email_of(&record).as_deref(), Some(first));
    }
}

#[test]
fn a_record_of_an_earlier_version_is_read() {
    let written = r#"{"provider":{"created_at":"1970-01-01T00:00:01Z","updated_at":"1970-01-01T00:00:05Z",
        "facts":{"email":[5000000,7,"a@x"]}}}"#;
    let life: super::Life = serde_json::from_str(written).unwrap();
    assert_eq!(life.profile().email.as_deref(), Some("a@x"));
    let grouped = r#"{"provider":{"created_at":"1970-01-01T00:00:01Z","updated_at":"1970-01-01T00:00:05Z","facts":[[5000000,7,{"email":"a@x"}]]}}"#;
    assert_eq!(serde_json::to_string(&life).unwrap(), grouped, "and is written in today's form");
}

#[test]
fn a_record_stores_once_what_the_fields_of_one_change_have_in_common() {
    let change_at = |stamp: i64, fields: &[(Field, Value)]| {
        let (lifetime, event_time) = (Some(at(1)), Some(at(stamp)));
        change(stamp, ChangeKind::Upsert { lifetime, event_time, facts: facts(fields) })
    };
    let all = [email("a@x"), given("Ada"), (Field::FamilyName, json!("King")), (Field::Nickname, json!("a"))];
    let history = [change_at(5, &all), change_at(6, &[email("b@x")])];
    let life = in_every_order(&history, IdPolicy::Final).life;
    let text = serde_json::to_string(&life).unwrap();
    assert_eq!((text.matches("5000000,").count(), text.matches("6000000,").count()), (1, 1), "{text}");
    assert_eq!(serde_json::from_str::<Option<super::Life>>(&text).unwrap(), life);
}
