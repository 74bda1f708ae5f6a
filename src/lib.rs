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
//! Everyone may name `domain` (which names nobody), `clock`, `config`, `jobs` and `telemetry`.
//!
//! # In your own actix-web app
//!
//! Most run usersync as a program beside their app. An app in Rust can hold it instead: its handlers take
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

// The rooms are private, so that the compiler finds what nobody uses. The tests of this repository look inside, by the
// feature `internals`; nothing else may rely on it. Each is declared twice and in full, because `cargo fmt` finds no file
// that a macro declares.
#[cfg(not(feature = "internals"))]
mod app;
#[cfg(not(feature = "internals"))]
mod auth;
#[cfg(not(feature = "internals"))]
mod cli;
#[cfg(not(feature = "internals"))]
mod clock;
#[cfg(not(feature = "internals"))]
mod config;
#[cfg(not(feature = "internals"))]
mod domain;
#[cfg(not(feature = "internals"))]
mod http;
#[cfg(not(feature = "internals"))]
mod jobs;
#[cfg(not(feature = "internals"))]
mod providers;
#[cfg(not(feature = "internals"))]
mod pull;
#[cfg(not(feature = "internals"))]
mod signature;
#[cfg(not(feature = "internals"))]
mod store;
#[cfg(not(feature = "internals"))]
mod sync;
#[cfg(not(feature = "internals"))]
mod telemetry;

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod app;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod auth;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod clock;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod config;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod domain;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod http;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod jobs;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod providers;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod pull;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod signature;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod store;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod sync;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod telemetry;

pub use self::http::{CurrentUser, Problem};
pub use app::{App, Service, StartError, configure};
pub use cli::{Cli, run};
pub use clock::Clock;
pub use config::Config;
pub use domain::{Profile, User, UserId};
pub use store::Store;
