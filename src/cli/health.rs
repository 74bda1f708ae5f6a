//! `usersync health`: asks the service on this machine whether it is alive, for health checks of containers without
//! another program.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use reqwest::{Client, redirect};

use crate::config::{Config, on_this_machine};
use crate::outgoing::innermost_cause;

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
        // By plain HTTP, so no certificates have to be there. usersync answers neither path with a redirect: if there is one,
        // another service listens there.
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        let mut failures = Vec::new();
        for address in on_this_machine(server.listen) {
            let url = format!("http://{address}/{path}");
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => {
                    say!("{url} answered {}", answer.status());
                    return Ok(());
                }
                Ok(answer) => bail!("{url} answered {}", answer.status()),
                Err(error) => {
                    let was_connected = !error.is_connect();
                    failures.push(format!("no answer from {url}: {}", innermost_cause(error)));
                    if was_connected {
                        break;
                    }
                }
            }
        }
        bail!(failures.join("; "))
    }
}
