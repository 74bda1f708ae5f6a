//! usersync: your identity provider's users, in your own database, always right.

pub mod auth;
pub mod clock;
pub mod config;
pub mod domain;
