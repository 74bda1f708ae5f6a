//! `usersync health`: asks the service on this machine whether it is alive, for health checks of containers without
//! another program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::Client;

use crate::config::Config;

/// Less than the 3 s that the image's health check waits.
const TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Health {
    /// Ask whether it is ready for requests, which also needs the database
    #[arg(long)]
    ready: bool,
}

impl Health {
    pub(super) async fn run(self, config: Option<&Path>) -> anyhow::Result<()> {
        let Config { server, .. } = super::configure_quietly(config)?;
        let path = if self.ready { "readyz" } else { "healthz" };
        let url = format!("http://{}/{path}", on_this_machine(server.listen));
        let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
        if !answer.status().is_success() {
            bail!("{url} answered {}", answer.status());
        }
        say!("{url} answered {}", answer.status());
        Ok(())
    }
}

/// Where a service that listens on this address is reached from its own machine.
fn on_this_machine(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    SocketAddr::new(address, listen.port())
}

#[cfg(test)]
mod tests {
    use super::on_this_machine;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8787", "127.0.0.1:8787"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.7:8787", "192.0.2.7:8787"),
        ] {
            assert_eq!(on_this_machine(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
