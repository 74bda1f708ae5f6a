//! The current time, new ids and random bytes.
//!
//! All other code gets them as parameters, so that a test can set them. `clippy.toml` forbids the calls elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use uuid::{Builder, Uuid};

use crate::domain::Timestamp;

/// What time it is: the system's own, or one that a test sets.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Fixed>>);

#[derive(Debug)]
struct Fixed {
    micros: AtomicI64,
    ids: AtomicU64,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stays at `start` until it is moved.
    pub fn fixed(start: Timestamp) -> Self {
        let micros = AtomicI64::new(start.as_micros());
        Self(Some(Arc::new(Fixed { micros, ids: AtomicU64::new(0) })))
    }

    /// The present time.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time of day")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(fixed) => Timestamp::from_micros(fixed.micros.load(Ordering::SeqCst)),
            None => Timestamp::from_micros(chrono::Utc::now().timestamp_micros()),
        }
    }

    /// A new `UUIDv7`. It begins with the time, so ids sort by when they were made.
    ///
    /// A fixed clock counts instead of drawing random bits: the same test gets the same ids.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
    pub fn fresh_id(&self) -> Uuid {
        let Some(fixed) = &self.0 else { return Uuid::now_v7() };
        let millis = u64::try_from(self.now().as_micros() / 1000).unwrap_or_default();
        let mut counter = [0; 10];
        counter[2..].copy_from_slice(&fixed.ids.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        Builder::from_unix_timestamp_millis(millis, &counter).into_uuid()
    }

    /// Moves a fixed clock forward. The system's clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Some(fixed) = &self.0 {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            fixed.micros.fetch_add(by, Ordering::SeqCst);
        }
    }
}

/// The system has no random bytes to give.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system provided no random bytes")]
pub struct NoRandomness;

/// Bytes that cannot be guessed, for secrets. No test sets them.
#[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
pub fn random_bytes<const LENGTH: usize>() -> Result<[u8; LENGTH], NoRandomness> {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// The source of randomness for signing and creating keys.
#[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
pub fn randomness() -> SystemRandom {
    SystemRandom::new()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock, random_bytes};
    use crate::domain::Timestamp;

    #[test]
    fn ids_of_a_fixed_clock_are_the_same_each_time_and_sort_by_when_they_were_made() {
        let ids = || {
            let clock = Clock::fixed(Timestamp::from_seconds(1_767_528_000));
            let mut ids: Vec<_> = (0..300).map(|_| clock.fresh_id()).collect();
            clock.advance(Duration::from_millis(1));
            ids.push(clock.fresh_id());
            ids
        };
        assert_eq!(ids(), ids());
        assert!(ids().is_sorted_by(|one, next| one < next));
        assert!(ids().iter().all(|id| id.get_version_num() == 7));
        assert_eq!(ids()[0].get_timestamp().unwrap().to_unix(), (1_767_528_000, 0));
    }

    #[test]
    fn ids_of_the_system_and_random_bytes_are_new_each_time() {
        let clock = Clock::system();
        assert!(clock.fresh_id() < clock.fresh_id());
        assert_ne!(random_bytes::<24>().unwrap(), random_bytes::<24>().unwrap());
    }
}
