//! Requests to other servers: what their HTTP clients have in common.

use std::error::Error;

use reqwest::{Client, ClientBuilder};
use url::Url;

use crate::config::is_loopback;
use crate::domain::foreign_text;

/// Begins a client for one server. A proxy cannot reach what is on this machine.
pub(crate) fn client_for(url: &Url) -> ClientBuilder {
    let builder = Client::builder();
    if is_loopback(url) { builder.no_proxy() } else { builder }
}

/// Why a request has failed: the innermost cause. The outer ones repeat the address, which may have a secret.
pub(crate) fn innermost_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // It may quote the certificate of the server.
    foreign_text(&cause.to_string(), &[])
}
