//! The rules, as pure functions: no database, no socket, no clock.

mod change;
mod converge;
mod delivery;
mod facts;
mod identity;
pub mod lenient_json;
mod number;
mod profile;
mod scope;
mod stored_user;
mod timestamp;
mod user;

pub use change::{Change, ChangeKind, IdPolicy};
pub use converge::{Life, Record};
pub use delivery::{Content, Delivery, DeliveryKey, Outcome};
pub use facts::{Facts, ImpossibleValue};
pub use identity::{Identity, TokenKind};
pub use profile::{Field, Kind, Profile};
pub use scope::{RequiredScope, Scope, Scopes, UsersRead};
pub use stored_user::{StaleReason, StoredUser};
pub use timestamp::Timestamp;
pub use user::{User, UserId, UserKey};
