//! What the pages work with.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::logins::Logins;
use super::runs::RunStarter;
use super::tasks::Tasks;
use crate::auth::Authenticator;
use crate::clock::{Clock, NoRandomness, random_bytes};
use crate::config::Config;
use crate::jobs::Jobs;
use crate::providers::Sources;
use crate::pull::{IssuerKeys, Puller, Watch};
use crate::store::Store;
use crate::sync::{Feed, Writer};
use crate::telemetry::Metrics;

/// Who may use the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever logs in with a service key that has the scope `admin`.
    Login,
    /// Everyone on this machine: in `usersync dev`.
    Open,
}

/// The parts of a service that the console uses.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) watch: Watch,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) writer: Writer,
    pub(crate) feed: Feed,
    pub(crate) jobs: Jobs,
}

/// The console. Clones share it.
#[derive(Clone)]
pub(crate) struct Console(Arc<Inner>);

struct Inner {
    base: &'static str,
    access: Access,
    parts: Parts,
    /// Signs the forms of a console without sessions.
    form_key: [u8; 32],
    logins: Logins,
    runs: RunStarter,
    tasks: Tasks,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("base", &self.0.base).field("access", &self.0.access).finish()
    }
}

impl Console {
    /// A console whose paths begin with `base`.
    pub(crate) fn new(parts: Parts, base: &'static str, access: Access) -> Result<Self, NoRandomness> {
        let Parts { config, writer, jobs, .. } = &parts;
        let issuer_keys: Arc<dyn IssuerKeys> = parts.authenticator.clone();
        let (clock, allow_http) = (writer.clock.clone(), config.tokens.allow_http);
        let puller = Puller::new(writer.clone(), clock, allow_http, Some(issuer_keys));
        let (logins, tasks) = (Logins::default(), Tasks::default());
        let runs = RunStarter {
            puller: Arc::new(puller),
            sources: Arc::clone(&writer.sources),
            tasks: tasks.clone(),
            feed: parts.feed.clone(),
            jobs: jobs.clone(),
        };
        let form_key = random_bytes()?;
        Ok(Self(Arc::new(Inner { base, access, parts, form_key, logins, runs, tasks })))
    }

    pub(super) fn base(&self) -> &'static str {
        self.0.base
    }

    pub(super) fn access(&self) -> Access {
        self.0.access
    }

    pub(super) fn config(&self) -> &Config {
        &self.0.parts.config
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.parts.writer.store
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.parts.writer.clock
    }

    pub(super) fn sources(&self) -> &Arc<Sources> {
        &self.0.parts.writer.sources
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.parts.writer.metrics
    }

    pub(super) fn writer(&self) -> &Writer {
        &self.0.parts.writer
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.0.parts.watch
    }

    pub(super) fn authenticator(&self) -> &Authenticator {
        &self.0.parts.authenticator
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.0.parts.feed
    }

    pub(super) fn jobs(&self) -> &Jobs {
        &self.0.parts.jobs
    }

    pub(super) fn logins(&self) -> &Logins {
        &self.0.logins
    }

    pub(super) fn runs(&self) -> &RunStarter {
        &self.0.runs
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    /// The token that every form of a session carries. No other site can know it.
    pub(super) fn form_token(&self, session: Option<&str>) -> String {
        let key = session.map_or(&self.0.form_key[..], str::as_bytes);
        // An HMAC takes a key of any length.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
        hex::encode(mac.chain_update(b"usersync console form").finalize().into_bytes())
    }
}
