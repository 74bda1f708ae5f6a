//! What the tests stand on: the servers they need, found or made, and cleaned away after them.

pub(crate) mod postgres;
