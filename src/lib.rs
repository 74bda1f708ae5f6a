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
//! Everyone may name [`domain`] (which names nobody), [`clock`], [`config`], [`jobs`] and [`telemetry`].
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

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod providers;
mod pull;
pub mod signature;
pub mod store;
pub mod sync;
pub mod telemetry;

pub use app::{App, Service, StartError, configure};
pub use clock::Clock;
pub use config::Config;
pub use domain::{Profile, User, UserId};
pub use http::{CurrentUser, Problem};
pub use store::Store;
