//! Which change wrote each field of a record, and how the fields of one change compare with the record.

use serde_json::Value;

use super::{Life, Record, Register, Registers};
use crate::domain::{Change, Field, IdPolicy, Timestamp};

/// What one change says about one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// The field.
    pub field: Field,
    /// Its value; null is a value too.
    pub value: Value,
    /// The change's stamp.
    pub stamp: Timestamp,
    /// The time of the event, by the provider's clock.
    pub event_time: Option<Timestamp>,
    /// Whether it comes from the claims of a token.
    pub is_claim: bool,
    digest: u64,
}

/// How a field of a change compares with the record as it is now.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// The value of the row was written by this change.
    Current,
    /// Another change wrote the value of the row, because of this.
    Outranked(Fact, Rank),
    /// The record has no value for the field: the change belongs to a lifetime that has ended.
    Gone,
}

/// Why one of two changes outranks the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// It has the higher stamp.
    Stamp,
    /// The stamps are equal, and its event is later.
    EventTime,
    /// The times are equal, so a digest of the contents decides.
    Digest,
}

impl Fact {
    /// Whether both facts were written by the same change, or by one with the same content and times.
    pub fn is_of_same_change(&self, other: &Self) -> bool {
        (self.stamp, self.event_time, self.digest, self.is_claim)
            == (other.stamp, other.event_time, other.digest, other.is_claim)
    }

    fn of((field, register): (&Field, &Register), is_claim: bool) -> Self {
        let Register(stamp, digest, value, event_time) = register;
        Self {
            field: *field,
            value: value.clone(),
            stamp: Timestamp::from_micros(*stamp),
            event_time: event_time.map(Timestamp::from_micros),
            is_claim,
            digest: *digest,
        }
    }
}

impl Life {
    /// The fact that decides each field that has a value, in the order of the fields. Claims are among them only where
    /// the provider has sent nothing.
    pub fn facts(&self) -> Vec<Fact> {
        let all = |registers: &Registers, is_claim| -> Vec<Fact> {
            registers.iter().map(|register| Fact::of(register, is_claim)).collect()
        };
        let mut facts =
            self.provider.as_ref().map(|lifetime| all(&lifetime.facts, false)).unwrap_or_default();
        for claim in all(&self.claims, true) {
            if facts.iter().all(|fact| fact.field != claim.field) {
                facts.push(claim);
            }
        }
        facts.sort_by_key(|fact| fact.field);
        facts
    }
}

impl Change {
    /// What the change says, field by field.
    pub fn said(&self) -> Vec<Fact> {
        Record::of(self).life.map(|life| life.facts()).unwrap_or_default()
    }
}

impl Record {
    /// What a change says, field by field, and how each field compares with this record.
    pub fn standings(&self, change: &Change, ids: IdPolicy) -> Vec<(Fact, Standing)> {
        let facts = match &self.life {
            Some(life) if !self.is_of_other_lifetime(change, ids) => life.facts(),
            _ => Vec::new(),
        };
        let standing = |said: &Fact| match facts.iter().find(|fact| fact.field == said.field) {
            None => Standing::Gone,
            Some(fact) if fact.is_of_same_change(said) => Standing::Current,
            Some(fact) if fact.stamp != said.stamp => Standing::Outranked(fact.clone(), Rank::Stamp),
            Some(fact) if fact.event_time != said.event_time => {
                Standing::Outranked(fact.clone(), Rank::EventTime)
            }
            Some(fact) => Standing::Outranked(fact.clone(), Rank::Digest),
        };
        change.said().into_iter().map(|said| (said.clone(), standing(&said))).collect()
    }

    /// Whether a change belongs to an earlier lifetime than the one that the record has.
    pub fn is_of_other_lifetime(&self, change: &Change, ids: IdPolicy) -> bool {
        let created_at = self.life.as_ref().and_then(Life::created_at);
        !ids.is_final() && change.lifetime().is_some() && change.lifetime() != created_at
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Rank, Standing};
    use crate::domain::{Change, ChangeKind, Facts, Field, IdPolicy, Record, Timestamp, UserKey};

    fn upsert(stamp: i64, event_time: Option<i64>, facts: &[(Field, &str)]) -> Change {
        let mut said = Facts::default();
        for (field, value) in facts {
            said.set(*field, json!(value)).unwrap();
        }
        let event_time = event_time.map(Timestamp::from_seconds);
        let kind = ChangeKind::Upsert { lifetime: Some(Timestamp::EPOCH), event_time, facts: said };
        Change { user: UserKey::new("clerk", "ada"), stamp: Timestamp::from_seconds(stamp), kind }
    }

    fn claims(stamp: i64, email: &str) -> Change {
        let mut facts = Facts::default();
        facts.set(Field::Email, json!(email)).unwrap();
        Change { kind: ChangeKind::Claims { facts }, ..upsert(stamp, None, &[]) }
    }

    fn record(changes: &[&Change]) -> Record {
        let join = |known: Record, change: &&Change| known.join(Record::of(change), IdPolicy::Final);
        changes.iter().fold(Record::default(), join)
    }

    #[test]
    fn each_field_names_the_change_that_wrote_it() {
        let first = upsert(1, None, &[(Field::GivenName, "Ada"), (Field::FamilyName, "Byron")]);
        let second = upsert(2, None, &[(Field::FamilyName, "King")]);
        let claimed = claims(3, "ada@example.com");
        let facts = record(&[&second, &claimed, &first]).life.unwrap().facts();
        let found: Vec<_> =
            facts.iter().map(|fact| (fact.field, fact.stamp.as_seconds(), fact.is_claim)).collect();
        assert_eq!(
            found,
            [(Field::GivenName, 1, false), (Field::FamilyName, 2, false), (Field::Email, 3, true)]
        );
        assert!(facts[1].is_of_same_change(&second.said()[0]));
        assert!(!facts[1].is_of_same_change(&first.said()[1]));
    }

    #[test]
    fn a_stale_field_names_what_outranks_it_and_why() {
        let name = |name| [(Field::GivenName, name)];
        let old = upsert(1, None, &name("Ada"));
        let standing = |others: &[&Change], of: &Change| {
            record(&[others, &[of]].concat()).standings(of, IdPolicy::Final).remove(0).1
        };
        assert_eq!(standing(&[], &old), Standing::Current);
        for (newer, rank) in [
            (upsert(2, None, &name("Augusta")), Rank::Stamp),
            (upsert(1, Some(5), &name("Augusta")), Rank::EventTime),
        ] {
            assert_eq!(standing(&[&newer], &old), Standing::Outranked(newer.said().remove(0), rank));
            assert_eq!(standing(&[&old], &newer), Standing::Current);
        }
        let same_time = upsert(1, None, &name("Augusta"));
        let both = [standing(&[&same_time], &old), standing(&[&old], &same_time)];
        let digest = |it: &&Standing| matches!(it, Standing::Outranked(_, Rank::Digest));
        assert_eq!(both.iter().filter(digest).count(), 1, "one of the two outranks the other");
        let deletion = Change { kind: ChangeKind::Delete, ..upsert(9, None, &[]) };
        assert_eq!(standing(&[&deletion], &old), Standing::Gone);
    }
}
