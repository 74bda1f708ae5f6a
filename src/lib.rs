//! usersync: your identity provider's users, in your own database, kept in sync.
//!
//! The modules and their dependencies are in ARCHITECTURE.md.
//!
//! # In your own actix-web app
//!
//! Most run usersync as a program beside their app. An app in Rust can embed it instead: its handlers take
//! [`CurrentUser`], and usersync's own routes, the webhook's above all, are served on a listener of their
//! own. `examples/messages.rs` is a whole app.
//!
//! ```no_run
//! use std::net::TcpListener;
//!
//! use actix_web::{App, HttpServer, get};
//! use usersync::{Clock, CurrentUser};
//!
//! #[get("/hello")]
//! async fn hello(CurrentUser(user): CurrentUser) -> String {
//!     format!("Hello, {}", user.profile.name.unwrap_or_default())
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = usersync::configure(None, &std::env::vars().collect())?;
//!     let usersync = usersync::App::new(&config, Clock::system()).await?;
//!     let data = usersync.data();
//!     let service = usersync.serve(TcpListener::bind(config.server.listen)?, None)?;
//!     HttpServer::new(move || App::new().app_data(data.clone()).service(hello))
//!         .bind("127.0.0.1:8080")?
//!         .run()
//!         .await?;
//!     Ok(service.stop().await?)
//! }
//! ```

#![cfg_attr(not(feature = "internals"), warn(missing_docs))]

// The sample in Rust is compiled by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../docs/events.md")]
mod events_page {}

// The modules are private, so that the compiler finds unused code.
mod app;
mod auth;
mod cli;
mod clock;
mod config;
mod console;
mod content_coding;
mod domain;
mod events;
mod explain;
mod http;
mod jobs;
mod keys;
mod outgoing;
mod providers;
mod pull;
mod signature;
mod store;
mod sync;
mod telemetry;

pub use self::http::{CurrentUser, Problem};
pub use app::{App, Service, StartError, configure};
pub use cli::{Cli, run};
pub use clock::Clock;
pub use config::Config;
pub use domain::{Profile, User, UserId};
pub use store::Store;

/// The modules, open to the tests of this repository. Nothing else may rely on it.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub mod app {
        pub use crate::app::*;
    }
    pub mod auth {
        pub use crate::auth::*;
    }
    pub mod cli {
        pub use crate::cli::*;
    }
    pub mod clock {
        pub use crate::clock::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod domain {
        pub use crate::domain::*;
    }
    pub mod events {
        pub use crate::events::*;
    }
    pub mod jobs {
        pub use crate::jobs::*;
    }
    pub mod providers {
        pub use crate::providers::*;
    }
    pub mod signature {
        pub use crate::signature::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
    pub mod sync {
        pub use crate::sync::*;
    }
}
