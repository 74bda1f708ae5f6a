//! `usersync endpoints list|test|enable|replay`

use std::path::Path;

use anyhow::bail;
use clap::Subcommand;

use super::{Usage, since};
use crate::clock::Clock;
use crate::config::{Config, Endpoint};
use crate::domain::EndpointState;
use crate::events::{self, EndpointStatus, EventBody, Sender};
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum Endpoints {
    /// List the endpoints: state, waiting events, last attempt
    List,
    /// Send a signed test event (`users.test`) now; exit code 1 if it is not accepted
    Test {
        /// The endpoint's name
        name: String,
    },
    /// Enable an endpoint that is disabled or failing
    Enable {
        /// The endpoint's name
        name: String,
    },
    /// Send an endpoint a new event for every user who changed within the retention
    Replay {
        /// The endpoint's name
        name: String,
        /// Only users who changed since this time: RFC 3339, or how long ago, such as 2d
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
}

impl Endpoints {
    pub(super) async fn run(self, config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
        let config = super::configure_quietly(config)?;
        if let Self::Test { name } = &self {
            // Needs no database: it only tests whether the app can be reached.
            return test(find(&config, name)?, clock).await;
        }
        let store = Store::connect_for_command(&config.database).await?;
        store.migrate().await?;
        let result = self.run_on(&config, &store, &clock).await;
        store.close().await?;
        result
    }

    async fn run_on(self, config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<()> {
        match self {
            Self::List => list(config, store, clock).await,
            Self::Enable { name } => {
                find(config, &name)?;
                enable(store, clock, &name).await
            }
            Self::Replay { name, since } => {
                find(config, &name)?;
                let kept_from = clock.now().minus(config.event_retention());
                let since = since::parse(since.as_deref(), clock)?;
                let since = since.map_or(kept_from, |since| since.max(kept_from));
                events::register(store, &config.endpoints, clock).await?;
                let events = events::replay_changes(store, clock, &name, since).await?;
                say!("{events} events wait for {name}; a running service sends them");
                Ok(())
            }
            Self::Test { .. } => Ok(()),
        }
    }
}

/// The endpoint of this name.
fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Endpoint, Usage> {
    let found = config.endpoints.iter().find(|endpoint| endpoint.name == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = config.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
        if known.is_empty() {
            return Usage("no endpoint is configured: write one under [[endpoints]]".to_owned());
        }
        Usage(format!("no endpoint is named {name:?}; the endpoints are {}", known.join(", ")))
    })
}

async fn test(endpoint: &Endpoint, clock: Clock) -> anyhow::Result<()> {
    let (id, body) = (clock.fresh_id(), EventBody::test(clock.now()));
    let sent = Sender::new(clock)?.send(endpoint, id, &body).await?;
    match sent.describe(&endpoint.name) {
        Ok(accepted) => say!("{accepted}"),
        Err(refused) => bail!(refused),
    }
    Ok(())
}

async fn enable(store: &Store, clock: &Clock, name: &str) -> anyhow::Result<()> {
    let before = events::enable(store, clock, name).await?;
    if before.state == EndpointState::Healthy {
        say!("{name} was already healthy; its waiting events are sent now");
    } else {
        say!("{name} was {} and is enabled; a running service sends its waiting events", before.state);
    }
    Ok(())
}

async fn list(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<()> {
    if config.endpoints.is_empty() {
        say!("no endpoint is configured: write one under [[endpoints]]");
        return Ok(());
    }
    let line = |columns: [&str; 7]| {
        let [name, state, since, waiting, oldest, last, host] = columns;
        say!("{name:<16} {state:<9} {since:<28} {waiting:>8} {oldest:>10} {last:<16} {host}");
    };
    line(["NAME", "STATE", "SINCE", "WAITING", "OLDEST", "LAST ATTEMPT", "HOST"]);
    let now = clock.now();
    let statuses = events::statuses(store, &config.endpoints, None).await?;
    for (EndpointStatus { name, endpoint, backlog }, configured) in
        statuses.into_iter().zip(&config.endpoints)
    {
        let health = endpoint.as_ref().map(|endpoint| endpoint.health);
        let state = health.map_or("new", |health| health.state.name());
        let since = health.map_or_else(|| "-".to_owned(), |health| health.changed_at.to_string());
        let age = |oldest| humantime::format_duration(whole_seconds(now.since(oldest))).to_string();
        let oldest = backlog.oldest.map_or_else(|| "-".to_owned(), age);
        let last = endpoint.and_then(|endpoint| endpoint.last).map_or_else(
            || "-".to_owned(),
            |last| {
                let status = last.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                format!("{status}, {} ms", last.latency.as_millis())
            },
        );
        line([&name, state, &since, &backlog.events.to_string(), &oldest, &last, &configured.origin()]);
    }
    Ok(())
}

fn whole_seconds(duration: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(duration.as_secs())
}
