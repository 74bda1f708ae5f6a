//! usersync: your identity provider's users, in your own database, always right.
//!
//! The rooms, and who may name whom:
//!
//! ```text
//! cli ──► app ──► http ──► sync ──► store ──► entity, migration
//!          │       │        │
//!          │       │        └──► providers ──► signature
//!          │       └──► auth
//!          └──► all of them: the composition root
//! ```
//!
//! Everyone may name [`domain`] (which names nobody), [`clock`], [`config`] and [`telemetry`].

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod providers;
pub mod signature;
pub mod store;
pub mod sync;
pub mod telemetry;
