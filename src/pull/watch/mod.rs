//! The watch over the sources while the service runs: reads the providers' own logs of events, looks for differences, and
//! tells how each source stands.
//!
//! One replica at a time asks a source's provider (`duty`); what it finds is in the database, so every replica tells the
//! same. The state itself is a pure function of that (`src/domain/source_state.rs`).

mod checks;
mod duty;
mod log;
mod status;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) use status::{SourceStatus, WatchedDrift};

use self::status::UsualPause;
use super::Puller;
use super::client::{ApiClient, Patience};
use super::error::ApiError;
use crate::config;
use crate::domain::{Reason, SourceState};
use crate::jobs::Jobs;
use crate::store::StoreError;
use crate::sync::{Activities, Feed, Writer};

/// The watch over all sources. A clone stands for the same one.
#[derive(Clone, Debug)]
pub(crate) struct Watch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    puller: Puller,
    feed: Feed,
    activities: Activities,
    sources: BTreeMap<String, WatchedSource>,
}

/// What is kept of a source in this process.
#[derive(Debug)]
struct WatchedSource {
    /// `None` if its provider is not asked.
    client: Option<ApiClient>,
    reconcile_every: Option<Duration>,
    requests_per_second: Option<NonZeroU32>,
    usual_pause: UsualPause,
    /// One check at a time.
    checking: tokio::sync::Mutex<()>,
    /// How many checks have ended.
    checked: AtomicU64,
}

impl WatchedSource {
    fn new(settings: &config::Source, writer: &Writer, allow_http: bool) -> Result<Self, ApiError> {
        let api = settings.api.clone().unwrap_or_default();
        let asked = writer.sources.get(&settings.name).and_then(|source| source.api());
        let pace = api.requests_per_second;
        let client = |api| ApiClient::new(api, pace, allow_http, writer.clock.clone(), Patience::WATCH);
        Ok(Self {
            client: asked.filter(|_| api.watch).map(client).transpose()?,
            reconcile_every: api.reconcile_every,
            requests_per_second: pace,
            usual_pause: UsualPause::default(),
            checking: tokio::sync::Mutex::default(),
            checked: AtomicU64::default(),
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
    ) -> Result<Self, ApiError> {
        let watched = |one: &config::Source| {
            WatchedSource::new(one, &writer, allow_http).map(|watched| (one.name.clone(), watched))
        };
        let sources = settings.iter().map(watched).collect::<Result<_, _>>()?;
        let clock = writer.clock.clone();
        let puller = Puller::new(writer, clock, allow_http);
        Ok(Self(Arc::new(Inner { puller, feed, activities, sources })))
    }

    /// Begins to watch. Must be called within a tokio runtime.
    pub(crate) fn start(&self, jobs: &Jobs) {
        let inner = Arc::clone(&self.0);
        jobs.spawn_stoppable("states of the sources", |stop| inner.judge_until(stop));
        for (name, source) in &self.0.sources {
            if source.client.is_some() {
                let (inner, name) = (Arc::clone(&self.0), name.clone());
                jobs.spawn_stoppable("watch", |stop| inner.keep_watch(name, stop));
            }
        }
    }

    /// How every source stands, by name.
    pub(crate) async fn all(&self) -> Result<Vec<SourceStatus>, StoreError> {
        self.0.status(None).await
    }

    /// The state of each source and its reasons, by name. Nothing is written.
    pub(crate) async fn states(&self) -> Result<Vec<(String, SourceState, Vec<Reason>)>, StoreError> {
        self.0.states().await
    }

    /// Sets the metrics.
    pub(crate) async fn observe(&self) -> Result<(), StoreError> {
        self.0.judge_all().await.map(|_| ())
    }

    /// Asks a source's provider now, and tells how the source stands; `None` if there is no such source.
    ///
    /// If a check is under way in this process, its result is the answer.
    pub(crate) async fn check(&self, name: &str) -> Result<Option<SourceStatus>, StoreError> {
        if !self.0.sources.contains_key(name) {
            return Ok(None);
        }
        self.0.activities.wake(name);
        self.0.check(name).await?;
        Ok(self.0.status(Some(name)).await?.pop())
    }
}

impl Inner {
    fn client(&self, source: &str) -> Option<&ApiClient> {
        self.sources.get(source)?.client.as_ref()
    }

    /// Asks a source's provider, unless it is not asked. If a check is under way, waits for that one.
    async fn check(&self, name: &str) -> Result<(), StoreError> {
        let (Some(watched), Some(source)) = (self.sources.get(name), self.puller.writer.sources.get(name))
        else {
            return Ok(());
        };
        let Some(client) = &watched.client else { return Ok(()) };
        let before = watched.checked.load(Ordering::SeqCst);
        let _alone = watched.checking.lock().await;
        if watched.checked.load(Ordering::SeqCst) != before {
            return Ok(());
        }
        self.begin(name).await?;
        let known = self.puller.writer.store.watches();
        let last = known.all().await?.remove(name).map(|known| known.checks).unwrap_or_default();
        let checks = self.ask(source, client, &last).await?;
        known.save_checks(name, &checks).await?;
        watched.checked.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
