//! `usersync health`: asks the service on this machine whether it is alive, for health checks of containers without
//! another program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, bail};
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
        // By plain HTTP: no certificates have to be there.
        let client = Client::builder().no_proxy().tls_certs_only([]).timeout(TIMEOUT).build()?;
        let mut last = None;
        for address in on_this_machine(server.listen) {
            let url = format!("http://{address}/{path}");
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => {
                    say!("{url} answered {}", answer.status());
                    return Ok(());
                }
                Ok(answer) => bail!("{url} answered {}", answer.status()),
                Err(error) => last = Some(anyhow!(error).context(format!("no answer from {url}"))),
            }
        }
        Err(last.unwrap_or_else(|| anyhow!("there is no address to ask")))
    }
}

/// Where a service that listens on this address is reached from its own machine.
///
/// `[::]` is IPv4 as well. In a container without IPv6 that is the only address that works: it has no `[::1]`.
fn on_this_machine(listen: SocketAddr) -> Vec<SocketAddr> {
    let addresses: Vec<IpAddr> = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![Ipv4Addr::LOCALHOST.into()],
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        address => vec![address],
    };
    addresses.into_iter().map(|address| SocketAddr::new(address, listen.port())).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::on_this_machine;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8787", vec!["127.0.0.1:8787"]),
            ("[::]:80", vec!["127.0.0.1:80", "[::1]:80"]),
            ("192.0.2.7:8787", vec!["192.0.2.7:8787"]),
        ] {
            let asked: Vec<SocketAddr> = asked.into_iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(on_this_machine(listen.parse().unwrap()), asked);
        }
    }
}
