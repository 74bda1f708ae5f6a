//! `usersync migrate`

use std::path::Path;

use anyhow::Context;
use clap::Args;
use secrecy::ExposeSecret;

use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Only show which migrations are applied
    #[arg(long)]
    status: bool,
}

impl Migrate {
    pub(super) async fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        let config = super::configure(config)?;
        let store = Store::connect(config.database.url.expose_secret())
            .await
            .context("cannot connect to apply migrations")?;
        if !self.status {
            store.migrate().await.context("the migrations were not applied")?;
        }
        for migration in store.migrations().await? {
            say!("{}  {}", if migration.applied { "applied" } else { "pending" }, migration.name);
        }
        Ok(store.close().await?)
    }
}
