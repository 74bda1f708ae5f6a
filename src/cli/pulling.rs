//! What the commands that read a provider's list have in common: the sources, the database, and the settings.

use std::num::NonZeroU32;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use anyhow::bail;

use super::Usage;
use super::system::StopSignals;
use crate::app;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::providers::{Source, Sources};
use crate::pull::Puller;
use crate::store::Store;
use crate::sync::Writer;
use crate::telemetry::Metrics;

/// Where a command reads users from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserSource {
    /// The provider's API; the command takes no file.
    Api,
    /// The provider's API; the command would also take a file.
    ApiOrFile,
    /// A file, of one source.
    File,
}

/// What reads a provider's list, and writes to this store.
pub(super) fn puller(
    config: &Config,
    sources: &Arc<Sources>,
    store: &Store,
    clock: Clock,
) -> anyhow::Result<Puller> {
    let authenticator = app::authenticator(config, clock.clone()).map_err(app::StartError::from)?;
    let writer = Writer {
        store: store.clone(),
        sources: Arc::clone(sources),
        clock: clock.clone(),
        metrics: Metrics::default(),
        logs_events: config.logs_events(),
    };
    Ok(Puller::new(writer, clock, config.tokens.allow_http, Some(Arc::new(authenticator))))
}

/// The sources that a command reads, and what it reads them with.
pub(super) struct PullCommand {
    pub(super) puller: Puller,
    config: Config,
    sources: Arc<Sources>,
    names: Vec<String>,
    store: Store,
}

impl PullCommand {
    /// `requested` are names of sources; without any, all sources with API credentials are read.
    pub(super) async fn open(
        config: Option<&Path>,
        requested: &[String],
        origin: UserSource,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let config = super::configure_quietly(config)?;
        let sources = Arc::new(Sources::new(&config.sources).map_err(|error| Usage(error.to_string()))?);
        let names = names(&config.sources, requested, origin)?;
        let store = Store::connect_for_command(&config.database).await?;
        store.migrate().await?;
        let puller = puller(&config, &sources, &store, clock)?;
        Ok(Self { puller, config, sources, names, store })
    }

    /// In the requested order.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.names.iter().filter_map(|name| self.sources.get(name))
    }

    /// As it is configured for a source's API.
    pub(super) fn requests_per_second(&self, source: &Source) -> Option<NonZeroU32> {
        let settings = self.config.sources.iter().find(|one| one.name == source.name())?;
        settings.api.as_ref()?.requests_per_second
    }

    /// Does the work. After Ctrl-C or SIGTERM it ends soon and gives back the run that it has.
    pub(super) async fn until_signalled<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut signals = StopSignals::install()?;
        let mut work = pin!(work);
        tokio::select! {
            done = &mut work => return done,
            () = signals.wait() => self.puller.stop(),
        }
        work.await
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        // Closing moves SQLite's write-ahead log into the database file.
        Ok(self.store.close().await?)
    }
}

/// The names of the sources to read.
fn names(
    sources: &[config::Source],
    requested: &[String],
    origin: UserSource,
) -> anyhow::Result<Vec<String>> {
    for name in requested {
        let source = sources
            .iter()
            .find(|source| source.name == *name)
            .ok_or_else(|| Usage(format!("the configuration has no source named {name:?}")))?;
        if origin != UserSource::File && !has_list(source) {
            let or_file =
                if origin == UserSource::ApiOrFile { ", or read an export with --file" } else { "" };
            bail!(Usage(format!(
                "source {name:?} has no API credentials: write them under [sources.api] ([sources.list] for a \
                    standard source){or_file}"
            )));
        }
    }
    if origin == UserSource::File && requested.len() != 1 {
        bail!(Usage(
            "name the one source whose users are in the file: usersync backfill NAME --file FILE".to_owned()
        ));
    }
    if !requested.is_empty() {
        return Ok(requested.to_vec());
    }
    let all: Vec<String> = sources.iter().filter(|one| has_list(one)).map(|one| one.name.clone()).collect();
    if all.is_empty() {
        let or_file = match origin {
            UserSource::ApiOrFile => "; or read an export: usersync backfill NAME --file FILE",
            UserSource::Api | UserSource::File => "",
        };
        bail!(Usage(format!(
            "no source has API credentials: set CLERK_SECRET_KEY, WORKOS_API_KEY or \
             AUTH0_MANAGEMENT_CLIENT_ID, or write [sources.api]{or_file}"
        )));
    }
    Ok(all)
}

fn has_list(source: &config::Source) -> bool {
    source.api.is_some() || source.list.is_some()
}
