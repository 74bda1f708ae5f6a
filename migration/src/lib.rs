//! The database schema, one file for each migration. A migration names tables and columns by string, never through
//! `entity`, so that it always does what it did when it was written.

pub use sea_orm_migration::prelude::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261123_000001_users_and_journal;
mod m20261124_000001_lighter_writes;
mod m20261126_000002_runs;
mod m20261127_000001_large_tables;
mod m20261127_000002_watch;
mod m20261127_000003_events;
mod m20261127_000004_console;
mod m20261127_000005_events_of_a_user;
mod m20261128_000001_delivered;

/// Every migration, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_users_and_journal::Migration),
            Box::new(m20261124_000001_lighter_writes::Migration),
            Box::new(m20261126_000002_runs::Migration),
            Box::new(m20261127_000001_large_tables::Migration),
            Box::new(m20261127_000002_watch::Migration),
            Box::new(m20261127_000003_events::Migration),
            Box::new(m20261127_000004_console::Migration),
            Box::new(m20261127_000005_events_of_a_user::Migration),
            Box::new(m20261128_000001_delivered::Migration),
        ]
    }
}
