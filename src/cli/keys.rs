//! `usersync keys create|list|revoke`

use std::io::Write as _;
use std::path::Path;

use anyhow::bail;
use clap::Subcommand;

use super::Usage;
use crate::auth::service_key;
use crate::clock::Clock;
use crate::domain::{Scope, Scopes, Timestamp};
use crate::keys::{self, CreateError};
use crate::store::{ApiKey, Store};

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Create a key; it is shown once and stored as a hash
    Create {
        /// Name of the key, such as the program that will use it
        name: String,
        /// What the key may do: `users:read`, `events:read`, or `admin`, which includes everything; may be repeated
        #[arg(long = "scope", value_name = "SCOPE", default_value = Scope::UsersRead.as_str())]
        scopes: Vec<Scope>,
    },
    /// List all keys, without their secrets
    List,
    /// Revoke the active key with this name or prefix
    Revoke {
        /// The key's name, its prefix as listed, or the whole key
        name_or_prefix: String,
    },
}

impl Keys {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
        if let Self::Create { name, .. } = &self {
            // Before the database is made.
            keys::check_name(name).map_err(|error| Usage(error.to_string()))?;
        }
        let config = super::configure(config)?;
        let store = Store::connect_for_command(&config.database).await?;
        store.migrate().await?;
        match self {
            Self::Create { name, scopes } => {
                create(&store, &name, scopes.into_iter().collect(), &clock).await
            }
            Self::List => list(&store).await,
            Self::Revoke { name_or_prefix } => revoke(&store, &name_or_prefix, &clock).await,
        }
    }
}

async fn create(store: &Store, name: &str, scopes: Scopes, clock: &Clock) -> anyhow::Result<()> {
    let key = keys::create(store, name, scopes, clock).await.map_err(|error| match error {
        CreateError::Name => anyhow::Error::from(Usage(error.to_string())),
        error => error.into(),
    })?;
    // A key that could not be shown is of no use, so it must not stay active.
    if writeln!(std::io::stdout(), "{}", key.reveal()).is_err() {
        store.api_keys().revoke(key.prefix(), clock.now()).await?;
        bail!(
            "the key could not be written to standard output and was revoked; run this again where the output can be read"
        );
    }
    eprintln!("This key is shown once. Send it as `Authorization: Bearer {}…`.", key.prefix());
    Ok(())
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let line = |columns: [&str; 6]| {
        let [prefix, scopes, created, used, revoked, name] = columns;
        say!("{prefix:<14} {scopes:<18} {created:<28} {used:<28} {revoked:<28} {name}");
    };
    line(["PREFIX", "SCOPES", "CREATED", "LAST USED", "REVOKED", "NAME"]);
    let or_never = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    for ApiKey { id: _, name, prefix, scopes, created_at, last_used_at, revoked_at } in
        store.api_keys().list().await?
    {
        let (scopes, created) = (scopes.to_string(), created_at.to_string());
        line([&prefix, &scopes, &created, &or_never(last_used_at), &or_never(revoked_at), &name]);
    }
    Ok(())
}

/// An operator who revokes a leaked key may paste the whole key. It is reduced to its prefix, and never printed.
async fn revoke(store: &Store, key: &str, clock: &Clock) -> anyhow::Result<()> {
    let name_or_prefix =
        if service_key::is_complete_key(key) { &key[..service_key::PREFIX_LENGTH] } else { key };
    if store.api_keys().revoke(name_or_prefix, clock.now()).await? == 0 {
        bail!("no active key has the name or prefix {name_or_prefix:?}; `usersync keys list` shows all keys");
    }
    say!("revoked {name_or_prefix}");
    Ok(())
}
