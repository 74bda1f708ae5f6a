//! `usersync serve`

use std::path::Path;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::bind::bind;
use crate::app::{App, Service};
use crate::clock::Clock;

pub(super) async fn run(config: Option<&Path>, clock: Clock) -> anyhow::Result<()> {
    let config = super::configure(config)?;
    if config.sources.is_empty() {
        warn!("no source is configured: every webhook and every token will be refused (see the README)");
    }
    let listener = bind(config.server.listen, "server.listen")?;
    let metrics =
        config.server.metrics_listen.map(|address| bind(address, "server.metrics_listen")).transpose()?;
    let app = App::new(&config, clock).await.context("the service cannot start")?;
    let service = app.serve(listener, metrics)?;
    info!(
        listen = %service.main.address,
        metrics = service.metrics.as_ref().map(|metrics| tracing::field::display(metrics.address)),
        sources = config.sources.len(),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    until_told_to_stop(service).await
}

/// Runs until SIGTERM or SIGINT, then lets what has begun end.
pub(super) async fn until_told_to_stop(service: Service) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    info!("stopping: no new requests, those begun are answered");
    service.stop().await?;
    info!("stopped");
    Ok(())
}
