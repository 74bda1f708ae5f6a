//! A change of one user, from a delivery.

use super::{Facts, Timestamp, UserKey};

/// A change of one user, dated by its provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The user that it is about.
    pub user: UserKey,
    /// The provider's own time of the change, which decides what is newer; never the attempt's time.
    pub stamp: Timestamp,
    /// The kind of change.
    pub kind: ChangeKind,
}

/// The kind of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeKind {
    /// The provider sends fields of a user who is not deleted.
    Upsert {
        /// The user's `created_at` at the provider; always there where ids are reusable.
        lifetime: Option<Timestamp>,
        /// The time of the event, by the provider's clock, if the event has one. Of two changes with the same stamp the
        /// one with the later event is the newer one. Never the time of an attempt.
        event_time: Option<Timestamp>,
        /// The fields that the change carries.
        facts: Facts,
    },
    /// Fields of a user from a token's claims; any field from the provider outranks them.
    Claims {
        /// The facts in the token's claims.
        facts: Facts,
    },
    /// The provider deleted the user; every lifetime that began at or before the stamp has ended.
    Delete,
}

impl Change {
    /// The lifetime that the change belongs to, if it names one.
    pub fn lifetime(&self) -> Option<Timestamp> {
        match self.kind {
            ChangeKind::Upsert { lifetime, .. } => lifetime,
            ChangeKind::Claims { .. } | ChangeKind::Delete => None,
        }
    }

    /// The same without the fields that are not ASCII alone, for a database whose encoding lacks some of their characters.
    #[must_use]
    pub fn into_ascii(self) -> Self {
        let kind = match self.kind {
            ChangeKind::Upsert { lifetime, event_time, facts } => {
                ChangeKind::Upsert { lifetime, event_time, facts: facts.into_ascii() }
            }
            ChangeKind::Claims { facts } => ChangeKind::Claims { facts: facts.into_ascii().or_null_name() },
            ChangeKind::Delete => ChangeKind::Delete,
        };
        Self { kind, ..self }
    }

    /// Whether it deletes.
    pub fn is_delete(&self) -> bool {
        matches!(self.kind, ChangeKind::Delete)
    }
}

/// Whether a provider ever gives a deleted user's id to a user again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdPolicy {
    /// An id names one user for ever: its deletion is final (Clerk, WorkOS).
    Final,
    /// An id comes back when the same person signs up again (Auth0's social logins).
    Reusable,
}

impl IdPolicy {
    /// Whether a deletion can never be followed by a new lifetime.
    pub fn is_final(self) -> bool {
        self == Self::Final
    }

    /// Whether a token belongs to a lifetime that the deletion ended: always if ids are final, else if it was issued at
    /// or before the deletion. A token that was issued later belongs to the next lifetime.
    pub fn ended(self, deleted_at: Timestamp, issued_at: Option<Timestamp>) -> bool {
        self.is_final() || issued_at <= Some(deleted_at)
    }
}
