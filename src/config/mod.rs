//! The settings: read once at the start, checked completely, then plain data for every other room.
//!
//! `usersync.toml` and the environment are merged into one tree (`tree`, `file`, `environment`, `variables`);
//! `schema` says which keys there are; `reader` takes typed values out of the tree and collects every error
//! with its path, so that one start reports all of them. Nothing here reads the process's own environment: it
//! comes in as a map.

mod address;
mod clients;
mod environment;
mod error;
mod file;
mod jwks;
mod limits;
mod map;
mod reader;
mod rule;
mod schema;
mod secret;
mod source;
#[cfg(test)]
mod tests;
mod tree;
mod units;
mod variables;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

pub use address::{is_loopback, is_permitted};
pub use error::{ConfigError, ConfigErrors};
pub use limits::Limits;
pub use map::SourceMap;
pub use rule::{Algorithm, JwksLocation, RuleKind, TokenRule};
pub use source::{ProviderKind, Signing, Source};
pub use variables::{RuleValue, Variables};

use error::{Fault, Problems, fault};
use reader::Reader;
use source::Known;

/// A `usersync.toml` with every key, commented out: what is not set has the value shown there.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// All settings, valid by construction when they come from [`Config::load`].
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where and what the service listens to.
    pub server: Server,
    /// How much of the service may be taken.
    pub limits: Limits,
    /// Where the users are kept.
    pub database: Database,
    /// What holds for every token rule.
    pub tokens: Tokens,
    /// How long payloads are kept.
    pub journal: Journal,
    /// What the log looks like.
    pub log: Log,
    /// In configured order, which is the order in which token rules are tried. Names are unique.
    pub sources: Vec<Source>,
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct Server {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Where metrics are served instead, for a service whose own port is public.
    pub metrics_listen: Option<SocketAddr>,
    /// The largest delivery taken, in bytes.
    pub body_limit: usize,
    /// The origins of the web pages whose scripts may ask `/v1`; `*`, alone, is all of them.
    pub cors_origins: Vec<String>,
    /// Those whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// `[database]`
#[derive(Clone, Debug)]
pub struct Database {
    /// `sqlite:…` or `postgres://…`; secret because of the password in it.
    pub url: SecretString,
}

/// `[tokens]`
#[derive(Clone, Debug)]
pub struct Tokens {
    /// How long fetched keys are used: a key that left the JWKS is refused after this at the latest.
    pub jwks_ttl: Duration,
    /// The least time between two fetches caused by unknown key ids.
    pub jwks_cooldown: Duration,
    /// How long one fetch may take.
    pub fetch_timeout: Duration,
    /// How far a token's times may be off.
    pub leeway: Duration,
    /// Whether `http://` is allowed for hosts other than loopback.
    pub allow_http: bool,
}

/// `[journal]`
#[derive(Clone, Debug)]
pub struct Journal {
    /// How long payloads are kept; ids, stamps and tombstones stay.
    pub retention: Duration,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// A `tracing` filter such as `info` or `usersync=debug`; `RUST_LOG` wins over it.
    pub level: String,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
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
        environment::apply(&mut tree, environment, &problems);
        variables::add_sources(&mut tree, environment, &problems, providers);
        schema::check(tree.table(), schema::ROOT, "", &problems);
        let config = Self::read(&Reader::new(tree.table(), environment, &problems), Known(providers));
        problems.finish(config, &tree)
    }

    fn read(root: &Reader<'_>, known: Known<'_>) -> Self {
        let tokens = Tokens::read(&root.section("tokens"));
        Self {
            server: Server::read(&root.section("server")),
            limits: Limits::read(&root.section("limits")),
            database: Database::read(&root.section("database")),
            journal: Journal::read(&root.section("journal")),
            log: Log::read(&root.section("log")),
            sources: source::read_all(root, &tokens, known),
            tokens,
        }
    }
}

impl Server {
    fn read(reader: &Reader<'_>) -> Self {
        let default = Self::default();
        Self {
            listen: reader.optional("listen", units::socket_address).unwrap_or(default.listen),
            metrics_listen: reader.optional("metrics_listen", units::socket_address),
            body_limit: reader.optional("body_limit", units::size).unwrap_or(default.body_limit),
            cors_origins: clients::origins(reader, "cors_origins"),
            trusted_proxies: reader.list("trusted_proxies", clients::network),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
            metrics_listen: None,
            body_limit: 1024 * 1024,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Database {
    fn read(reader: &Reader<'_>) -> Self {
        reader
            .secret("url")
            .and_then(|url| reader.accept("url", secret::database_url(url)))
            .map_or_else(Self::default, |url| Self { url })
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: SecretString::from("sqlite://usersync.db?mode=rwc") }
    }
}

impl Tokens {
    /// Whether keys and discovery documents may be fetched from `url`: `https`, or `http` to a loopback host
    /// or where `allow_http` says so. Holds for discovered addresses and redirects too.
    pub fn permits(&self, url: &Url) -> bool {
        address::is_permitted(url, self.allow_http)
    }

    fn read(reader: &Reader<'_>) -> Self {
        let default = Self::default();
        let duration = |key, default| reader.optional(key, units::duration).unwrap_or(default);
        Self {
            jwks_ttl: duration("jwks_ttl", default.jwks_ttl),
            jwks_cooldown: duration("jwks_cooldown", default.jwks_cooldown),
            fetch_timeout: reader
                .optional("fetch_timeout", units::positive_duration)
                .unwrap_or(default.fetch_timeout),
            leeway: duration("leeway", default.leeway),
            allow_http: reader.flag("allow_http").unwrap_or(default.allow_http),
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            jwks_ttl: Duration::from_mins(10),
            jwks_cooldown: Duration::from_secs(30),
            fetch_timeout: Duration::from_secs(3),
            leeway: Duration::from_secs(5),
            allow_http: false,
        }
    }
}

impl Journal {
    fn read(reader: &Reader<'_>) -> Self {
        let default = Self::default();
        Self { retention: reader.optional("retention", units::duration).unwrap_or(default.retention) }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self { retention: Duration::from_hours(90 * 24) }
    }
}

impl Log {
    fn read(reader: &Reader<'_>) -> Self {
        let default = Self::default();
        Self {
            format: reader.optional("format", LogFormat::parse).unwrap_or(default.format),
            level: reader.text("level").unwrap_or(default.level),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl LogFormat {
    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(fault(format!("`{text}` is no log format"), "write \"text\" or \"json\"")),
        }
    }
}
