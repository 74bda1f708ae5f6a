//! The rules, as pure functions: no database, no socket, no clock.

mod timestamp;

pub use timestamp::Timestamp;
