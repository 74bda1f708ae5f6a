//! `usersync replay`: processes deliveries again, or rebuilds the users table from the journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};

use super::progress::Progress;
use super::{Usage, since};
use crate::clock::Clock;
use crate::domain::Outcome;
use crate::providers::Sources;
use crate::store::{JournalEntry, Store, Which};
use crate::sync::{Rebuilt, Replay as Replayer, Replayed};

/// Parked deliveries that `--list` reads at a time.
const LIST_PAGE: u64 = 100;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["files", "journal", "parked", "since", "rebuild"]))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Replay {
    /// Event files, processed as if `--source` had sent them; the same event twice is a duplicate
    #[arg(requires = "source", conflicts_with_all = ["journal", "parked", "since", "rebuild"])]
    files: Vec<PathBuf>,
    /// The source of the files, or only deliveries of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// All deliveries whose payload is still stored
    #[arg(long, conflicts_with_all = ["parked", "rebuild"])]
    journal: bool,
    /// Only parked deliveries; exit code 1 if some of them stay parked
    #[arg(long, conflicts_with = "rebuild")]
    parked: bool,
    /// With `--parked`: only list the parked deliveries, and why they are parked
    #[arg(long, requires = "parked")]
    list: bool,
    /// Only deliveries received since this time: RFC 3339, or how long ago, such as 2d
    #[arg(long, value_name = "TIME", conflicts_with = "rebuild")]
    since: Option<String>,
    /// Rebuild the users table from the journal; users with an incomplete history are skipped
    #[arg(long, conflicts_with = "source")]
    rebuild: bool,
}

impl Replay {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
        let config = super::configure(config)?;
        let sources = Arc::new(Sources::new(&config.sources).map_err(|error| Usage(error.to_string()))?);
        let store = Store::connect_for_command(&config.database).await?;
        store.migrate().await?;
        let result = self.run_on(&store, sources, clock, config.logs_events()).await;
        // Closing moves SQLite's write-ahead log into the database file.
        store.close().await?;
        result
    }

    async fn run_on(
        self,
        store: &Store,
        sources: Arc<Sources>,
        clock: Clock,
        logs_events: bool,
    ) -> anyhow::Result<()> {
        let since = since::parse(self.since.as_deref(), &clock)?;
        let which = Which { parked: self.parked, source: self.source.clone(), since, reason: None };
        if self.list {
            return list(store, which).await;
        }
        let replay = Replayer::new(Arc::clone(&sources), store.clone(), clock, logs_events);
        if self.rebuild {
            return rebuild(&replay).await;
        }
        if self.files.is_empty() {
            return replay_journal(&replay, store, &which).await;
        }
        self.replay_files(&replay, &sources).await
    }

    async fn replay_files(&self, replay: &Replayer, sources: &Sources) -> anyhow::Result<()> {
        let name = self.source.as_deref().unwrap_or_default();
        let source = sources
            .get(name)
            .ok_or_else(|| Usage(format!("the configuration has no source named {name:?}")))?;
        let mut parked = 0;
        for file in &self.files {
            let body =
                fs::read(file).map_err(|error| Usage(format!("cannot read {}: {error}", file.display())))?;
            let outcome = replay.event(source, body).await.with_context(|| file.display().to_string())?;
            say!("{:<10} {}", outcome.as_str(), file.display());
            parked += usize::from(outcome == Outcome::Parked);
        }
        if parked > 0 {
            bail!("{parked} of the events are parked; `usersync replay --parked --list` shows why");
        }
        Ok(())
    }
}

async fn replay_journal(replay: &Replayer, store: &Store, which: &Which) -> anyhow::Result<()> {
    let progress = Progress::new("deliveries");
    let counting = async {
        replay.count(which, |counted| progress.set_total(counted)).await?;
        progress.total_is_known();
        Ok(())
    };
    let replaying = replay.journal(which, |done| progress.update(done));
    let ((), Replayed { outcomes, without_payload, without_source }) =
        tokio::try_join!(counting, replaying).context("the replay stopped; run it again to continue")?;
    progress.finish();
    for (outcome, count) in &outcomes {
        say!("{count:>10} {outcome}");
    }
    if without_payload > 0 {
        say!(
            "{without_payload:>10} were skipped: they have no payload, because the user was deleted, or the payload is older than the retention"
        );
    }
    if without_source > 0 {
        say!("{without_source:>10} were skipped: their source is not configured");
    }
    if which.parked {
        let remaining = store.journal().count(which).await?;
        if remaining > 0 {
            bail!("{remaining} deliveries are still parked; `usersync replay --parked --list` shows why");
        }
    }
    Ok(())
}

async fn rebuild(replay: &Replayer) -> anyhow::Result<()> {
    let progress = Progress::new("users");
    let counting = async {
        replay.count_users(|counted| progress.set_total(counted)).await?;
        progress.total_is_known();
        Ok(())
    };
    let rebuilding = replay.rebuild(|done| progress.update(done));
    let ((), Rebuilt { same, corrected, incomplete }) =
        tokio::try_join!(counting, rebuilding).context("the replay stopped; run it again to continue")?;
    progress.finish();
    say!("{same:>10} users already match the journal");
    say!("{corrected:>10} users were corrected");
    if incomplete > 0 {
        say!(
            "{incomplete:>10} users were skipped: some of their payloads are no longer stored, or cannot be read"
        );
    }
    Ok(())
}

async fn list(store: &Store, which: Which) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = store.journal().page(&which, after.as_ref(), LIST_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.position());
        for JournalEntry { key, received_at, event_type, external_id, reason, .. } in page {
            let [event_type, external_id] =
                [event_type, external_id].map(|value| value.unwrap_or_else(|| "-".to_owned()));
            let reason = reason.unwrap_or_default();
            say!("{received_at}  {}  {}  {event_type}  {external_id}  {reason}", key.source, key.message_id);
        }
    }
}
