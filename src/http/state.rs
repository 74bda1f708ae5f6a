//! What the handlers need.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::development::DevelopmentIssuer;
use super::key_use::KeyUse;
use super::limits::Limits;
use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::providers::Sources;
use crate::store::Store;
use crate::sync::{Feed, Intake, UserCache};
use crate::telemetry::Metrics;

/// Everything that the handlers need.
#[derive(Clone, Debug)]
pub struct State {
    /// The configured sources.
    pub sources: Arc<Sources>,
    /// Accepts deliveries.
    pub intake: Intake,
    /// Verifies tokens.
    pub authenticator: Arc<Authenticator>,
    /// Reads users by whom a token speaks for.
    pub users: UserCache,
    /// Reads users in every other way, and service keys.
    pub store: Store,
    /// When service keys were last used.
    pub key_use: KeyUse,
    /// Notifies requests that wait for a user.
    pub feed: Feed,
    /// Cancelled when the service is told to stop.
    pub stopping: CancellationToken,
    /// The time.
    pub clock: Clock,
    /// The metrics.
    pub metrics: Metrics,
    /// The rate limits, and the places for streams.
    pub limits: Limits,
    /// The origins of the web pages whose scripts may call `/v1`. A single `*` allows all.
    pub cors_origins: Vec<String>,
    /// The largest delivery that is accepted, in bytes.
    pub body_limit: usize,
    /// The development issuer, only in `usersync dev`.
    pub development: Option<DevelopmentIssuer>,
}
