//! `usersync backfill`: reads in everybody whom a provider has.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::Usage;
use super::run_bar::{RunBar, interrupted};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::providers::{Source, Sources};
use crate::pull::{BackfillOptions, PullError, Puller, Summary};
use crate::store::{RunCounts, Store};
use crate::sync::Writer;
use crate::telemetry::Metrics;

#[derive(Debug, Args)]
pub(super) struct Backfill {
    /// The sources whose users are read [default: every source that has [sources.api] or [sources.list]]
    sources: Vec<String>,
    /// Read this export file of the provider instead of asking its API; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Begin anew instead of going on with an unfinished run, or of leaving a finished one alone
    #[arg(long)]
    restart: bool,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object for each source at the end
    #[arg(long)]
    json: bool,
}

impl Backfill {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
        let config = super::configure_quietly(config)?;
        let sources = Arc::new(Sources::new(&config.sources).map_err(|error| Usage(error.to_string()))?);
        let names = self.names(&config)?;
        let store = Store::connect_for_command(&config.database).await?;
        store.migrate().await?;
        let result = self.run_on(&config, &sources, &names, store.clone(), clock).await;
        // Closing moves SQLite's write-ahead log into the database file.
        store.close().await?;
        result
    }

    /// The sources to read, in the order asked.
    fn names(&self, config: &Config) -> anyhow::Result<Vec<String>> {
        let known = |name: &str| config.sources.iter().find(|source| source.name == name);
        for name in &self.sources {
            let source = known(name)
                .ok_or_else(|| Usage(format!("the configuration has no source named {name:?}")))?;
            if self.file.is_none() && !can_be_asked(source) {
                bail!(Usage(format!(
                    "the provider of {name:?} cannot be asked: write its credentials under [sources.api] \
                     ([sources.list] of a standard source), or read an export with --file"
                )));
            }
        }
        if self.file.is_some() && self.sources.len() != 1 {
            bail!(Usage(
                "name the one source whose users are in the file: usersync backfill NAME --file FILE"
                    .to_owned()
            ));
        }
        if !self.sources.is_empty() {
            return Ok(self.sources.clone());
        }
        let all: Vec<String> =
            config.sources.iter().filter(|one| can_be_asked(one)).map(|one| one.name.clone()).collect();
        if all.is_empty() {
            bail!(Usage(
                "no provider can be asked: set CLERK_SECRET_KEY, WORKOS_API_KEY or AUTH0_MANAGEMENT_CLIENT_ID, or write \
                 [sources.api]; or read an export: usersync backfill NAME --file FILE"
                    .to_owned()
            ));
        }
        Ok(all)
    }

    async fn run_on(
        &self,
        config: &Config,
        sources: &Arc<Sources>,
        names: &[String],
        store: Store,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let writer =
            Writer { store, sources: Arc::clone(sources), clock: clock.clone(), metrics: Metrics::default() };
        let puller = Puller::new(writer, clock, config.tokens.allow_http);
        let mut unfinished = 0;
        for name in names {
            let Some(source) = sources.get(name) else { continue };
            unfinished += u32::from(!self.read(&puller, source, config).await?);
        }
        if unfinished > 0 {
            bail!("unfinished: run it again, it goes on where it stopped");
        }
        Ok(())
    }

    /// Reads one source; whether it came to its end.
    async fn read(&self, puller: &Puller, source: &Source, config: &Config) -> anyhow::Result<bool> {
        let settings = config.sources.iter().find(|one| one.name == source.name());
        let options = BackfillOptions {
            file: self.file.clone(),
            restart: self.restart,
            dry_run: self.dry_run,
            requests_per_second: settings
                .and_then(|settings| settings.api.as_ref())
                .and_then(|api| api.requests_per_second),
        };
        let started = Instant::now();
        let mut progress = RunBar::new(source.name());
        let result = tokio::select! {
            result = puller.backfill(source, &options, &mut progress) => result,
            () = interrupted() => Err((PullError::Interrupted, progress.counts)),
        };
        progress.finish();
        let (counts, seconds) = match &result {
            Ok(Summary { counts, elapsed, .. }) => (*counts, elapsed.as_secs_f64()),
            Err((_, counts)) => (*counts, started.elapsed().as_secs_f64()),
        };
        let RunCounts { seen, applied, unchanged, parked } = counts;
        if self.json {
            say!(
                "{}",
                json!({
                    "source": source.name(), "complete": result.is_ok(), "seen": seen, "applied": applied,
                    "unchanged": unchanged, "parked": parked, "seconds": (seconds * 1000.0).round() / 1000.0,
                })
            );
        }
        let name = source.name();
        match result {
            Ok(Summary { was_complete: true, .. }) if !self.json => {
                say!("{name}: was read before ({seen} users); --restart reads it again");
            }
            Ok(_) if !self.json => {
                let would = if self.dry_run { "would be " } else { "" };
                say!(
                    "{name}: {seen} users read, {applied} {would}applied, {unchanged} unchanged, {parked} parked"
                );
                if parked > 0 && !self.dry_run {
                    say!("`usersync replay --parked --list` shows why they are parked");
                }
            }
            Ok(_) => {}
            Err((error, _)) if is_setup(&error) => bail!(Usage(format!("{name}: {error}"))),
            Err((error, _)) => {
                eprintln!("{name}: unfinished after {seen} users: {error}");
                return Ok(false);
            }
        }
        Ok(true)
    }
}

pub(super) fn can_be_asked(source: &config::Source) -> bool {
    source.api.is_some() || source.list.is_some()
}

/// Whether the settings or the file have to be changed before another run can do better.
pub(super) fn is_setup(error: &PullError) -> bool {
    matches!(error, PullError::NoApi(_) | PullError::WrongInstance(_))
}
