//! Runs that are started in the console: the same backfills and reconciliations as the commands make, in the background.

use std::sync::Arc;

use super::tasks::{Task, Tasks, Working};
use crate::jobs::Jobs;
use crate::providers::Sources;
use crate::pull::{BackfillOptions, Puller, Quiet, ReconcileOptions};
use crate::store::StoreError;
use crate::sync::Feed;

/// Starts runs.
#[derive(Clone, Debug)]
pub(super) struct RunStarter {
    pub(super) puller: Arc<Puller>,
    pub(super) sources: Arc<Sources>,
    pub(super) tasks: Tasks,
    pub(super) feed: Feed,
    pub(super) jobs: Jobs,
}

/// What to run.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Backfill(BackfillOptions),
    Reconcile(ReconcileOptions),
}

impl RunStarter {
    /// Whether a run would do nothing, because the last one is complete.
    pub(super) async fn is_complete(&self, source: &str, wanted: &Wanted) -> Result<bool, StoreError> {
        match (wanted, self.sources.get(source)) {
            (Wanted::Backfill(options), Some(source)) => self.puller.is_backfilled(source, options).await,
            _ => Ok(false),
        }
    }

    /// The right to start a run; `None` if one of this source was started here and has not ended.
    pub(super) fn begin(&self, source: &str) -> Option<Working> {
        self.tasks.begin(&task_name(source))
    }

    /// Starts a run. Its progress is in the database.
    pub(super) fn start(&self, source: &str, wanted: Wanted, working: Working) {
        let (starter, source, stop) = (self.clone(), source.to_owned(), self.jobs.stopping());
        self.jobs.spawn_once("run started in the console", async move {
            let mut work = Box::pin(starter.work(&source, wanted, working));
            tokio::select! {
                () = &mut work => return,
                () = stop.cancelled() => starter.puller.stop(),
            }
            work.await;
        });
    }

    /// The last run of this source that was started here.
    pub(super) fn last_started(&self, source: &str) -> Option<Task> {
        self.tasks.get(&task_name(source))
    }

    async fn work(&self, name: &str, wanted: Wanted, working: Working) {
        let Some(source) = self.sources.get(name) else { return };
        let mut progress = Quiet;
        let ended = match wanted {
            Wanted::Backfill(options) => match self.puller.backfill(source, &options, &mut progress).await {
                Ok(summary) if summary.was_complete => {
                    Ok("The last backfill is complete, and was not repeated.".to_owned())
                }
                Ok(_) => Ok("The backfill is complete.".to_owned()),
                Err((error, _)) => Err(error.to_string()),
            },
            Wanted::Reconcile(options) => {
                match self.puller.reconcile(source, &options, &mut progress).await {
                    Ok(_) => Ok("The reconciliation is complete.".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        // Requests of this process that wait for a user may have to look again.
        self.feed.wake_all();
        working.end(ended);
    }
}

fn task_name(source: &str) -> String {
    format!("run of {source}")
}
