//! Helpers of the crash tests: the real binary as its own process, senders that try again as a provider's do, and a
//! record of the answers, which is compared with the database.

mod audit;
mod history;
mod sending;
mod service;

use std::time::Duration;

pub(crate) use audit::Audit;
pub(crate) use history::{History, Message, source};
pub(crate) use sending::{Answers, Senders, SharedMessages};
pub(crate) use service::Service;

/// How many cycles to run: `usual` ones, or the number in `USERSYNC_CRASH_CYCLES`.
pub(crate) fn cycles(usual: u32) -> u32 {
    match std::env::var("USERSYNC_CRASH_CYCLES") {
        Ok(cycles) => cycles.parse().expect("USERSYNC_CRASH_CYCLES is a number"),
        Err(_) => usual,
    }
}

/// Numbers that differ from run to run (`SplitMix64`): the tests look for faults in the timing, which a
/// seed cannot repeat.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::now_v7().as_u64_pair().1)
    }

    /// One of the numbers below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn milliseconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
