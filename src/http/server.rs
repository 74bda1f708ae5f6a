//! The listener: bound before it is served, and stopped gracefully.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use tokio::task::JoinHandle;

use super::observe::observe;
use super::{Limits, Mount, Routes, State, routes, webhooks};

/// How long a client may take to send its headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be idle between two requests.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long open requests may take after the service began to stop.
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
pub fn serve(listener: TcpListener, state: State, which: Routes) -> io::Result<Running> {
    let limits = state.waiting.limits.clone();
    run(listener, &limits, move |app| routes(app, &state, which))
}

/// Serves the routes of another module alone.
pub fn serve_mounted(listener: TcpListener, state: State, mount: Mount) -> io::Result<Running> {
    let limits = state.waiting.limits.clone();
    run(listener, &limits, move |app| {
        state.provide(app);
        (mount.0)(app);
    })
}

fn run(
    listener: TcpListener,
    limits: &Limits,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Running> {
    let address = listener.local_addr()?;
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let limits = limits.settings();
    let connections = usize::try_from(limits.connections.get()).unwrap_or(usize::MAX);
    let send_timeout = limits.send_timeout;
    let server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(observe))
            // Around the observer, so that a corrected path is logged and counted as the route that it is.
            .wrap(from_fn(webhooks::ignore_extra_slashes))
            .configure(&configure)
    })
    .workers(workers)
    .max_connections(connections.div_ceil(workers))
    .on_connect(move |connection, _| close_when_unacknowledged_for(send_timeout, connection))
    // So a closed connection is noticed at once, and not only when the next heartbeat is sent.
    .h1_allow_half_closed(false)
    .client_request_timeout(HEADER_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(DRAIN_TIMEOUT_SECONDS)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    Ok(Running { address, handle, task: tokio::spawn(server) })
}

/// Lets the system close a connection if the client does not acknowledge what was sent to it.
#[cfg(target_os = "linux")]
fn close_when_unacknowledged_for(send_timeout: Duration, connection: &dyn Any) {
    if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        // Without this option the connection still works, only a dead client is noticed later.
        socket2::SockRef::from(stream).set_tcp_user_timeout(Some(send_timeout)).unwrap_or_default();
    }
}

/// Other systems use their own time limit.
#[cfg(not(target_os = "linux"))]
fn close_when_unacknowledged_for(_send_timeout: Duration, _connection: &dyn Any) {}

impl Running {
    /// Accepts no new connection, answers open requests, and ends.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.stop(true).await;
        self.task.await.map_err(io::Error::other)?
    }

    /// Returns only if the server ends unexpectedly.
    pub async fn failed(&mut self) -> io::Error {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Err(panicked) => io::Error::other(panicked),
            Ok(Ok(())) => io::Error::other("the HTTP server stopped unexpectedly"),
        }
    }
}
