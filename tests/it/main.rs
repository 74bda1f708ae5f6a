//! The integration tests: one binary, for linking is what takes the time; one file a behaviour.

// Always so here. It tells clippy that all of this is test code, where a panic is how a failure is told.
#![cfg(test)]

#[macro_use]
mod support;

mod architecture;
mod binary;
mod command_line;
mod convergence;
mod cors;
mod current_user;
mod dev;
mod directory;
mod identity_providers;
mod limits;
mod listing;
mod operations;
mod peers;
mod replay;
mod retention;
mod secrets;
mod service_keys;
mod support_works;
mod tokens;
mod webhooks;
mod webhooks_refused;
