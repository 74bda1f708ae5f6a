//! From a message that comes in to a row: `intake` verifies and reads it, `queue` gathers what comes at the same
//! time, `writer` writes the batch, and `transaction` is the one step that changes users.

mod activity;
mod claims;
mod deliveries;
mod feed;
mod intake;
mod listed;
mod logged;
mod queue;
mod rebuild;
mod replay;
mod replica_listener;
mod sweep;
mod transaction;
mod user_cache;
mod user_loader;
mod writer;

pub use activity::Activities;
pub(crate) use deliveries::read_again;
pub use feed::{AnyChange, Feed, Subscription};
pub use intake::{Intake, Receipt, ReceiveError, Refusal};
pub use queue::WriteError;
pub use rebuild::Rebuilt;
pub(crate) use replay::Preview;
pub use replay::{Replay, Replayed};
pub use replica_listener::ReplicaListener;
pub use sweep::start_sweeping;
#[cfg(feature = "internals")]
pub use sweep::{Swept, sweep};
pub use transaction::Writer;
pub use user_cache::{CachedLookup, CachedUser, UserCache};
