//! From a message at the door to a row: `intake` verifies and reads it, `batcher` gathers what comes at
//! the same time, `apply` writes the batch in one transaction.

mod apply;
mod batcher;
mod claims;
mod feed;
mod intake;
mod known;
mod readers;
mod replay;
mod sweep;

pub use batcher::WriteError;
pub use feed::{Ear, Feed, Subscription};
pub use intake::{Intake, Receipt, ReceiveError};
pub use known::{Found, Known, KnownUsers};
pub use replay::{Rebuilt, Replay, ReplayError, Replayed};
pub use sweep::{Sweep, sweep};
