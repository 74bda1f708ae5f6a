//! From a message that comes in to a row: `intake` verifies and reads it, `queue` gathers what comes at the same
//! time, `writer` writes the batch, and `transaction` is the one step that changes users.

mod claims;
mod deliveries;
mod feed;
mod intake;
mod known;
mod queue;
mod readers;
mod rebuild;
mod replay;
mod sweep;
mod transaction;
mod writer;

pub use feed::{Ear, Feed, Subscription};
pub use intake::{Intake, Receipt, ReceiveError, Refusal};
pub use known::{Found, Known, KnownUsers};
pub use queue::WriteError;
pub use rebuild::Rebuilt;
pub use replay::{Replay, ReplayError, Replayed};
pub use sweep::{Sweep, sweep};
