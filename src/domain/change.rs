//! What a delivery says about one user.

use super::{Facts, Timestamp, UserKey};

/// One thing said about one user, dated by its provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Whom it speaks of.
    pub user: UserKey,
    /// The provider's own time of the change, which decides what is newer; never the attempt's time.
    pub stamp: Timestamp,
    /// What it says.
    pub kind: ChangeKind,
}

/// What a change says.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeKind {
    /// The provider tells facts of a user that lives.
    Upsert {
        /// The user's `created_at` at the provider; always there where ids are reusable.
        lifetime: Option<Timestamp>,
        /// When the provider told it, by its own clock, where the event says so. Of two changes with the same stamp the
        /// one that was told later is the newer one. Never the time of an attempt.
        told_at: Option<Timestamp>,
        /// The fields that the change carries.
        facts: Facts,
    },
    /// A token tells facts of a user; any fact from the provider outranks them.
    Claims {
        /// What the token's claims say.
        facts: Facts,
    },
    /// The provider deleted the user; every lifetime begun by the stamp has ended.
    Delete,
}

impl Change {
    /// The lifetime that the change speaks of, where it names one.
    pub fn lifetime(&self) -> Option<Timestamp> {
        match self.kind {
            ChangeKind::Upsert { lifetime, .. } => lifetime,
            ChangeKind::Claims { .. } | ChangeKind::Delete => None,
        }
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

    /// Whether a token speaks of a lifetime that the deletion ended: always where ids are final, else if it
    /// was issued by then. A later one speaks of the lifetime to come.
    pub fn ended(self, deleted_at: Timestamp, issued_at: Option<Timestamp>) -> bool {
        self.is_final() || issued_at <= Some(deleted_at)
    }
}
