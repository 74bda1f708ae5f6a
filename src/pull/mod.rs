//! Reading users in from a provider, and comparing the table with its list: runs, resumable and with pace.
//!
//! A provider's `Directory` says what to ask and what the answer means; `client` asks; `walk` goes from page to page;
//! `backfill` writes every page as one transaction, through the same writer as deliveries; `reconcile` compares.

mod backfill;
mod client;
mod comparing;
mod credentials;
mod error;
mod file;
mod instance;
mod lease;
mod progress;
mod reconcile;
mod repetition;
mod report;
mod sse;
mod walk;
mod watch;
mod whole;

use tokio_util::sync::CancellationToken;

pub(crate) use backfill::{BackfillOptions, Summary};
pub(crate) use progress::Progress;
pub(crate) use reconcile::ReconcileOptions;
pub(crate) use report::{Difference, Drift, Report};
pub(crate) use watch::{SourceStatus, Watch, WatchedDrift};

use crate::clock::Clock;
use crate::sync::Writer;

/// Works through the lists of providers.
#[derive(Debug)]
pub(crate) struct Puller {
    writer: Writer,
    clock: Clock,
    allow_http: bool,
    /// Names this process in the runs that it has for itself.
    holder: String,
    /// Cancelled when this process is told to stop.
    stop: CancellationToken,
}

impl Puller {
    pub(crate) fn new(writer: Writer, clock: Clock, allow_http: bool) -> Self {
        let holder = clock.fresh_id().to_string();
        Self { writer, clock, allow_http, holder, stop: CancellationToken::new() }
    }

    /// Ends all runs soon. Each is given back at once, so that another process can continue it.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}
