//! The settings: read once at the start and checked completely, then plain data for every other module.
//!
//! - A setting is a field of a struct in [`settings!`](settings): `sections`, `source`, `rule`, `map`.
//! - `file`, `environment` and `variables` are merged into one `tree` of values.
//! - `key` checks that tree against the tables of keys; a `slot` is a place in it, from which a typed value is read.
//! - Every `error` is collected with its path, so that one start reports all of them.
//!
//! Nothing here reads the process's own environment: it is passed in as a map.

mod address;
mod api;
mod clients;
mod database;
mod endpoint;
mod environment;
mod error;
mod file;
mod jwks;
mod key;
mod list;
mod listen;
mod map;
mod provider;
mod rule;
mod secret;
mod sections;
mod settings;
mod slot;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod units;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use address::{is_loopback, is_permitted};
pub use api::SourceApi;
pub use clients::matches as origin_matches;
pub use endpoint::{Endpoint, Events, is_refused_address};
pub use error::ConfigErrors;
pub use jwks::JwksLocation;
pub use list::{AuthKind, ListMap, ListMethod, NextKind, SourceList};
pub use listen::on_this_machine;
pub use map::{ChangeTime, SourceMap};
pub use provider::{ProviderKind, RuleValue, Signing, Variables};
pub use rule::{Algorithm, RuleKind, TokenRule};
pub use sections::{Admin, Database, Journal, Limits, Log, LogFormat, Server, Tokens};
pub use source::Source;

use error::Problems;
use settings::{Kind, settings};
use slot::{Context, Slot};

settings! {
    /// All settings, valid if they come from [`Config::load`].
    #[derive(Clone, Debug)]
    pub struct Config {
        /// Where the service listens, and what it accepts.
        pub server: Server,
        /// How much one client may use. A client is an IPv4 address, or the /64 of an IPv6 address. A request of a
        /// trusted proxy without `X-Forwarded-For` is not limited.
        pub limits: Limits,
        /// Where the users are kept.
        pub database: Database,
        /// For all token rules.
        pub tokens: Tokens,
        /// The record of every delivery.
        pub journal: Journal,
        /// The format and the level of the log.
        pub log: Log,
        /// One for each instance of a provider. Its webhook's address is `/webhooks/{name}`.
        // In configured order, which is the order in which token rules are tried. Names are unique.
        pub sources: Vec<Source> as source::Sources,
        /// An app's URL that events about changed users are sent to.
        // Names are unique, and the sources are configured.
        pub endpoints: Vec<Endpoint> as endpoint::Endpoints,
        /// The log of changes, for `GET /v1/events` and the endpoints. It is written if this section or an endpoint is
        /// configured.
        pub events: Option<Events>,
        /// The console, for who runs the service.
        pub admin: Admin,
    }
}

impl Config {
    /// Reads the settings from `file` and `environment` (the process's variables); a source can be of
    /// `providers`.
    ///
    /// Without `file` it is the one named by `USERSYNC_CONFIG`, else `usersync.toml` in the current directory
    /// if there is one, else none. Errors: all of them at once, each with its path and what to do.
    pub fn load(
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
        providers: &[ProviderKind],
    ) -> Result<Self, ConfigErrors> {
        let mut tree = file::read(file, environment)?;
        let problems = Problems::default();
        environment::apply(&mut tree, Self::SHAPE, environment, &problems);
        variables::add_sources(&mut tree, environment, &problems, providers);
        key::check(Self::SHAPE, tree.root(), "", &problems);
        let allow_http = tree.root().get("tokens").and_then(|tokens| tokens.get("allow_http"));
        let allow_http = allow_http.and_then(toml::Value::as_bool).unwrap_or(false);
        let context = Context { environment, providers, allow_http, problems: &problems };
        let root = Slot::root(tree.root(), &context);
        let config = Self::read(&root).unwrap_or_default();
        endpoint::check_sources(&root, &config.sources);
        problems.finish(config, &tree)
    }

    /// Whether changes are logged as events, because events or endpoints are configured.
    pub fn logs_events(&self) -> bool {
        self.events.is_some() || !self.endpoints.is_empty()
    }

    /// How long events are kept.
    pub fn event_retention(&self) -> Duration {
        self.events.clone().unwrap_or_default().retention
    }
}
