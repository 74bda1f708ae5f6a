//! The user as the application sees it.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Profile, Timestamp};

/// Longer than any provider's ids, in bytes, and short enough for the keys of both databases.
const LONGEST_ID: usize = 512;

/// A user of a provider: the source's name and the provider's own id for the user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey {
    /// The configured source.
    pub source: String,
    /// The provider's id, opaque; the `sub` of its tokens.
    pub external_id: String,
}

impl UserKey {
    /// The key of a source's user.
    pub fn new(source: impl Into<String>, external_id: impl Into<String>) -> Self {
        Self { source: source.into(), external_id: external_id.into() }
    }

    /// What is wrong with a provider's id, if anything. No provider has such ids, and not every database can store
    /// them.
    pub fn id_error(external_id: &str) -> Option<&'static str> {
        match external_id {
            "" => Some("the user's id is empty"),
            id if id.len() > LONGEST_ID => Some("the user's id is too long"),
            id if id.contains('\0') => Some("the user's id holds U+0000"),
            _ => None,
        }
    }

    /// A number that identifies the user in locks and notifications, the same in every process: 64 bits of
    /// SHA-256. In the rare case that two users have the same number, they are only locked and notified together.
    pub fn fingerprint(&self) -> i64 {
        let mut hash = Sha256::new();
        hash.update(&self.source);
        hash.update([0]);
        hash.update(&self.external_id);
        hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | i64::from(*byte))
    }
}

/// The row's own id: a UUIDv7, so that ids sort by when the row was made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UserId(pub Uuid);

impl UserId {
    /// The lowest id of all rows that are made at a moment or after it.
    pub(crate) fn first_of(moment: Timestamp) -> Self {
        let millis = u64::try_from(moment.as_micros() / 1000).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
    }

    /// When the row was made here, to the millisecond.
    pub(crate) fn created_at(self) -> Timestamp {
        let (seconds, nanoseconds) = self.0.get_timestamp().map(|time| time.to_unix()).unwrap_or_default();
        let seconds = Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
        seconds.plus(std::time::Duration::from_nanos(nanoseconds.into()))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A row of the users table.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Lasts as long as the user's lifetime at the provider.
    pub id: UserId,
    /// The source and the provider's id of the user.
    pub key: UserKey,
    /// What is known of the user.
    pub profile: Profile,
    /// When the user was created at the provider, if the provider reports it.
    pub created_at: Option<Timestamp>,
    /// The highest stamp of the living lifetime.
    pub updated_at: Timestamp,
    /// When this row was last written here.
    pub synced_at: Timestamp,
}
