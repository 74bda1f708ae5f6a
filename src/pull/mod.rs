//! Imports users from a provider, and compares the table with its list, in runs that can be resumed.
//!
//! A provider's `Directory` builds the requests and reads the answers; `client` sends them, with a rate limit; `paging`
//! reads page after page; `backfill` writes every page with the run's progress, through the same writer as deliveries;
//! `reconcile` compares; `watch` does this while the service runs.

mod answer;
mod backfill;
mod client;
mod comparison;
mod completeness;
mod credentials;
mod error;
mod file;
mod instance;
mod lease;
mod paging;
mod progress;
mod reconcile;
mod repetition;
mod report;
mod response;
mod sample;
mod sse;
mod watch;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(crate) use backfill::{BackfillOptions, Summary};
pub(crate) use error::PullError;
pub(crate) use instance::IssuerKeys;
pub(crate) use progress::{Progress, Quiet};
pub(crate) use reconcile::ReconcileOptions;
pub(crate) use report::{Difference, Drift, Report};
pub(crate) use watch::{SourceHealth, SourceStatus, Watch, WatchedDrift};

use crate::clock::Clock;
use crate::sync::Writer;

/// Reads the lists of providers.
#[derive(Debug)]
pub(crate) struct Puller {
    writer: Writer,
    clock: Clock,
    allow_http: bool,
    /// `None` where no request is sent.
    issuer_keys: Option<Arc<dyn IssuerKeys>>,
    /// The id of this process in its leases.
    holder: String,
    /// Cancelled when this process has to stop.
    stop: CancellationToken,
}

impl Puller {
    pub(crate) fn new(
        writer: Writer,
        clock: Clock,
        allow_http: bool,
        issuer_keys: Option<Arc<dyn IssuerKeys>>,
    ) -> Self {
        let holder = clock.fresh_id().to_string();
        Self { writer, clock, allow_http, issuer_keys, holder, stop: CancellationToken::new() }
    }

    /// Stops all runs soon. Each is released immediately, so that another process can continue it.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}
