//! What the handlers need, in parts. A handler gets the part that it uses by its type: `web::Data<AuthContext>`.

use std::fmt;
use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use tokio_util::sync::CancellationToken;

use super::development::DevelopmentProvider;
use super::key_use::KeyUse;
use super::limits::Limits;
use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::config::Endpoint;
use crate::events::EventLog;
use crate::providers::Sources;
use crate::pull::Watch;
use crate::store::Store;
use crate::sync::{Feed, Intake, UserCache};
use crate::telemetry::Metrics;

/// All parts.
#[derive(Clone, Debug)]
pub struct State {
    /// Who sends a request.
    pub access: AuthContext,
    /// Accepting deliveries.
    pub deliveries: IntakeContext,
    /// Waiting for changes.
    pub waiting: WaitContext,
    /// The states of the sources.
    pub(crate) watch: Watch,
    /// The events about changed users.
    pub events: Events,
    /// Which web pages may call the API.
    pub cors_origins: Vec<String>,
    /// The development issuer, only in `usersync dev`.
    pub development: Option<DevelopmentProvider>,
    /// Routes of another module on the main listener, only in `usersync dev`.
    pub mounted: Option<Mount>,
}

/// Routes of another module.
#[derive(Clone)]
pub struct Mount(pub Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>);

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mount")
    }
}

/// What is needed to identify the sender of a request: the user of a token, or the owner of a service key.
#[derive(Clone, Debug)]
pub struct AuthContext {
    /// Verifies tokens.
    pub authenticator: Arc<Authenticator>,
    /// The configured sources.
    pub sources: Arc<Sources>,
    /// The users of tokens.
    pub users: UserCache,
    /// All other users, and the service keys.
    pub store: Store,
    /// When service keys were last used.
    pub key_use: KeyUse,
    /// The clock for the checks of tokens.
    pub clock: Clock,
    /// Counts the results of token checks.
    pub metrics: Metrics,
}

/// What is needed to accept deliveries and claims.
#[derive(Clone, Debug)]
pub struct IntakeContext {
    /// Verifies, decodes and writes them.
    pub intake: Intake,
    /// The largest delivery that is accepted, in bytes.
    pub body_limit: usize,
}

/// What is needed by requests that wait for changes of a user.
#[derive(Clone, Debug)]
pub struct WaitContext {
    /// Notifies them.
    pub feed: Feed,
    /// Cancelled when the service stops.
    pub stopping: CancellationToken,
    /// The permits for them.
    pub limits: Limits,
}

/// What the routes for events need.
#[derive(Clone, Debug)]
pub struct Events {
    /// The log of events.
    pub log: EventLog,
    /// The endpoints, whose state the metrics show.
    pub endpoints: Vec<Endpoint>,
    /// Whether changes are logged.
    pub is_logged: bool,
}

impl State {
    /// Gives the parts to the handlers of an app.
    pub(super) fn provide(&self, app: &mut ServiceConfig) {
        let Self { access, deliveries, waiting, watch, events, cors_origins: _, development: _, mounted: _ } =
            self.clone();
        app.app_data(web::Data::new(access.store.clone()))
            .app_data(web::Data::new(access.metrics.clone()))
            .app_data(web::Data::new(access))
            .app_data(web::Data::new(deliveries))
            .app_data(web::Data::new(watch))
            .app_data(web::Data::new(events))
            .app_data(web::Data::new(waiting.limits.clone()))
            .app_data(web::Data::new(waiting));
    }
}
