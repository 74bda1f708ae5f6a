//! Spans on their way to a collector: in batches, by a thread of the SDK, which never blocks a request.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use reqwest::redirect;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::variables::{InvalidVariables, Settings};
use crate::config::is_loopback;

/// How long the last export may take at shutdown.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answer of a collector, which has a few words.
const LARGEST_ANSWER: usize = 64 << 10;

/// Makes spans that are exported to a collector. The SDK reads the variables by itself.
pub(super) fn provider(settings: &Settings) -> Result<SdkTracerProvider, InvalidVariables> {
    let failed = |error: &dyn Error| InvalidVariables(vec![error.to_string()]);
    let client = Client::new(settings).map_err(|error| failed(&error))?;
    let exporter = OtlpExporter::builder().with_http().with_http_client(client).build();
    let exporter = Watched {
        exporter: exporter.map_err(|error| failed(&error))?,
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
    is_failing: AtomicBool,
    /// Spans that could not be exported since the start.
    lost: AtomicUsize,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let exported = self.exporter.export(batch).await;
        if let Err(error) = &exported {
            self.lost.fetch_add(count, Ordering::Relaxed);
            if !self.is_failing.swap(true, Ordering::Relaxed) {
                warn!(%error, "traces cannot be exported, and are lost until the collector accepts them");
            }
        } else if self.is_failing.swap(false, Ordering::Relaxed) {
            let lost_spans = self.lost.load(Ordering::Relaxed);
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
}

impl Client {
    fn new(settings: &Settings) -> reqwest::Result<Self> {
        let mut http = reqwest::Client::builder()
            // A redirect would send the headers, which may have a key, to another host.
            .redirect(redirect::Policy::none())
            .timeout(settings.timeout);
        if is_loopback(&settings.collector) {
            // A proxy cannot reach what is on this machine.
            http = http.no_proxy();
        }
        Ok(Self { http: http.build()?, runtime: Handle::current() })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sending = async move {
            let mut answer = http.execute(request.try_into()?).await?;
            let mut body = BytesMut::new();
            while let Some(chunk) = answer.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > LARGEST_ANSWER {
                    return Err(HttpError::from("the answer is too large"));
                }
            }
            let mut response = Response::new(body.freeze());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            Ok(response)
        };
        self.runtime.spawn(sending).await?
    }
}
