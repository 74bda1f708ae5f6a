//! One attempt to send a message to an endpoint: signed, bounded in time and size, never to a refused address.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, header, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::{Host, Url};
use uuid::Uuid;

use super::body::EventBody;
use crate::clock::Clock;
use crate::config::{Endpoint, is_refused_address};
use crate::domain::{AttemptResult, Timestamp, retry_after};
use crate::signature::{SigningError, sign_with_all};
use crate::telemetry::Span;

/// How long an attempt may take, from the DNS lookup to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How many bytes of an answer are read, so that the connection can be reused. Nothing of it is kept.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// Sends messages to one endpoint.
#[derive(Clone, Debug)]
pub struct Sender {
    client: Client,
    clock: Clock,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The result, for the endpoint's state.
    pub result: AttemptResult,
    /// The result in one word, for metrics and people: `2xx`, `timeout`, ….
    pub label: &'static str,
}

impl Sent {
    /// The result for people: an error if the endpoint has not accepted the event.
    pub fn describe(&self, name: &str) -> Result<String, String> {
        let Self { result, label } = self;
        let milliseconds = result.latency.as_millis();
        match result.status {
            Some(status) if result.is_success() => {
                Ok(format!("{name} accepted the test event: {status} after {milliseconds} ms"))
            }
            Some(status) => Err(format!(
                "{name} answered {status} after {milliseconds} ms; only 2xx accepts an event, and redirects are not followed"
            )),
            None => Err(format!(
                "{name} gave no answer: {}",
                match *label {
                    "refused_address" =>
                        "its address is not allowed: it is link-local, of a cloud metadata service, or not the address of a single host",
                    "timeout" => "it took longer than 15 seconds",
                    _ => "it cannot be reached; check the URL, the certificate, and that the app runs",
                }
            )),
        }
    }
}

/// All addresses of a host name are refused.
#[derive(Debug, thiserror::Error)]
#[error("the address is refused")]
struct RefusedAddress;

/// Resolves host names as the system does, without the refused addresses.
#[derive(Debug)]
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = permitted(name.as_str(), found).collect();
            if allowed.is_empty() {
                return Err(RefusedAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a host name that messages may be sent to. `localhost`, which needs no TLS, is only this machine.
fn permitted(name: &str, found: impl Iterator<Item = SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let is_localhost = name.eq_ignore_ascii_case("localhost");
    found.filter(move |address| {
        !is_refused_address(address.ip()) && (!is_localhost || address.ip().to_canonical().is_loopback())
    })
}

impl Sender {
    /// A sender with its own connections.
    pub fn new(clock: Clock) -> reqwest::Result<Self> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(std::sync::Arc::new(Resolver))
            .timeout(TIMEOUT)
            .user_agent(concat!("usersync/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, clock })
    }

    /// Makes one attempt. The message's id is the same at each attempt, its timestamp and signature are new.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        event_id: Uuid,
        body: &EventBody,
    ) -> Result<Sent, SigningError> {
        let (began_at, started) = (self.clock.now(), Instant::now());
        let id = format!("evt_{}", event_id.simple());
        let body = body.to_json();
        let secrets = endpoint.secrets.iter().map(SecretString::expose_secret);
        let signature = sign_with_all(secrets, &id, began_at, &body)?;
        let span = Span::of_event(event_id);
        let mut request = self
            .client
            .post(endpoint.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", began_at.as_seconds())
            .header("webhook-signature", signature)
            .body(body);
        for (name, value) in span.headers() {
            request = request.header(name, value);
        }
        let (status, retry_after, label) = if is_refused(&endpoint.url) {
            (None, None, "refused_address")
        } else {
            match request.send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let retry_after = requested_pause(&answer, self.clock.now());
                    drain(answer).await;
                    (Some(status), retry_after, label_of(status))
                }
                Err(error) => (None, None, failure_label(&error)),
            }
        };
        describe(&span, endpoint, status, label);
        let result = AttemptResult { status, retry_after, began_at, latency: started.elapsed() };
        Ok(Sent { result, label })
    }
}

/// Ends the span of an attempt. The path and the query of the URL may have a secret.
fn describe(span: &Span, endpoint: &Endpoint, status: Option<u16>, label: &'static str) {
    span.set("usersync.endpoint", &endpoint.name);
    span.set_call("POST", &endpoint.url);
    match status {
        Some(status) => span.answered(status),
        None => span.fail(label),
    }
    span.end();
}

/// Whether the URL's host is a refused IP address: such a URL does not use the resolver.
fn is_refused(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_refused_address(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_refused_address(IpAddr::V6(address)),
        Some(Host::Domain(_)) => false,
        None => true,
    }
}

/// Reads the body, which does not matter for the result. The connection of a longer answer is closed.
async fn drain(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > MAX_ANSWER_BYTES {
            return;
        }
    }
}

/// The pause that the `Retry-After` of a refusal requests.
fn requested_pause(answer: &Response, now: Timestamp) -> Option<Duration> {
    if answer.status().is_success() {
        return None;
    }
    retry_after(answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

fn label_of(status: u16) -> &'static str {
    match status {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

fn failure_label(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<RefusedAddress>() {
            return "refused_address";
        }
        cause = error.source();
    }
    if error.is_timeout() { "timeout" } else { "unreachable" }
}

#[cfg(test)]
mod tests {
    use super::{is_refused, permitted};

    fn addresses(name: &str, found: &[&str]) -> Vec<String> {
        let found = found.iter().map(|address| std::net::SocketAddr::new(address.parse().unwrap(), 0));
        permitted(name, found.collect::<Vec<_>>().into_iter()).map(|it| it.ip().to_string()).collect()
    }

    #[test]
    fn a_host_name_has_no_refused_address() {
        let found = ["169.254.169.254", "10.0.0.1", "fe80::1", "::ffff:169.254.169.254", "::1"];
        assert_eq!(addresses("app.example.com", &found), ["10.0.0.1", "::1"]);
        assert_eq!(addresses("metadata.google.internal", &["169.254.169.254"]), [""; 0]);
    }

    #[test]
    fn localhost_is_this_machine() {
        assert_eq!(addresses("LOCALHOST", &["127.0.0.1", "203.0.113.7", "::1"]), ["127.0.0.1", "::1"]);
    }

    #[test]
    fn an_address_in_the_url_is_checked_too() {
        for refused in ["https://169.254.169.254/", "http://[::ffff:a9fe:a9fe]/", "https://2852039166/"] {
            assert!(is_refused(&refused.parse().unwrap()), "{refused}");
        }
        assert!(!is_refused(&"http://127.0.0.1:3000/".parse().unwrap()));
    }
}
