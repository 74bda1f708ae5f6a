//! Clients of every route: the provider that sends, the app that looks up, the operator that lists.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use usersync::internals::clock::Clock;
use usersync::internals::signature;

use super::app::{SECRET, TestApp};

/// The fixtures as they are sent.
pub(crate) mod fixture {
    pub(crate) const CREATED: &str = include_str!("../../fixtures/clerk/user_created_password.json");
    pub(crate) const CREATED_GOOGLE: &str = include_str!("../../fixtures/clerk/user_created_google.json");
    pub(crate) const CREATED_PHONE_ONLY: &str =
        include_str!("../../fixtures/clerk/user_created_phone_only.json");
    pub(crate) const UPDATED: &str = include_str!("../../fixtures/clerk/user_updated.json");
    pub(crate) const DELETED: &str = include_str!("../../fixtures/clerk/user_deleted.json");
    pub(crate) const DELETED_EXTERNAL_ID: &str =
        include_str!("../../fixtures/clerk/user_deleted_external_id.json");

    /// The user of `CREATED`, `UPDATED` and `DELETED`.
    pub(crate) const ADA: &str = "user_2tAda0000000000000000000001";
    /// The user of `CREATED_GOOGLE` and `DELETED_EXTERNAL_ID`.
    pub(crate) const GRACE: &str = "user_2tGrace000000000000000000002";
}

/// Sends to one service.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    service_key: String,
    clock: Clock,
    messages: AtomicU64,
}

/// An answer, read completely.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Status and code of a problem document, or status and outcome of a delivery.
    pub(crate) fn brief(&self) -> String {
        let body = self.json();
        let word = body.get("code").or(body.get("outcome")).and_then(Value::as_str).unwrap_or("-");
        if body.get("code").is_some() {
            assert_eq!(self.header("content-type"), "application/problem+json");
            assert_eq!(body["status"], json!(self.status));
        }
        format!("{} {word}", self.status)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A delivery as it is sent; a test may change any part.
pub(crate) struct SignedRequest {
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(base: String, service_key: String, clock: Clock) -> Self {
        // Sooner than the service closes an idle connection, so that no request meets one that is being closed.
        let idle = std::time::Duration::from_secs(1);
        let http = reqwest::Client::builder().no_proxy().pool_idle_timeout(idle).build().unwrap();
        Self { http, base, service_key, clock, messages: AtomicU64::new(0) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Where the service listens.
    fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub(crate) fn service_key(&self) -> &str {
        &self.service_key
    }

    /// A message id never used before.
    pub(crate) fn message_id(&self) -> String {
        format!("msg_{}", self.messages.fetch_add(1, Ordering::SeqCst))
    }

    /// A delivery of the source `clerk`, signed by our own clock.
    pub(crate) fn signed(&self, body: impl Into<Vec<u8>>) -> SignedRequest {
        self.signed_as(&self.message_id(), body)
    }

    /// The same with a given message id.
    pub(crate) fn signed_as(&self, id: &str, body: impl Into<Vec<u8>>) -> SignedRequest {
        signed_at(id, self.clock.now().as_seconds(), SECRET, body)
    }

    pub(crate) async fn send(&self, wire: SignedRequest) -> Answer {
        let mut request = self.request(Method::POST, &wire.path);
        for (name, value) in wire.headers {
            request = request.header(name, value);
        }
        answer(request.body(wire.body)).await
    }

    /// Signs and sends a payload; the answer in brief.
    pub(crate) async fn deliver(&self, body: impl Into<Vec<u8>>) -> String {
        self.send(self.signed(body)).await.brief()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        answer(self.request(Method::GET, path).bearer_auth(token)).await
    }

    /// What the operator reads.
    pub(crate) async fn list(&self, query: &str) -> Answer {
        self.get_as(&self.service_key, &format!("/v1/users{query}")).await
    }

    /// Every row, as the operator sees it.
    pub(crate) async fn rows(&self) -> Vec<Value> {
        let listed = self.list("?limit=200").await;
        listed.json()["users"].as_array().unwrap_or_else(|| panic!("no users: {listed:?}")).clone()
    }
}

/// A delivery of the source `clerk`, signed at a given time with a given secret.
pub(crate) fn signed_at(id: &str, seconds: i64, secret: &str, body: impl Into<Vec<u8>>) -> SignedRequest {
    let body = body.into();
    let timestamp = usersync::internals::domain::Timestamp::from_seconds(seconds);
    let signature = signature::sign(secret, id, timestamp, &body).unwrap_or_else(|_| "v1,AAAA".to_owned());
    let headers = vec![
        ("svix-id", id.to_owned()),
        ("svix-timestamp", seconds.to_string()),
        ("svix-signature", signature),
    ];
    SignedRequest { path: "/webhooks/clerk".to_owned(), headers, body }
}

/// Sends a request and reads the complete answer.
pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// Sends bytes over a connection of their own, and reads until the service closes it.
pub(crate) async fn raw(app: &TestApp, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(app.client.address()).await.unwrap();
    connection.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}
