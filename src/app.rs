//! The composition root: it connects the modules, in the same way for production and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use futures_util::future::BoxFuture;

use crate::auth::{Authenticator, SetupError};
use crate::clock::{Clock, NoRandomness};
use crate::config::{Config, ConfigErrors};
use crate::console::{Access, Console, Parts};
use crate::events::{Dispatch, EventLog, register, start_dispatching, start_sweeping_events};
use crate::http::{
    self, AuthContext, DevelopmentProvider, Events, IntakeContext, KeyUse, Limits, Routes, Running, State,
    WaitContext,
};
use crate::jobs::{Jobs, JobsGuard};
use crate::providers::{self, SourceError, Sources};
use crate::pull::{IssuerKeys, Watch};
use crate::store::{Store, StoreError};
use crate::sync::{Activities, Feed, Intake, ReplicaListener, UserCache, Writer, start_sweeping};
use crate::telemetry::Metrics;

/// How long background tasks may take to end, and then the database to close its connections.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// How often to look for unused connections.
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// The whole service, ready to serve.
#[derive(Debug)]
pub struct App {
    state: State,
    console: Parts,
    admin: Option<TcpListener>,
    jobs: JobsGuard,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The token rules.
    #[error(transparent)]
    Tokens(#[from] SetupError),
    /// The watch over the sources.
    #[error("the providers cannot be watched: {0}")]
    Watch(String),
    /// The HTTP client for endpoints.
    #[error("no HTTP client can be made: {0}")]
    HttpClient(#[from] reqwest::Error),
}

/// The settings of a file and of the environment, as `usersync serve` reads them; see [`Config::load`].
pub fn configure(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigErrors> {
    Config::load(file, environment, &providers::kinds())
}

/// The authenticator of all sources' token rules, in configured order. It fetches nothing yet.
pub fn authenticator(config: &Config, clock: Clock) -> Result<Authenticator, SetupError> {
    authenticator_of_service(config, clock, Metrics::default(), Jobs::default())
}

fn authenticator_of_service(
    config: &Config,
    clock: Clock,
    metrics: Metrics,
    jobs: Jobs,
) -> Result<Authenticator, SetupError> {
    let rules = config
        .sources
        .iter()
        .flat_map(|source| source.tokens.iter().map(|rule| (source.name.clone(), rule.clone())));
    Authenticator::new(rules.collect(), config.tokens.clone(), clock, metrics, jobs)
}

impl IssuerKeys for Authenticator {
    fn key_ids<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Option<BTreeSet<String>>> {
        Box::pin(Self::key_ids(self, source))
    }
}

fn give_idle_connections_back(jobs: &Jobs, store: Store) {
    jobs.spawn_loop("idle connections", move || close_idle_periodically(store.clone()));
}

async fn close_idle_periodically(store: Store) {
    loop {
        tokio::time::sleep(IDLE_CHECK).await;
        store.close_idle().await;
    }
}

/// Starts what sends events to endpoints, and deletes old ones.
async fn start_events(config: &Config, jobs: &Jobs, dispatch: &Dispatch) -> Result<(), StartError> {
    // Events that an earlier configuration has logged are swept in any case.
    start_sweeping_events(jobs, dispatch.store.clone(), dispatch.clock.clone(), dispatch.retention);
    if !config.logs_events() {
        dispatch.store.outbox().end_log().await?;
    }
    register(&dispatch.store, &config.endpoints, &dispatch.clock).await?;
    Ok(start_dispatching(jobs, dispatch, config.endpoints.clone())?)
}

impl App {
    /// Connects, migrates and connects the modules. Must be called within a tokio runtime.
    pub async fn new(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let sources = Arc::new(Sources::new(&config.sources)?);
        let (metrics, feed, jobs) = (Metrics::default(), Feed::default(), Jobs::default());
        let authenticator = authenticator_of_service(config, clock.clone(), metrics.clone(), jobs.clone())?;
        let authenticator = Arc::new(authenticator);
        let store = Store::connect(&config.database).await?;
        store.migrate().await?;
        authenticator.start();
        give_idle_connections_back(&jobs, store.clone());
        start_sweeping(&jobs, store.clone(), clock.clone(), config.journal.retention);
        ReplicaListener::start(&jobs, store.clone(), feed.clone());
        let dispatch = Dispatch {
            store: store.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            feed: feed.clone(),
            retention: config.event_retention(),
        };
        start_events(config, &jobs, &dispatch).await?;
        let writer = Writer {
            store: store.clone(),
            sources: Arc::clone(&sources),
            clock: clock.clone(),
            metrics: metrics.clone(),
            logs_events: config.logs_events(),
        };
        let activities = Activities::new(store.clone(), clock.clone(), &sources.names());
        activities.start(&jobs);
        let watch = Watch::new(
            writer.clone(),
            feed.clone(),
            activities.clone(),
            &config.sources,
            config.tokens.allow_http,
            Some(Arc::clone(&authenticator) as Arc<dyn IssuerKeys>),
        );
        let watch = watch.map_err(|error| StartError::Watch(error.to_string()))?;
        let console = Parts {
            config: Arc::new(config.clone()),
            watch: watch.clone(),
            authenticator: Arc::clone(&authenticator),
            writer: writer.clone(),
            feed: feed.clone(),
            jobs: jobs.clone(),
        };
        let access = AuthContext {
            authenticator,
            sources,
            users: UserCache::new(&jobs, &store, feed.clone()),
            store,
            key_use: KeyUse::new(jobs.clone()),
            clock,
            metrics,
        };
        let deliveries = IntakeContext {
            intake: Intake::start(jobs.clone(), writer, feed.clone(), activities),
            body_limit: config.server.body_limit,
        };
        let waiting = WaitContext {
            feed,
            stopping: jobs.stopping(),
            limits: Limits::new(config.limits.clone(), config.server.trusted_proxies.clone()),
        };
        let Dispatch { store, clock, retention, .. } = dispatch;
        let events = Events {
            log: EventLog { store, retention, clock },
            endpoints: config.endpoints.clone(),
            is_logged: config.logs_events(),
        };
        let cors_origins = config.server.cors_origins.clone();
        let state = State {
            access,
            deliveries,
            waiting,
            watch,
            events,
            cors_origins,
            development: None,
            mounted: None,
        };
        Ok(Self { state, console, admin: None, jobs: jobs.guard() })
    }

    /// Serves the development issuer beside everything else.
    #[must_use]
    pub fn with_development_provider(mut self, issuer: DevelopmentProvider) -> Self {
        self.state.development = Some(issuer);
        self
    }

    /// Serves the console, with a login, on a listener of its own.
    #[must_use]
    pub fn with_console(mut self, listener: Option<TcpListener>) -> Self {
        self.admin = listener;
        self
    }

    /// Serves the console at `/console` beside everything else, without a login: only for this machine.
    pub(crate) fn with_open_console(mut self) -> Result<Self, NoRandomness> {
        let console = Console::new(self.console.clone(), "/console", Access::Open)?;
        self.state.mounted = Some(console.mount());
        Ok(self)
    }

    /// The database of the service, to read users from. A clone is cheap, and has the same connections.
    pub fn store(&self) -> &Store {
        &self.state.access.store
    }

    /// The log of events.
    pub(crate) fn events(&self) -> &EventLog {
        &self.state.events.log
    }

    /// For another actix-web app, whose handlers may then take [`http::CurrentUser`]:
    /// `.app_data(usersync.data())`.
    ///
    /// Keep this app, or the [`Service`] that it becomes, for as long as the other runs: background tasks end
    /// with it.
    pub fn data(&self) -> web::Data<AuthContext> {
        web::Data::new(self.state.access.clone())
    }

    /// Serves on a bound listener, with metrics on another one if there is one, and watches the sources.
    pub fn serve(self, listener: TcpListener, metrics: Option<TcpListener>) -> io::Result<Service> {
        let service = self.serve_without_watch(listener, metrics)?;
        service.start_watch();
        Ok(service)
    }

    /// The same, but the sources are watched only after [`Service::start_watch`].
    pub(crate) fn serve_without_watch(
        self,
        listener: TcpListener,
        metrics: Option<TcpListener>,
    ) -> io::Result<Service> {
        let served = if metrics.is_some() { Routes::WithoutMetrics } else { Routes::All };
        let metrics = metrics
            .map(|listener| http::serve(listener, self.state.clone(), Routes::MetricsOnly))
            .transpose()?;
        let admin = self.admin.map(|listener| {
            let console = Console::new(self.console, "", Access::Login).map_err(io::Error::other)?;
            http::serve_mounted(listener, self.state.clone(), console.mount())
        });
        let admin = admin.transpose()?;
        let (store, intake) = (self.state.access.store.clone(), self.state.deliveries.intake.clone());
        let watch = self.state.watch.clone();
        let main = http::serve(listener, self.state, served)?;
        Ok(Service { main, metrics, admin, intake, watch, store, jobs: self.jobs })
    }
}

/// The service while it runs.
#[derive(Debug)]
pub struct Service {
    /// The main listener.
    pub main: Running,
    /// The listener for metrics, if they have their own.
    pub metrics: Option<Running>,
    /// The listener for the console, if there is one.
    pub admin: Option<Running>,
    intake: Intake,
    watch: Watch,
    store: Store,
    jobs: JobsGuard,
}

impl Service {
    /// Begins to watch the sources.
    pub(crate) fn start_watch(&self) {
        self.watch.start(&self.jobs);
    }

    /// Accepts no more requests, answers the open ones, writes the accepted deliveries, and ends.
    pub async fn stop(self) -> io::Result<()> {
        // Open streams would otherwise keep the listener from ending.
        self.jobs.stop();
        let stopped = async |listener: Option<Running>| match listener {
            Some(listener) => listener.stop().await,
            None => Ok(()),
        };
        // At the same time, because each may wait for its open requests.
        let (main, metrics, admin) =
            tokio::join!(self.main.stop(), stopped(self.metrics), stopped(self.admin));
        // Even if a listener failed, accepted deliveries are written.
        self.intake.drain().await;
        self.jobs.end(END_TIMEOUT).await;
        // A database that hangs is not waited for: everything is written, or its sender got an error.
        let closed = match tokio::time::timeout(END_TIMEOUT, self.store.close()).await {
            Ok(closed) => closed.map_err(io::Error::other),
            Err(_) => Ok(()),
        };
        main.and(metrics).and(admin).and(closed)
    }

    /// Returns only if the main listener fails: then nothing is served any more.
    pub async fn failed(&mut self) -> io::Error {
        self.main.failed().await
    }
}
