//! `usersync migrate`

use std::path::Path;

use anyhow::Context;
use clap::Args;

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
        let store = Store::connect_for_command(&config.database)
            .await
            .context("cannot connect to apply migrations")?;
        if let Some(encoding) = store.narrow_encoding().await? {
            eprintln!(
                "warning: the database is encoded in {encoding}, which lacks many characters in people's \
                    names: use a database that was created with ENCODING 'UTF8'"
            );
        }
        if !self.status {
            store.migrate().await.context("the migrations were not applied")?;
        }
        for migration in store.migrations().await? {
            say!("{}  {}", if migration.applied { "applied" } else { "pending" }, migration.name);
        }
        store.refuse_newer().await?;
        Ok(store.close().await?)
    }
}
