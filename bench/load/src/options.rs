//! The options that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

/// The usersync that is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Subject {
    /// The usersync to measure
    #[arg(long, value_name = "FILE")]
    usersync: PathBuf,
    /// What it was built from
    #[arg(long, default_value = "unknown")]
    pub(crate) commit: String,
}

impl Subject {
    pub(crate) fn executable(&self) -> anyhow::Result<PathBuf> {
        self.usersync.canonicalize().context("--usersync names no file")
    }
}

/// Where the tables are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// PostgreSQL server to measure against, postgres://…; a database is made there and dropped [default:
    /// SQLite]
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

/// How hard to drive.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Effort {
    /// How long each route is driven; a signature is good for five minutes
    #[arg(long, default_value_t = 10, overrides_with = "seconds", value_parser = clap::value_parser!(u64).range(1..=250))]
    pub(crate) seconds: u64,
    /// How many connections are kept busy
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) connections: u32,
}

impl Effort {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
