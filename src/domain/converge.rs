//! The rule that makes the users table a function of the *set* of changes received.
//!
//! A [`Record`] is everything that is known of one user. It is a map of last-writer-wins registers: each profile field
//! is a register, which holds a value and the stamp of the change that wrote it, and of two values the one with the
//! higher stamp stays. Beside the registers the record holds the date of the user's deletion, of which the highest
//! stays.
//!
//! Such a record is a state-based CRDT (a conflict-free replicated data type). A single change is a small record, and
//! [`Record::join`] gives the least upper bound of two records: the smallest record that knows what both know. The
//! record of a history is the join of its changes. A join can be made in any order, so it does not matter which replica
//! received which delivery, or when.
//!
//! The laws, each checked by a property test:
//!
//! 1. **Commutative, associative, idempotent.** Any order, any grouping (batches, replicas, restarts) and any
//!    repetition of the same changes give the same record.
//! 2. **Newer wins, field by field.** A change sets only the fields it carries, and a field keeps the value with the
//!    highest stamp. If the stamps are equal, the change with the later event time wins. If those are equal too, a
//!    digest of the changes' contents decides, so that fields which belong together (an address and whether it is
//!    verified) come from one change. Arrival never decides.
//! 3. **A deletion always leaves a tombstone**, also when there was nothing to delete.
//! 4. **Final ids stay deleted.** No other change of the user, before or after, undoes that.
//! 5. **Reusable ids come back only as a new lifetime**: with a `created_at` after the deletion, and without the fields
//!    of the earlier lifetime. The latest lifetime wins, and a late deletion of an earlier one does not affect it.
//! 6. **Claims rank below the provider.** A value from a token is used only if the provider has sent none. A token
//!    counts for a lifetime only if it was issued in it.

mod provenance;
mod written;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Change, ChangeKind, Facts, Field, IdPolicy, Profile, Timestamp};

pub use provenance::{Fact, Rank, Standing};

/// Everything that is known of one user, living or deleted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The highest stamp of a deletion; the tombstone.
    pub deleted_at: Option<Timestamp>,
    /// What is known of the user, if it is not deleted.
    pub life: Option<Life>,
}

/// What is known of a living user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// The provider's facts about the latest lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Lifetime>,
    /// The facts from tokens.
    #[serde(with = "written", skip_serializing_if = "BTreeMap::is_empty", default)]
    claims: Registers,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lifetime {
    created_at: Option<Timestamp>,
    updated_at: Timestamp,
    #[serde(with = "written")]
    facts: Registers,
}

type Registers = BTreeMap<Field, Register>;

/// A last-writer-wins register: the stamp and the digest of the change that wrote it, the field's value, and the
/// provider's time of the event, which is missing in records of earlier versions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Register(i64, u64, Value, #[serde(default)] Option<i64>);

impl Register {
    fn stamp(&self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }

    fn outranks(&self, other: &Self) -> bool {
        // The values are compared only for two changes whose digests collide; then any fixed order will do.
        (self.0, self.3, self.1)
            .cmp(&(other.0, other.3, other.1))
            .then_with(|| self.2.to_string().cmp(&other.2.to_string()))
            .is_gt()
    }
}

impl Record {
    /// The record of one change alone.
    pub fn of(change: &Change) -> Self {
        match &change.kind {
            ChangeKind::Delete => Self { deleted_at: Some(change.stamp), life: None },
            ChangeKind::Upsert { lifetime, event_time, facts } => {
                let facts = registers(facts, change.stamp, *event_time);
                let provider = Lifetime { created_at: *lifetime, updated_at: change.stamp, facts };
                Self {
                    deleted_at: None,
                    life: Some(Life { provider: Some(provider), claims: BTreeMap::new() }),
                }
            }
            ChangeKind::Claims { facts } => {
                let claims = registers(facts, change.stamp, None);
                Self { deleted_at: None, life: Some(Life { provider: None, claims }) }
            }
        }
    }

    /// Everything that either record knows.
    #[must_use]
    pub fn join(self, other: Self, ids: IdPolicy) -> Self {
        let deleted_at = self.deleted_at.max(other.deleted_at);
        let life = match (self.life, other.life) {
            (Some(one), Some(two)) => Some(one.join(two, ids)),
            (one, two) => one.or(two),
        };
        Self { deleted_at, life: life.and_then(|life| life.after(deleted_at, ids)) }
    }

    /// The record without the provider's fields: only deletions and claims.
    #[must_use]
    pub fn without_provider(&self) -> Self {
        let claims = self.life.as_ref().map(|life| life.claims.clone()).unwrap_or_default();
        let life = (!claims.is_empty()).then_some(Life { provider: None, claims });
        Self { deleted_at: self.deleted_at, life }
    }

