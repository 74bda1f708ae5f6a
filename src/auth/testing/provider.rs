//! A provider on this machine, whose answers a test sets; the integration tests use this file too.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::signer::Signer;

/// What the provider answers under one path.
#[derive(Clone)]
pub(crate) struct Page {
    status: u16,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
    delay: Duration,
}

impl Page {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), headers: Vec::new(), delay: Duration::ZERO }
    }

    /// Compressed, whatever the request accepts.
    pub(crate) fn gzip(body: &str) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body.as_bytes()).unwrap();
        Self::ok(encoder.finish().unwrap()).with("content-encoding", "gzip")
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::ok("") }
    }

    pub(crate) fn redirect(to: impl Into<String>) -> Self {
        Self::status(302).with("location", to)
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    pub(crate) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

#[derive(Default)]
struct Site {
    pages: HashMap<String, Page>,
    requests: HashMap<String, usize>,
}

/// A running provider; it ends with the test's runtime.
pub(crate) struct Provider {
    site: Arc<Mutex<Site>>,
    base: String,
}

impl Provider {
    /// Starts with the discovery document in place and no key set.
    pub(crate) fn start() -> Self {
        let site = Arc::new(Mutex::new(Site::default()));
        let data = web::Data::from(Arc::clone(&site));
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)));
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        let provider = Self { site, base };
        provider.discovery(&json!({"issuer": provider.base, "jwks_uri": provider.url("/jwks")}));
        provider
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn page(&self, path: &str, page: Page) {
        self.site.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    pub(crate) fn discovery(&self, document: &Value) {
        self.page("/.well-known/openid-configuration", Page::ok(document.to_string()));
    }

    /// Puts these keys, and no others, under `/jwks`.
    pub(crate) fn publish(&self, signers: &[&Signer]) {
        self.page("/jwks", Page::ok(key_set(signers)));
    }

    /// How often the keys under `/jwks` were requested.
    pub(crate) fn key_requests(&self) -> usize {
        self.site.lock().unwrap().requests.get("/jwks").copied().unwrap_or_default()
    }
}

pub(crate) fn key_set(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

async fn answer(request: HttpRequest, site: web::Data<Mutex<Site>>) -> HttpResponse {
    let page = {
        let mut site = site.lock().unwrap();
        *site.requests.entry(request.path().to_owned()).or_default() += 1;
        site.pages.get(request.path()).cloned().unwrap_or_else(|| Page::status(404))
    };
    actix_web::rt::time::sleep(page.delay).await;
    let mut response = HttpResponse::build(StatusCode::from_u16(page.status).unwrap());
    for header in page.headers {
        response.insert_header(header);
    }
    response.content_type("text/plain").body(page.body)
}
