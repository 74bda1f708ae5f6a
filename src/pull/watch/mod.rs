//! Watches the sources while the service runs: reads the providers' own logs of events, checks for differences, and
//! reports the state of each source.
//!
//! One replica at a time sends requests to a source's provider (`schedule`). The results are in the database, so every
//! replica reports the same state, which is a pure function of them (`src/domain/source_state.rs`).

mod checks;
mod log;
mod schedule;
mod status;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use status::{SourceHealth, SourceStatus, WatchedDrift};

use self::status::UsualPause;
use super::Puller;
use super::client::{ApiClient, RetryPolicy};
use super::error::ApiError;
use super::instance::IssuerKeys;
use crate::config;
use crate::domain::{Reason, SourceState};
use crate::jobs::Jobs;
use crate::store::StoreError;
use crate::sync::{Activities, Feed, Writer};

/// The watch over all sources. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    puller: Puller,
    feed: Feed,
    activities: Activities,
    sources: BTreeMap<String, WatchedSource>,
}

/// The state of a source in this process.
#[derive(Debug)]
struct WatchedSource {
    /// `None` if there are no requests to its provider.
    client: Option<ApiClient>,
    reconcile_every: Option<Duration>,
    requests_per_second: Option<NonZeroU32>,
    usual_pause: UsualPause,
    /// Locked during a check, so that there is one at a time.
    checking: tokio::sync::Mutex<()>,
    /// The number of completed checks.
    completed_checks: AtomicU64,
}

impl WatchedSource {
    fn new(settings: &config::Source, writer: &Writer, allow_http: bool) -> Result<Self, ApiError> {
        let api = settings.api.clone().unwrap_or_default();
        let provider_api = writer.sources.get(&settings.name).and_then(|source| source.api());
        let pace = api.requests_per_second;
        let client = |api| ApiClient::new(api, pace, allow_http, writer.clock.clone(), RetryPolicy::WATCH);
        Ok(Self {
            client: provider_api.filter(|_| api.watch).map(client).transpose()?,
            reconcile_every: api.reconcile_every,
            requests_per_second: pace,
            usual_pause: UsualPause::default(),
            checking: tokio::sync::Mutex::default(),
            completed_checks: AtomicU64::default(),
        })
    }
}

impl Watch {
    /// A watch over these sources. It begins with [`Self::start`].
    pub(crate) fn new(
        writer: Writer,
        feed: Feed,
        activities: Activities,
        settings: &[config::Source],
        allow_http: bool,
        issuer_keys: Option<Arc<dyn IssuerKeys>>,
    ) -> Result<Self, ApiError> {
        let watched = |one: &config::Source| {
            WatchedSource::new(one, &writer, allow_http).map(|watched| (one.name.clone(), watched))
        };
        let sources = settings.iter().map(watched).collect::<Result<_, _>>()?;
        let clock = writer.clock.clone();
        let puller = Puller::new(writer, clock, allow_http, issuer_keys);
        Ok(Self(Arc::new(Inner { puller, feed, activities, sources })))
    }

    /// Starts the background tasks. Must be called within a tokio runtime.
    pub(crate) fn start(&self, jobs: &Jobs) {
        let inner = Arc::clone(&self.0);
        jobs.spawn_stoppable("states of the sources", move |stop| {
            Arc::clone(&inner).update_states_periodically(stop)
        });
        for (name, source) in &self.0.sources {
            if source.client.is_some() {
                let (inner, name) = (Arc::clone(&self.0), name.clone());
                jobs.spawn_stoppable("watch", move |stop| {
                    Arc::clone(&inner).watch_with_lease(name.clone(), stop)
                });
            }
        }
    }

    /// The status of every source, by name.
    pub(crate) async fn all(&self) -> Result<Vec<SourceStatus>, StoreError> {
        self.0.status(None).await
    }

    /// Every source by name, without what has to be counted.
    pub(crate) async fn health(&self) -> Result<Vec<SourceHealth>, StoreError> {
        self.0.health(None).await
    }

    /// The state of each source and its reasons, by name. Nothing is written.
    pub(crate) async fn states(&self) -> Result<Vec<(String, SourceState, Vec<Reason>)>, StoreError> {
        self.0.states().await
    }

    /// Sets the metrics.
    pub(crate) async fn observe(&self) -> Result<(), StoreError> {
        self.0.update_states().await.map(|_| ())
    }

    /// Whether a source can be checked: whether requests are sent to its provider.
    pub(crate) fn sends_requests(&self, name: &str) -> bool {
        self.0.client(name).is_some()
    }

    /// Checks a source at its provider now, and returns its status; `None` if there is no such source.
    ///
    /// If a check is already running in this process, its result is used. If the service stops, the provider is not
    /// waited for.
    pub(crate) async fn check(
        &self,
        name: &str,
        stop: &CancellationToken,
    ) -> Result<Option<SourceStatus>, StoreError> {
        if !self.0.sources.contains_key(name) {
            return Ok(None);
        }
        self.0.activities.wake(name);
        stop.run_until_cancelled(self.0.check(name)).await.transpose()?;
        Ok(self.0.status(Some(name)).await?.pop())
    }
}

impl Inner {
    fn client(&self, source: &str) -> Option<&ApiClient> {
        self.sources.get(source)?.client.as_ref()
    }

    /// Checks a source at its provider, if there are requests to it. If a check is already running, waits for that one.
    async fn check(&self, name: &str) -> Result<(), StoreError> {
        let (Some(watched), Some(source)) = (self.sources.get(name), self.puller.writer.sources.get(name))
        else {
            return Ok(());
        };
        let Some(client) = &watched.client else { return Ok(()) };
        let before = watched.completed_checks.load(Ordering::SeqCst);
        let _guard = watched.checking.lock().await;
        if watched.completed_checks.load(Ordering::SeqCst) != before {
            return Ok(());
        }
        self.begin(name).await?;
        let stored = self.puller.writer.store.watches();
        let (last, log) =
            stored.find(name).await?.map(|watched| (watched.checks, watched.log)).unwrap_or_default();
        let (checks, ()) = tokio::try_join!(
            self.check_provider(source, client, &last),
            self.retry_log(source, client, &log)
        )?;
        stored.save_checks(name, &checks).await?;
        watched.completed_checks.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
