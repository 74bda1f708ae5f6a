//! The integration tests: one binary, for linking is what takes the time; one file a behaviour.

// Always so here. It tells clippy that all of this is test code, where a panic is how a failure is told.
#![cfg(test)]

mod support;
mod support_works;
