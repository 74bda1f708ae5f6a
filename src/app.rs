//! The composition root: what production and the tests put together in one way.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::auth::{Authenticator, SetupError};
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors};
use crate::http::{self, DevelopmentIssuer, KeyUse, Limits, Offer, Running, State};
use crate::providers::{self, SourceError, Sources};
use crate::store::{Store, StoreError};
use crate::sync::{Ear, Feed, Intake, KnownUsers, Sweep};
use crate::telemetry::Metrics;

/// How long the database may take to let its connections go.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The whole service, ready to serve.
#[derive(Debug)]
pub struct App {
    state: State,
    background: Background,
}

/// What goes on until the service ends.
#[derive(Debug)]
struct Background {
    _sweep: Sweep,
    _ear: Ear,
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
}

/// The settings of a file and of the environment, as `usersync serve` reads them; see [`Config::load`].
pub fn configure(
    file: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Config, ConfigErrors> {
    Config::load(file, environment, &providers::kinds())
}

/// What decides about tokens, by the rules of all sources in configured order. Fetches nothing yet.
pub fn authenticator(config: &Config, clock: Clock) -> Result<Authenticator, SetupError> {
    let rules = config
        .sources
        .iter()
        .flat_map(|source| source.tokens.iter().map(|rule| (source.name.clone(), rule.clone())));
    Authenticator::new(rules.collect(), config.tokens.clone(), clock)
}

impl App {
    /// Connects, migrates and puts the rooms together. Must be called within a tokio runtime.
    pub async fn new(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let sources = Arc::new(Sources::new(&config.sources)?);
        let mut authenticator = authenticator(config, clock.clone())?;
        let store = Store::connect(config.database.url.expose_secret()).await?;
        store.migrate().await?;
        authenticator.start();
        let metrics = Metrics::default();
        let feed = Feed::default();
        let background = Background {
            _sweep: Sweep::start(store.clone(), clock.clone(), config.journal.retention),
            _ear: Ear::start(store.clone(), feed.clone()),
        };
        let state = State {
            intake: Intake::start(
                Arc::clone(&sources),
                store.clone(),
                clock.clone(),
                metrics.clone(),
                feed.clone(),
            ),
            users: KnownUsers::new(&store, feed.clone()),
            key_use: KeyUse::default(),
            feed,
            stopping: CancellationToken::new(),
            sources,
            authenticator: Arc::new(authenticator),
            store,
            clock,
            metrics,
            limits: Limits::new(config.limits.clone(), config.server.trusted_proxies.clone()),
            cors_origins: config.server.cors_origins.clone(),
            body_limit: config.server.body_limit,
            development: None,
        };
        Ok(Self { state, background })
    }

    /// Serves the development issuer beside everything else.
    #[must_use]
    pub fn with_development_issuer(mut self, issuer: DevelopmentIssuer) -> Self {
        self.state.development = Some(issuer);
        self
    }

    /// The database of the service, to read users from. A clone is cheap, and has the same connections.
    pub fn store(&self) -> &Store {
        &self.state.store
    }

    /// For another actix-web app, whose handlers may then take [`http::CurrentUser`]:
    /// `.app_data(usersync.data())`.
    ///
    /// Keep this app, or the [`Service`] that it becomes, for as long as the other runs: the background ends
    /// with it.
    pub fn data(&self) -> web::Data<State> {
        web::Data::new(self.state.clone())
    }

    /// Serves on a bound listener, with metrics on another one if there is one.
    pub fn serve(self, listener: TcpListener, metrics: Option<TcpListener>) -> io::Result<Service> {
        let offer = if metrics.is_some() { Offer::NoMetrics } else { Offer::All };
        let metrics = metrics
            .map(|listener| http::serve(listener, self.state.clone(), Offer::MetricsAlone))
            .transpose()?;
        let State { store, intake, stopping, .. } = self.state.clone();
        let main = http::serve(listener, self.state, offer)?;
        Ok(Service { main, metrics, stopping, intake, store, background: self.background })
    }
}

/// The service while it runs.
#[derive(Debug)]
pub struct Service {
    /// The main listener.
    pub main: Running,
    /// The listener for metrics, if they have their own.
    pub metrics: Option<Running>,
    stopping: CancellationToken,
    intake: Intake,
    store: Store,
    background: Background,
}

impl Service {
    /// Accepts nothing more, answers what has begun, writes what was taken in, and ends.
    pub async fn stop(self) -> io::Result<()> {
        // Those who wait and those who listen would otherwise hold it up until they are done.
        self.stopping.cancel();
        let main = self.main.stop().await;
        let metrics = match self.metrics {
            Some(metrics) => metrics.stop().await,
            None => Ok(()),
        };
        // Whatever became of the listeners: what was taken in is written.
        self.intake.drain().await;
        drop(self.background);
        // A database that hangs does not hold it up: everything is written, or nobody was told so.
        let closed = match tokio::time::timeout(CLOSE_TIMEOUT, self.store.close()).await {
            Ok(closed) => closed.map_err(io::Error::other),
            Err(_) => Ok(()),
        };
        main.and(metrics).and(closed)
    }

    /// Returns only if the main listener ends without having been told to: then nothing is served any more.
    pub async fn failed(&mut self) -> io::Error {
        self.main.failed().await
    }
}
