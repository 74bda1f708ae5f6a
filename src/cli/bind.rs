//! Taking an address, with a remedy if another program has it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use anyhow::anyhow;

/// Listens on an address; `remedy` says how to choose another one.
pub(super) fn bind(address: SocketAddr, remedy: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{address} is taken by another program; choose another with {remedy}")
        }
        _ => anyhow!("cannot listen on {address}: {error}; choose another with {remedy}"),
    })
}