    /// Whether a change belongs to a lifetime that has ended: nothing of it may be stored.
    pub fn has_ended(&self, change: &Change, ids: IdPolicy) -> bool {
        let Some(deleted_at) = self.deleted_at else { return false };
        let ended = |began: Option<Timestamp>| ids == IdPolicy::Final || began <= Some(deleted_at);
        match change.kind {
            ChangeKind::Delete => true,
            ChangeKind::Upsert { lifetime, .. } => ended(lifetime),
            ChangeKind::Claims { .. } => ended(Some(change.stamp)),
        }
    }

    /// Whether the row of this record is the row of that earlier one, so that it keeps its id.
    pub fn continues(&self, earlier: &Self, ids: IdPolicy) -> bool {
        let created_at = |record: &Self| record.life.as_ref().map(Life::created_at);
        match (created_at(earlier), created_at(self)) {
            (None, _) | (_, None) => false,
            (Some(before), Some(now)) => ids == IdPolicy::Final || before.is_none() || before == now,
        }
    }
}

impl Life {
    /// When the user was created at the provider, if known.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.provider.as_ref().and_then(|lifetime| lifetime.created_at)
    }

    /// The highest stamp; the provider's if there is one.
    pub fn updated_at(&self) -> Timestamp {
        let claimed = || self.claims.values().map(Register::stamp).max();
        self.provider
            .as_ref()
            .map(|lifetime| lifetime.updated_at)
            .or_else(claimed)
            .unwrap_or(Timestamp::EPOCH)
    }

    /// Whether everything known of this user comes from tokens.
    pub fn is_claimed_only(&self) -> bool {
        self.provider.is_none()
    }

    /// The user's profile, from all registers.
    ///
    /// The name is made from the provider's facts, if these contain one: a claimed name must not remain when the
    /// provider changes the given or family name.
    pub fn profile(&self) -> Profile {
        let value = |(field, register): (&Field, &Register)| (*field, register.2.clone());
        let provided: Vec<(Field, Value)> =
            self.provider.iter().flat_map(|lifetime| &lifetime.facts).map(value).collect();
        let claimed: Vec<(Field, Value)> = self.claims.iter().map(value).collect();
        let by_provider = Profile::from_facts(provided.iter().map(|(field, value)| (*field, value)));
        let all = claimed.iter().chain(&provided).map(|(field, value)| (*field, value));
        let profile = Profile::from_facts(all);
        Profile { name: by_provider.name.or(profile.name), ..profile }
    }

    fn join(self, other: Self, ids: IdPolicy) -> Self {
        let provider = match (self.provider, other.provider) {
            (Some(one), Some(two)) => Some(one.join(two, ids)),
            (one, two) => one.or(two),
        };
        Self { provider, claims: newest(self.claims, other.claims) }
    }

    /// The part of this life that is valid after a deletion and after the beginning of the provider's lifetime.
    fn after(mut self, deleted_at: Option<Timestamp>, ids: IdPolicy) -> Option<Self> {
        if ids == IdPolicy::Final {
            return deleted_at.is_none().then_some(self);
        }
        self.provider =
            self.provider.filter(|lifetime| lifetime.created_at > deleted_at || deleted_at.is_none());
        let began = self.provider.as_ref().and_then(|lifetime| lifetime.created_at);
        self.claims.retain(|_, claim| Some(claim.stamp()) > deleted_at && Some(claim.stamp()) >= began);
        (self.provider.is_some() || !self.claims.is_empty()).then_some(self)
    }
}

impl Lifetime {
    fn join(self, other: Self, ids: IdPolicy) -> Self {
        if ids == IdPolicy::Reusable && self.created_at != other.created_at {
            return if self.created_at > other.created_at { self } else { other };
        }
        Self {
            created_at: self.created_at.max(other.created_at),
            updated_at: self.updated_at.max(other.updated_at),
            facts: newest(self.facts, other.facts),
        }
    }
}

fn registers(facts: &Facts, stamp: Timestamp, event_time: Option<Timestamp>) -> Registers {
    let digest = facts.digest();
    let event_time = event_time.map(Timestamp::as_micros);
    let register = |(field, value)| (field, Register(stamp.as_micros(), digest, value, event_time));
    facts.clone().into_iter().map(register).collect()
}

fn newest(mut one: Registers, other: Registers) -> Registers {
    for (field, register) in other {
        match one.entry(field) {
            Entry::Vacant(free) => {
                free.insert(register);
            }
            Entry::Occupied(mut known) => {
                if register.outranks(known.get()) {
                    known.insert(register);
                }
            }
        }
    }
    one
}

#[cfg(test)]
mod laws;
