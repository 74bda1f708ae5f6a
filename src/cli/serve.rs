//! `usersync serve`

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, anyhow};
use tracing::{info, warn};

use super::system::StopSignals;
use crate::app::{App, Service};
use crate::clock::Clock;

pub(super) async fn run(config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
    let config = super::configure(config)?;
    if config.sources.is_empty() {
        warn!("no source is configured: every webhook and every token is refused (see the README)");
    }
    let mut stop = StopSignals::install()?;
    let traces = super::start_traces()?;
    let listener = bind(config.server.listen, "server.listen")?;
    let metrics =
        config.server.metrics_listen.map(|address| bind(address, "server.metrics_listen")).transpose()?;
    let admin = config.admin.listen.map(|address| bind(address, "admin.listen")).transpose()?;
    let app = tokio::select! {
        app = App::new(&config, clock) => app.context("the service cannot start")?,
        () = stop.wait() => return Ok(()),
    };
    let service = app.with_console(admin).serve(listener, metrics)?;
    info!(
        listen = %service.main.address,
        metrics = service.metrics.as_ref().map(|metrics| tracing::field::display(metrics.address)),
        console = service.admin.as_ref().map(|admin| tracing::field::display(admin.address)),
        sources = config.sources.len(),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    let ended = run_until_stopped(service, &mut stop).await;
    traces.stop().await;
    ended
}

/// Listens on an address. If that fails, the error names `setting`, which chooses another one.
pub(super) fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    // `[::]` includes all IPv4 addresses. A system without IPv6 has only IPv4 addresses.
    let all_of_ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
    let bound = TcpListener::bind(address).or_else(|error| match error.kind() {
        ErrorKind::AddrInUse | ErrorKind::PermissionDenied => Err(error),
        _ if address.ip() == Ipv6Addr::UNSPECIFIED => TcpListener::bind(all_of_ipv4),
        _ => Err(error),
    });
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{address} is in use by another program; choose another address with {setting}")
        }
        _ => anyhow!("cannot listen on {address}: {error}; choose another address with {setting}"),
    })
}

/// Runs the service until a signal, then stops it gracefully: requests that have begun are still answered.
pub(super) async fn run_until_stopped(mut service: Service, stop: &mut StopSignals) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.wait() => {}
        // A process that serves nothing must exit, so that its supervisor starts it again.
        error = service.failed() => return Err(error).context("the service has failed"),
    }
    info!("stopping: no new requests are accepted, open ones are answered");
    service.stop().await?;
    info!("stopped");
    Ok(())
}
