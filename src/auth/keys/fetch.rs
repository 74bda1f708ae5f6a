//! Getting a key set from its provider, bounded in time, size and places it may come from.

use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use url::Url;

use super::jwks::KeySet;
use crate::auth::error::excerpt;
use crate::auth::rule::same_issuer;
use crate::config::{Tokens, is_loopback, is_permitted};

/// The largest document that is read, in bytes; real key sets have a few kilobytes.
const LARGEST: usize = 512 * 1024;

/// How often one fetch may be sent elsewhere.
const MOST_REDIRECTS: usize = 3;

/// Where a rule's keys are.
#[derive(Clone, Debug)]
pub(super) enum Location {
    /// What `{domain}/.well-known/openid-configuration` says.
    Discovery(Url),
    /// The key set itself.
    Jwks(Url),
}

/// Why no key set could be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It would have been asked for without encryption; scheme and host of the address.
    #[error("{0} is not https, nor on this machine")]
    NotSecure(String),
    /// `fetch_timeout` passed.
    #[error("no answer within {0:?}")]
    TooSlow(Duration),
    /// More than any real key set.
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    /// Neither the document nor a redirect to it.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// No connection, or none that could be trusted.
    #[error("{0}")]
    Transport(String),
    /// A page for people, as a rule.
    #[error("the answer is no JSON")]
    NotJson,
    /// JSON without a list of `keys`.
    #[error("the answer is no key set")]
    NoKeySet,
    /// The discovery document does not say where the keys are.
    #[error("the discovery document has no usable `jwks_uri`")]
    NoJwksUri,
    /// The discovery document does not speak of the domain that it was asked for.
    #[error("the discovery document is of another issuer than {domain}: {found:?}")]
    ForeignIssuer {
        /// The configured domain.
        domain: Url,
        /// `issuer` of the document; empty when absent.
        found: String,
    },
    /// The fetch ended without a result, as when the program stops.
    #[error("the fetch was interrupted")]
    Interrupted,
}

impl Location {
    /// The host that is asked first.
    pub(super) fn host(&self) -> &str {
        let (Self::Discovery(url) | Self::Jwks(url)) = self;
        url.host_str().unwrap_or_default()
    }
}

/// The clients for all fetches: they follow three redirects at most, and only to where keys may come from.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Clients {
    /// By way of the proxy, where the environment names one.
    usual: Client,
    /// To this machine, which a proxy would take for its own; and plain `http://` is trusted there alone.
    direct: Client,
}

impl Clients {
    pub(in crate::auth) fn new(settings: &Tokens) -> reqwest::Result<Self> {
        let allow_http = settings.allow_http;
        let builder = || {
            Client::builder()
                .redirect(Policy::custom(move |attempt| follow(attempt, allow_http)))
                // Fetches are minutes apart, and come from whichever thread notices that one is due.
                .pool_max_idle_per_host(0)
                .user_agent(concat!("usersync/", env!("CARGO_PKG_VERSION")))
        };
        Ok(Self { usual: builder().build()?, direct: builder().no_proxy().build()? })
    }

    fn to(&self, url: &Url) -> &Client {
        if is_loopback(url) { &self.direct } else { &self.usual }
    }
}

/// The key set of a location as it is now. Takes `fetch_timeout` at most, twice that with a discovery.
pub(super) async fn fetch(
    clients: &Clients,
    settings: &Tokens,
    location: &Location,
) -> Result<KeySet, FetchError> {
    let jwks = match location {
        Location::Jwks(url) => json(clients, settings, url).await?,
        Location::Discovery(domain) => {
            json(clients, settings, &discover(clients, settings, domain).await?).await?
        }
    };
    KeySet::from_json(&jwks).ok_or(FetchError::NoKeySet)
}

/// `jwks_uri` of the provider. The document must name the domain as its issuer: otherwise another issuer's
/// keys could pass for this one's (OpenID Connect Discovery 1.0, section 4.3).
async fn discover(clients: &Clients, settings: &Tokens, domain: &Url) -> Result<Url, FetchError> {
    let document = format!("{}/.well-known/openid-configuration", domain.as_str().trim_end_matches('/'));
    let document = document.parse().map_err(|_| FetchError::NoJwksUri)?;
    let document = json(clients, settings, &document).await?;
    let text = |name| document.get(name).and_then(Value::as_str);
    let found = text("issuer").unwrap_or_default();
    if !same_issuer(found, domain.as_str()) {
        return Err(FetchError::ForeignIssuer { domain: domain.clone(), found: excerpt(found) });
    }
    text("jwks_uri").and_then(|uri| uri.parse().ok()).ok_or(FetchError::NoJwksUri)
}

/// A JSON document, whatever its content type says.
async fn json(clients: &Clients, settings: &Tokens, url: &Url) -> Result<Value, FetchError> {
    if !is_permitted(url, settings.allow_http) {
        return Err(FetchError::NotSecure(place(url)));
    }
    let body = tokio::time::timeout(settings.fetch_timeout, download(clients, url));
    let body = body.await.map_err(|_| FetchError::TooSlow(settings.fetch_timeout))??;
    serde_json::from_slice(&body).map_err(|_| FetchError::NotJson)
}

async fn download(clients: &Clients, url: &Url) -> Result<Vec<u8>, FetchError> {
    let request = clients.to(url).get(url.clone()).header(ACCEPT, "application/json");
    let mut response = request.send().await.map_err(transport)?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn follow(attempt: Attempt, allow_http: bool) -> reqwest::redirect::Action {
    // The address that was asked for first is among the previous ones.
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error("too many redirects");
    }
    if !is_permitted(attempt.url(), allow_http) {
        let place = place(attempt.url());
        return attempt.error(FetchError::NotSecure(place));
    }
    attempt.follow()
}

/// Scheme and host of an address: the rest may hold what is nobody's business.
fn place(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The innermost cause says what happened; the outer ones repeat the address.
fn transport(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    FetchError::Transport(cause.to_string())
}

#[cfg(test)]
mod tests {
    use crate::config::is_permitted;

    #[test]
    fn http_is_for_this_machine_only() {
        for (url, secure, if_allowed) in [
            ("https://a.example/jwks", true, true),
            ("http://localhost:1/jwks", true, true),
            ("http://127.0.0.1:1/jwks", true, true),
            ("http://127.1.2.3/jwks", true, true),
            ("http://[::1]:1/jwks", true, true),
            ("http://a.example/jwks", false, true),
            ("http://localhost.a.example/jwks", false, true),
            ("http://10.0.0.1/jwks", false, true),
            ("file:///etc/passwd", false, false),
            ("ftp://localhost/jwks", false, false),
        ] {
            let url = url.parse().unwrap();
            assert_eq!((is_permitted(&url, false), is_permitted(&url, true)), (secure, if_allowed), "{url}");
        }
    }
}
