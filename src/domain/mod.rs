//! The rules, as pure functions: no database, no socket, no clock.

mod identity;
mod timestamp;

pub use identity::{Identity, TokenKind};
pub use timestamp::Timestamp;
