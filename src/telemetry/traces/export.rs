//! Spans on their way to a collector: in batches, by a thread of the SDK, which never blocks a request.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use reqwest::redirect;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::variables::{InvalidVariables, Settings};
use crate::outgoing::{client_for, innermost_cause};

/// How long the last export may take at shutdown.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answer of a collector, which has a few words.
const LARGEST_ANSWER: usize = 64 << 10;

/// Makes spans that are exported to a collector. The SDK reads the variables by itself.
pub(super) fn provider(settings: &Settings) -> Result<SdkTracerProvider, InvalidVariables> {
    let failed = |error: &dyn Error| InvalidVariables(vec![error.to_string()]);
    let client = Client::new(settings).map_err(|error| failed(&error))?;
    let failure = Arc::clone(&client.failure);
    let exporter = OtlpExporter::builder()
        .with_http()
        .with_endpoint(settings.collector.as_str())
        .with_http_client(client)
        .build();
    let exporter = Watched {
        exporter: exporter.map_err(|error| failed(&error))?,
        failure,
        is_failing: AtomicBool::new(false),
        lost: AtomicUsize::new(0),
    };
    info!(collector = settings.collector.origin().ascii_serialization(), "traces are exported");
    Ok(SdkTracerProvider::builder().with_resource(resource(settings)).with_batch_exporter(exporter).build())
}

fn resource(settings: &Settings) -> Resource {
    let resource = Resource::builder();
    let resource = if settings.names_service { resource } else { resource.with_service_name("usersync") };
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build()
}

/// Exports what has ended. A collector that does not answer is not waited for.
pub(super) async fn stop(provider: SdkTracerProvider) {
    let ending = move || provider.shutdown_with_timeout(END_TIMEOUT);
    // It blocks a thread, and the export needs another one of the runtime.
    if !matches!(tokio::task::spawn_blocking(ending).await, Ok(Ok(()))) {
        warn!("the last traces could not be exported");
    }
}

/// Tells once that exports fail, and once that they work again.
#[derive(Debug)]
struct Watched {
    exporter: OtlpExporter,
    /// Why the last request had no answer, which the error of the exporter does not say; empty if it had one.
    failure: Arc<Mutex<String>>,
    is_failing: AtomicBool,
    /// Spans that could not be exported since exports began to fail.
    lost: AtomicUsize,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let exported = self.exporter.export(batch).await;
        if let Err(error) = &exported {
            self.lost.fetch_add(count, Ordering::Relaxed);
            if !self.is_failing.swap(true, Ordering::Relaxed) {
                let cause = lock(&self.failure).clone();
                warn!(%error, cause, "traces cannot be exported, and are lost until the collector accepts them");
            }
        } else if self.is_failing.swap(false, Ordering::Relaxed) {
            let lost_spans = self.lost.swap(0, Ordering::Relaxed);
            info!(lost_spans, "traces are exported again");
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The HTTP client. The thread that exports is not one of the runtime, so requests are sent by a task.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    /// The same as that of [`Watched`].
    failure: Arc<Mutex<String>>,
}

impl Client {
    fn new(settings: &Settings) -> reqwest::Result<Self> {
        let http = client_for(&settings.collector)
            // A redirect would send the headers, which may have a key, to another host.
            .redirect(redirect::Policy::none())
            .timeout(settings.timeout)
            .build()?;
        Ok(Self { http, runtime: Handle::current(), failure: Arc::default() })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, failure) = (self.http.clone(), Arc::clone(&self.failure));
        let sending = async move {
            let answer = send(&http, request).await;
            let cause = answer.as_ref().err().cloned();
            *lock(&failure) = cause.unwrap_or_default();
            answer.map_err(HttpError::from)
        };
        self.runtime.spawn(sending).await?
    }
}

/// The collector's answer, or why there is none.
async fn send(http: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let (parts, body) = request.into_parts();
    // Not converted: that would lose a user name and a password in the URL.
    let request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
    let mut answer = request.send().await.map_err(innermost_cause)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(innermost_cause)? {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            return Err("the answer is too large".to_owned());
        }
    }
    let mut response = Response::new(body.freeze());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    Ok(response)
}

/// Nothing is left half-written under the lock.
fn lock(text: &Mutex<String>) -> MutexGuard<'_, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}
