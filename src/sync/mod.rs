//! From a message at the door to a row: `intake` verifies and reads it, `apply` writes it in one transaction.

mod apply;
mod intake;

pub use intake::{Intake, Receipt, ReceiveError};
