//! `usersync backfill`: imports all users of a provider.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::Usage;
use super::pulling::{PullCommand, UserSource};
use super::run_bar::RunProgressBar;
use crate::clock::Clock;
use crate::providers::Source;
use crate::pull::{BackfillOptions, Summary};
use crate::store::RunCounts;

#[derive(Debug, Args)]
pub(super) struct Backfill {
    /// The sources whose users are read [default: every source that has [sources.api] or [sources.list]]
    sources: Vec<String>,
    /// Read this export file of the provider instead of its API; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Start from the beginning, even if an earlier run is unfinished or finished
    #[arg(long)]
    restart: bool,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object for each source at the end
    #[arg(long)]
    json: bool,
}

/// What `--json` prints, in this order.
#[derive(Serialize)]
struct JsonSummary<'a> {
    source: &'a str,
    complete: bool,
    seen: u64,
    applied: u64,
    unchanged: u64,
    parked: u64,
    seconds: f64,
}

/// How the reading of a source ended; the worst of several sources counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Complete,
    /// Another call may do better without anything being changed.
    Stopped,
    /// Something has to be corrected first.
    Failed,
}

impl Backfill {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
        let origin = if self.file.is_some() { UserSource::File } else { UserSource::ApiOrFile };
        let pulling = PullCommand::open(config, &self.sources, origin, clock).await?;
        let result = pulling.until_signalled(self.read_all(&pulling)).await;
        pulling.close().await?;
        result
    }

    async fn read_all(&self, pulling: &PullCommand) -> anyhow::Result<()> {
        let mut worst = End::Complete;
        for source in pulling.sources() {
            worst = worst.max(self.read(pulling, source).await?);
        }
        match worst {
            End::Complete => Ok(()),
            End::Stopped => bail!("not finished; run the command again: it continues where it stopped"),
            End::Failed => bail!("not finished: correct the errors above, then run the command again"),
        }
    }

    /// Reads one source.
    async fn read(&self, pulling: &PullCommand, source: &Source) -> anyhow::Result<End> {
        let options = BackfillOptions {
            file: self.file.clone(),
            restart: self.restart,
            dry_run: self.dry_run,
            requests_per_second: pulling.requests_per_second(source),
        };
        let started = Instant::now();
        let mut progress = RunProgressBar::new(source.name());
        // Boxed: it is large.
        let result = Box::pin(pulling.puller.backfill(source, &options, &mut progress)).await;
        progress.finish();
        let (counts, seconds) = match &result {
            Ok(Summary { counts, elapsed, .. }) => (*counts, elapsed.as_secs_f64()),
            Err((_, counts)) => (*counts, started.elapsed().as_secs_f64()),
        };
        let RunCounts { seen, applied, unchanged, parked } = counts;
        if self.json {
            let complete = result.is_ok();
            let seconds = (seconds * 1000.0).round() / 1000.0;
            let summary =
                JsonSummary { source: source.name(), complete, seen, applied, unchanged, parked, seconds };
            say!("{}", serde_json::to_string(&summary)?);
        }
        let name = source.name();
        match result {
            Ok(Summary { was_complete: true, .. }) if !self.json => {
                say!("{name}: already complete ({seen} users read); use --restart to read it again");
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
            Err((error, _)) if error.is_setup() => bail!(Usage(format!("{name}: {error}"))),
            Err((error, _)) => {
                say_error!("{name}: not finished after {seen} users: {error}");
                return Ok(if error.may_pass() { End::Stopped } else { End::Failed });
            }
        }
        Ok(End::Complete)
    }
}
