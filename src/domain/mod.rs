//! The rules, as pure functions: no database, no socket, no clock.

mod change;
mod converge;
mod delivery;
mod facts;
mod identity;
mod scope;
mod timestamp;
mod user;

pub use change::{Change, ChangeKind, IdPolicy};
pub use converge::{Life, Record};
pub use delivery::{Delivery, DeliveryKey, Outcome, Reading};
pub use facts::{Facts, Field, ImpossibleType};
pub use identity::{Identity, TokenKind};
pub use scope::{Scope, Scopes};
pub use timestamp::Timestamp;
pub use user::{Profile, User, UserId, UserKey};
