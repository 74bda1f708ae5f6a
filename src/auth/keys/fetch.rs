//! Fetches a key set from its provider, bounded in time, in size and in the addresses it may come from.

use reqwest::Client;
use reqwest::header::ACCEPT;
use reqwest::redirect::{Attempt, Policy};
use serde_json::Value;
use url::Url;

use super::jwks::KeySet;
use crate::auth::error::{FetchError, excerpt};
use crate::auth::rule::same_issuer;
use crate::clock::Clock;
use crate::config::{Tokens, is_loopback, is_permitted};
use crate::content_coding;
use crate::domain::foreign_text;
use crate::jobs::Jobs;
use crate::outgoing::innermost_cause;
use crate::telemetry::Metrics;

/// The largest document that is read, in bytes; real key sets have a few kilobytes.
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;

/// How many redirects one fetch follows.
const MAX_REDIRECTS: usize = 3;

/// Where a rule's keys are.
#[derive(Clone, Debug)]
pub(super) enum Location {
    /// The content of `{domain}/.well-known/openid-configuration`.
    Discovery(Url),
    /// The key set itself.
    Jwks(Url),
}

impl Location {
    /// The host of the first request.
    pub(super) fn host(&self) -> &str {
        let (Self::Discovery(url) | Self::Jwks(url)) = self;
        url.host_str().unwrap_or_default()
    }
}

/// Fetches key sets. The caches of all rules share its HTTP clients, never their keys.
///
/// It follows three redirects at most, and only to addresses that keys may come from.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Fetcher {
    /// Uses the proxy that the environment names, if any.
    client: Client,
    /// For this machine: a proxy would take the address for its own, and only here plain `http://` is safe.
    loopback_client: Client,
    pub(super) settings: Tokens,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    pub(super) jobs: Jobs,
}

impl Fetcher {
    pub(in crate::auth) fn new(
        settings: Tokens,
        clock: Clock,
        metrics: Metrics,
        jobs: Jobs,
    ) -> reqwest::Result<Self> {
        let allow_http = settings.allow_http;
        let builder = || {
            Client::builder()
                .redirect(Policy::custom(move |attempt| follow(attempt, allow_http)))
                // Fetches are minutes apart, so connections are not kept.
                .pool_max_idle_per_host(0)
                .user_agent(concat!("usersync/", env!("CARGO_PKG_VERSION")))
        };
        let (client, loopback_client) = (builder().build()?, builder().no_proxy().build()?);
        Ok(Self { client, loopback_client, settings, clock, metrics, jobs })
    }

    /// The key set of a location as it is now. Takes `fetch_timeout` at most, twice that with a discovery.
    pub(super) async fn fetch(&self, location: &Location) -> Result<KeySet, FetchError> {
        match location {
            Location::Jwks(url) => self.keys(url).await,
            Location::Discovery(domain) => {
                let url = self.discover(domain).await?;
                let at_jwks_uri =
                    |why| FetchError::AtJwksUri { url: without_secrets(url.clone()), why: Box::new(why) };
                self.keys(&url).await.map_err(at_jwks_uri)
            }
        }
    }

    async fn keys(&self, url: &Url) -> Result<KeySet, FetchError> {
        KeySet::from_json(&self.json(url).await?).ok_or(FetchError::NoKeySet)
    }

    /// `jwks_uri` of the provider. The document must name the domain as its issuer: otherwise another
    /// issuer's keys could pass for this one's (OpenID Connect Discovery 1.0, section 4.3).
    async fn discover(&self, domain: &Url) -> Result<Url, FetchError> {
        let document = format!("{}/.well-known/openid-configuration", domain.as_str().trim_end_matches('/'));
        let document = document.parse().map_err(|_| FetchError::NoJwksUri)?;
        jwks_uri(&self.json(&document).await?, domain)
    }

