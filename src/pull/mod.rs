//! Reading users in from a provider, and comparing the table with its list: runs, resumable and with pace.
//!
//! A provider's `Directory` says what to ask and what the answer means; `client` asks; `walk` goes from page to page;
//! `backfill` writes every page as one transaction, through the same writer as deliveries; `reconcile` compares.

mod backfill;
mod client;
mod credentials;
mod error;
mod file;
mod instance;
mod progress;
mod reconcile;
mod report;
mod walk;

use std::time::Duration;

use uuid::Uuid;

pub(crate) use backfill::{BackfillOptions, Summary};
pub(crate) use error::PullError;
pub(crate) use progress::Progress;
pub(crate) use reconcile::ReconcileOptions;
pub(crate) use report::Report;

use crate::clock::Clock;
use crate::store::StoreError;
use crate::sync::Writer;

/// How often a run renews its lease: well before the lease ends.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

/// Works through the lists of providers.
#[derive(Debug)]
pub(crate) struct Puller {
    writer: Writer,
    clock: Clock,
    allow_http: bool,
    /// Names this process in the runs that it has for itself.
    holder: String,
}

impl Puller {
    pub(crate) fn new(writer: Writer, clock: Clock, allow_http: bool) -> Self {
        let holder = clock.fresh_id().to_string();
        Self { writer, clock, allow_http, holder }
    }

    /// Does the work of a run while renewing its lease. The work ends early if another process has taken the run over.
    async fn while_held<T>(
        &self,
        run: Uuid,
        work: impl Future<Output = Result<T, PullError>>,
    ) -> Result<T, PullError> {
        tokio::select! { result = work => result, error = self.renew(run) => Err(error) }
    }

    /// Renews the lease of a run; returns if another process has taken the run over.
    async fn renew(&self, run: Uuid) -> PullError {
        loop {
            tokio::time::sleep(RENEWAL_INTERVAL).await;
            let held = self.writer.store.runs().hold(run, &self.holder, self.clock.now()).await;
            // A database that is away is noticed by the next page.
            if matches!(held, Ok(false)) {
                return StoreError::unavailable("another process has taken this run over").into();
            }
        }
    }
}
