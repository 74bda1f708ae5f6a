//! `usersync serve`

use std::io;
use std::path::Path;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::bind::bind;
use crate::app::{App, Service};
use crate::clock::Clock;

pub(super) async fn run(config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
    let config = super::configure(config)?;
    if config.sources.is_empty() {
        warn!("no source is configured: every webhook and every token will be refused (see the README)");
    }
    let mut stop = Stop::listen()?;
    let listener = bind(config.server.listen, "server.listen")?;
    let metrics =
        config.server.metrics_listen.map(|address| bind(address, "server.metrics_listen")).transpose()?;
    let app = tokio::select! {
        app = App::new(&config, clock) => app.context("the service cannot start")?,
        () = stop.told() => return Ok(()),
    };
    let service = app.serve(listener, metrics)?;
    info!(
        listen = %service.main.address,
        metrics = service.metrics.as_ref().map(|metrics| tracing::field::display(metrics.address)),
        sources = config.sources.len(),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    until_told_to_stop(service, &mut stop).await
}

/// SIGTERM and SIGINT, heard from the beginning: the first process of a container is not killed by one that
/// it has no ear for.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(super) fn listen() -> io::Result<Self> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Runs until it is told to stop, then lets what has begun end.
pub(super) async fn until_told_to_stop(mut service: Service, stop: &mut Stop) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.told() => {}
        // Better no process than one that serves nothing: whoever started it starts it again.
        error = service.failed() => return Err(error).context("the service has failed"),
    }
    info!("stopping: no new requests, those begun are answered");
    service.stop().await?;
    info!("stopped");
    Ok(())
}