    /// A JSON document, whatever its content type is.
    async fn json(&self, url: &Url) -> Result<Value, FetchError> {
        if !is_permitted(url, self.settings.allow_http) {
            return Err(FetchError::NotSecure(scheme_and_host(url)));
        }
        let limit = self.settings.fetch_timeout;
        let body = tokio::time::timeout(limit, self.download(url));
        let body = body.await.map_err(|_| FetchError::TooSlow(limit))??;
        serde_json::from_slice(&body).map_err(|_| FetchError::NotJson)
    }

    async fn download(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let client = if is_loopback(url) { &self.loopback_client } else { &self.client };
        let request = client.get(url.clone()).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(transport)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status()));
        }
        let codings = content_coding::of(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_DOCUMENT_BYTES {
                return Err(FetchError::TooLarge(MAX_DOCUMENT_BYTES));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(content_coding::decode(body, &codings, MAX_DOCUMENT_BYTES)?)
    }
}

/// The address of the keys in a discovery document, whose issuer must be `domain`.
fn jwks_uri(document: &Value, domain: &Url) -> Result<Url, FetchError> {
    let string = |name| document.get(name).and_then(Value::as_str);
    let found = string("issuer").unwrap_or_default();
    if !same_issuer(found, domain.as_str()) {
        let jwks = string("jwks_uri").and_then(|uri| reachable(uri, found, domain));
        return Err(FetchError::ForeignIssuer { domain: domain.to_string(), found: excerpt(found), jwks });
    }
    string("jwks_uri").and_then(|uri| uri.parse().ok()).ok_or(FetchError::NoJwksUri)
}

/// The address of the keys as seen from this machine: below `domain`, if the document has it below its issuer.
///
/// Providers in a container network often have one name outside and another inside.
fn reachable(jwks_uri: &str, issuer: &str, domain: &Url) -> Option<String> {
    let below = jwks_uri.strip_prefix(issuer.trim_end_matches('/')).filter(|path| path.starts_with('/'));
    let address = match below {
        Some(path) => format!("{}{path}", domain.as_str().trim_end_matches('/')),
        None => jwks_uri.to_owned(),
    };
    Some(without_secrets(address.parse().ok()?))
}

/// An address as it may be shown: without what may be a secret.
fn without_secrets(mut url: Url) -> String {
    url.set_query(None);
    // Only an address without a host refuses these.
    url.set_username("").unwrap_or_default();
    url.set_password(None).unwrap_or_default();
    foreign_text(url.as_str(), &[])
}

fn follow(attempt: Attempt, allow_http: bool) -> reqwest::redirect::Action {
    // The first address is one of the previous ones.
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too many redirects");
    }
    if !is_permitted(attempt.url(), allow_http) {
        let address = scheme_and_host(attempt.url());
        return attempt.error(FetchError::NotSecure(address));
    }
    attempt.follow()
}

/// Scheme and host of an address: path and query may hold secrets.
fn scheme_and_host(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

fn transport(error: reqwest::Error) -> FetchError {
    FetchError::Transport(innermost_cause(error))
}

#[cfg(test)]
mod tests {
    use super::jwks_uri;
    use crate::auth::error::FetchError;
    use crate::auth::testing::mutated;
    use crate::config::is_permitted;

    const DOCUMENT: &str =
        r#"{"issuer":"https://a.example/realms/b","jwks_uri":"https://a.example/realms/b/certs"}"#;

    proptest::proptest! {
        #[test]
        fn a_changed_discovery_document_gives_no_keys_for_another_issuer(document in mutated(DOCUMENT.to_owned())) {
            let domain = "https://a.example/realms/b".parse().unwrap();
            let Ok(document) = serde_json::from_slice::<serde_json::Value>(&document) else { return Ok(()) };
            match jwks_uri(&document, &domain) {
                Ok(_) => {
                    let issuer = document["issuer"].as_str().unwrap().trim_end_matches('/');
                    proptest::prop_assert_eq!(issuer.trim_start_matches("https://"), "a.example/realms/b");
                }
                Err(FetchError::ForeignIssuer { .. } | FetchError::NoJwksUri) => {}
                Err(other) => proptest::prop_assert!(false, "{}", other),
            }
        }
    }

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
