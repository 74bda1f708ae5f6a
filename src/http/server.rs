//! The listener: bound before it is served, and stopped gracefully.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use tokio::task::JoinHandle;

use super::observe::observe;
use super::{Offer, State, routes};

/// How long a client may take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests may go on after the service was told to stop.
const DRAIN_TIMEOUT_SECONDS: u64 = 25;

/// A server that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<io::Result<()>>,
}

/// Serves on a listener that is already bound.
pub fn serve(listener: TcpListener, state: State, offer: Offer) -> io::Result<Running> {
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(state.clone()))
            .wrap(from_fn(observe))
            .configure(|app| routes(app, &state, offer))
    })
    .client_request_timeout(HEADER_TIMEOUT)
    .shutdown_timeout(DRAIN_TIMEOUT_SECONDS)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    Ok(Running { address, handle, task: tokio::spawn(server) })
}

impl Running {
    /// Accepts nothing more, answers what it has begun, and ends.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.stop(true).await;
        self.task.await.map_err(io::Error::other)?
    }
}
