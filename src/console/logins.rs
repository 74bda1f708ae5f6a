//! How often somebody may try to log in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::failure::Failure;
use crate::domain::Timestamp;

/// Attempts to log in from one address, in [`LOGIN_WINDOW`].
const MOST_LOGINS: u32 = 5;
const LOGIN_WINDOW: Duration = Duration::from_mins(1);

/// The attempts to log in, by address.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<Option<IpAddr>, (Timestamp, u32)>>);

impl Logins {
    /// Counts an attempt; an error if there were too many.
    pub(super) fn attempt(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Failure> {
        // Nothing is left half-written under the lock, so a panic elsewhere does no harm.
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, (since, _)| now.since(*since) < LOGIN_WINDOW);
        let (_, count) = attempts.entry(address).or_insert((now, 0));
        *count += 1;
        if *count > MOST_LOGINS { Err(Failure::TooManyLogins) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LOGIN_WINDOW, Logins, MOST_LOGINS};
    use crate::domain::Timestamp;

    #[test]
    fn one_address_may_try_five_times_a_minute() {
        let (logins, now) = (Logins::default(), Timestamp::from_seconds(1_000));
        let address = |last: u8| Some([192, 0, 2, last].into());
        for _ in 0..MOST_LOGINS {
            logins.attempt(address(1), now).unwrap();
        }
        logins.attempt(address(1), now).unwrap_err();
        logins.attempt(address(2), now).unwrap();
        logins.attempt(address(1), now.plus(Duration::from_secs(59))).unwrap_err();
        logins.attempt(address(1), now.plus(LOGIN_WINDOW)).unwrap();
    }
}
