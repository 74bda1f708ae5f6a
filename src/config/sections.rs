//! The sections that are read without further conversion. To add a setting: add a field, with its doc comment.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use super::clients::Origins;
use super::database::{DatabaseUrl, DirectUrl, SchemaName};
use super::settings::{choices, settings};
use super::units::{Bytes, Connections, Positive};

settings! {
    /// `[server]`
    #[derive(Clone, Debug)]
    pub struct Server {
        /// Where the service listens. If it is not set but the variable `PORT` is, the service listens on that port of
        /// all addresses.
        ///
        /// The container image sets `PORT` to 8787.
        pub listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)),
        /// A listen address for `/metrics` alone. If it is set, `listen` does not serve `/metrics`.
        #[example = "\"127.0.0.1:9787\""]
        pub metrics_listen: Option<SocketAddr>,
        /// The largest body of a delivery; larger ones get 413.
        pub body_limit: usize as Bytes = 1024 * 1024,
        /// The origins of the web pages whose scripts may call `/v1`, such as `["https://app.example.com"]`.
        /// `["*"]` alone allows every page.
        ///
        /// Written as a browser sends them: no path, no slash at the end. A `*` in the first label stands for letters,
        /// digits and hyphens of that label: `https://*.example.com` matches `https://a.example.com`, but not
        /// `https://a.b.example.com`. If other people can have names under the same domain (`https://*.vercel.app`),
        /// use a narrower pattern: `https://app-*-team.vercel.app`.
        pub cors_origins: Vec<String> as Origins,
        /// The proxies in front of this service, such as `["10.0.0.0/8", "127.0.0.1"]`. Only their
        /// `X-Forwarded-For` is trusted.
        pub trusted_proxies: Vec<IpNet>,
    }
}

settings! {
    /// `[limits]`: how much one client may use, and all of them together. A client is an address.
    #[derive(Clone, Debug)]
    pub struct Limits {
        /// Requests to `/v1` by one client; more get 429 `too_many_requests`. Webhooks are not counted.
        pub requests_per_second: NonZeroU32 = count(1_000),
        /// How many of these requests may come at once after a pause.
        pub burst: NonZeroU32 = count(2_000),
        /// Open streams and waiting requests (`?wait=`) of one client; more get 429.
        ///
        /// Many users may share an address, such as those of an office.
        pub streams_per_client: NonZeroU32 = count(1_000),
        /// Open streams and waiting requests of one user, from all addresses; more get 429.
        pub streams_per_user: NonZeroU32 = count(100),
        /// Open streams and waiting requests of all clients; more get 429.
        pub streams: NonZeroU32 = count(10_000),
        /// All connections. Further connections wait until one ends. Each is an open file: see `ulimit -n`.
        ///
        /// Leave room above `streams`.
        pub connections: NonZeroU32 = count(25_000),
        /// A client that does not read what was sent to it is disconnected after this time.
        ///
        /// Only on Linux; elsewhere the system decides.
        pub send_timeout: Duration as Positive = Duration::from_secs(30),
    }
}

const fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number - 1)
}

settings! {
    /// `[database]`
    #[derive(Clone, Debug)]
    pub struct Database {
        /// `sqlite:…`, `postgres://…` or `postgresql://…`. The variable `DATABASE_URL` is read too.
        ///
        /// A secret. `mode=rwc` creates the SQLite file; a relative path is in the working directory.
        /// `USERSYNC_DATABASE__URL` wins over `DATABASE_URL`.
        pub url: SecretString as DatabaseUrl = SecretString::from("sqlite://usersync.db?mode=rwc"),
        /// PostgreSQL only: the schema of the tables. `migrate` and `serve` create it if it does not exist.
        ///
        /// A schema of its own keeps the tables apart from the app's, from its migration tool, and from an API that
        /// publishes `public`. Lower-case letters, digits and `_`.
        pub schema: String as SchemaName = "usersync".to_owned(),
        /// PostgreSQL only: the connections that one replica opens at most, for all uses together; 3 or more.
        pub max_connections: u32 as Connections = 20,
        /// PostgreSQL only: a URL that bypasses a transaction pooler, for migrations and LISTEN. The variable
        /// `DIRECT_URL` is read too.
        ///
        /// A secret. Without it, `url` is used. `USERSYNC_DATABASE__DIRECT_URL` wins over `DIRECT_URL`.
        #[example = "\"postgres://user:password@host:5432/database\""]
        pub direct_url: Option<SecretString> as Option<DirectUrl>,
    }
}

impl Database {
    /// The database of this URL, with everything else at its default.
    pub fn at(url: &str) -> Self {
        Self { url: SecretString::from(url), ..Self::default() }
    }
}

settings! {
    /// `[tokens]`
    #[derive(Clone, Debug)]
    pub struct Tokens {
        /// How long fetched keys are used. A key that was removed from the JWKS is refused after this time.
        ///
        /// While the provider does not answer, the last good keys stay in use.
        pub jwks_ttl: Duration = Duration::from_mins(10),
        /// The least time between two fetches caused by unknown key ids.
        ///
        /// This also applies after a failed fetch, if keys were fetched before.
        pub jwks_cooldown: Duration = Duration::from_secs(30),
        /// How long one fetch of keys or of a discovery document may take.
        ///
        /// Discovery and keys are two fetches. Not zero.
        pub fetch_timeout: Duration as Positive = Duration::from_secs(3),
        /// The tolerance for the times in a token (`exp`, `nbf`, `iat`).
        pub leeway: Duration = Duration::from_secs(5),
        /// Allows `http://` for other hosts than loopback: only for a provider inside a private network.
        ///
        /// Applies to discovered addresses and redirects too.
        pub allow_http: bool = false,
    }
}

settings! {
    /// `[journal]`
    #[derive(Clone, Debug)]
    pub struct Journal {
        /// How long payloads are kept. Ids, stamps, outcomes and tombstones stay.
        ///
        /// Old payloads are looked for every hour. A payload is erased earlier when its user is deleted.
        pub retention: Duration = Duration::from_hours(90 * 24),
    }
}

settings! {
    /// `[admin]`
    #[derive(Clone, Debug)]
    pub struct Admin {
        /// Where the console listens, with a login by a service key that has the scope `admin`. Left out, there is no
        /// console.
        ///
        /// An address of its own, so that the console is never on the public listener. In `usersync dev` it is at
        /// `/console` of the same port, without a login.
        #[example = "\"127.0.0.1:8790\""]
        pub listen: Option<SocketAddr>,
    }
}

settings! {
    /// `[log]`
    #[derive(Clone, Debug)]
    pub struct Log {
        /// `text` or `json`.
        ///
        /// The log goes to standard error. `NO_COLOR=1` turns colours off.
        pub format: LogFormat = LogFormat::Text,
        /// A filter such as `info` or `usersync=debug`. The variable `RUST_LOG` wins.
        ///
        /// Only targets and levels can be used. Libraries are never logged below info.
        pub level: String = "info".to_owned(),
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

choices!(LogFormat, "a log format", "text" => Self::Text, "json" => Self::Json);
