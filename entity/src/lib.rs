//! The tables of usersync as SeaORM entities: columns only. What they mean stands in the domain; the schema
//! in `migration`.

pub mod admin_session;
pub mod api_key;
pub mod audit;
pub mod endpoint;
pub mod endpoint_event;
pub mod journal;
pub mod lease;
pub mod outbox;
pub mod run;
pub mod run_user;
pub mod tombstone;
pub mod user;
pub mod watch;
