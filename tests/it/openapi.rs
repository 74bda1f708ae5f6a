//! The OpenAPI document matches the service: every operation is served, real answers have the described shape,
//! and clients can be generated.

use std::collections::BTreeSet;
use std::net::TcpListener;

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use usersync::internals::app::App;
use usersync::internals::config::Config;
use usersync::internals::domain::{Scope, Scopes};

use crate::event_feed::logged;
use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED, DELETED, UPDATED};
use crate::support::client::{Answer, Client, SignedRequest, answer};
use crate::support::peers::{JSON_SCHEMA, OPENAPI_TYPESCRIPT, RunningScript, SCHEMATHESIS};

async fn document(client: &Client) -> Value {
    client.get("/openapi.json").await.json()
}

/// Method, path and description of every operation.
fn operations(document: &Value) -> Vec<(Method, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &'_ Value)| -> Vec<(Method, String)> {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase().parse().unwrap(), path.clone())).collect()
    };
    let all = paths.iter().flat_map(of_path);
    all.map(|(method, path)| {
        let operation = &document["paths"][&path][method.as_str().to_lowercase()];
        (method, path, operation)
    })
    .collect()
}

async fn every_operation_of_the_document_is_served(app: &TestApp) {
    let document = document(&app.client).await;
    let operations = operations(&document);
    assert!(operations.len() >= 12, "{operations:?}");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        let path = path.replace("{source}", "clerk").replace("{id}", "nobody");
        let asked = answer(app.client.request(method.clone(), &path)).await;
        let code = asked.text.parse::<Value>().map_or(Value::Null, |body| body["code"].clone());
        assert!(code != "not_found" && code != "method_not_allowed", "{method} {path}: {asked:?}");
        // And no other method, except where it is described.
        let other = answer(app.client.request(Method::PUT, &path)).await;
        if id == "checkAuth" {
            assert_eq!(other.brief(), "401 invalid_auth_header");
        } else {
            assert_eq!(other.brief(), "405 method_not_allowed", "{path}");
            assert!(other.header("allow").contains(method.as_str()), "{path}: {other:?}");
        }
    }
}

on_both_databases!(every_operation_of_the_document_is_served);

#[tokio::test]
async fn metrics_on_a_listener_of_their_own_are_not_in_the_document() {
    let app = TestApp::on_sqlite(|_| ()).await;
    let other = App::new(&app.config, app.clock.clone()).await.unwrap();
    let [main, metrics] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = [&main, &metrics].map(|listener| listener.local_addr().unwrap());
    let service = other.serve(main, Some(metrics)).unwrap();
    let [main, metrics] =
        addresses.map(|address| Client::new(format!("http://{address}"), String::new(), app.clock.clone()));
    let paths = document(&main).await["paths"].as_object().unwrap().clone();
    assert!(paths.contains_key("/readyz") && !paths.contains_key("/metrics"));
    assert_eq!(main.get("/metrics").await.brief(), "404 not_found");
    assert_eq!(metrics.get("/metrics").await.status, 200);
    for path in ["/readyz", "/openapi.json", "/docs/", "/v1/identity"] {
        assert_eq!(metrics.get(path).await.brief(), "404 not_found", "{path}");
    }
    service.stop().await.unwrap();
    app.finish().await;
}

#[tokio::test]
async fn the_types_that_are_generated_from_the_document_compile_and_have_what_clients_rely_on() {
    let Some(mut peer) = OPENAPI_TYPESCRIPT.start() else { return };
    let app = TestApp::on_sqlite(|_| ()).await;
    let compiled = peer.ask(&json!({"document": document(&app.client).await})).await;
    assert_eq!(compiled, json!({"errors": []}));
    app.finish().await;
}

/// Compares answers with the document.
struct Described(RunningScript);

impl Described {
    async fn start(app: &TestApp) -> Option<Self> {
        let mut peer = JSON_SCHEMA.start()?;
        let document = document(&app.client).await;
        assert_eq!(peer.ask(&json!({"document": document})).await, json!({"problems": []}));
        Some(Self(peer))
    }

    /// Asserts that an answer to an operation is in the document, and is the expected one.
    async fn check(&mut self, operation: &str, answer: &Answer, expected: &str) {
        let (method, path) = operation.split_once(' ').unwrap();
        let headers: Map<String, Value> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        let asked = json!({
            "method": method, "path": path, "status": answer.status, "headers": headers, "body": answer.text,
        });
        assert_eq!(self.0.ask(&asked).await, json!({"problems": []}), "{operation}: {answer:?}");
        let code =
            answer.text.parse::<Value>().ok().and_then(|body| body["code"].as_str().map(str::to_owned));
        let brief = code.map_or(answer.status.to_string(), |code| format!("{} {code}", answer.status));
        assert_eq!(brief, expected, "{operation}: {answer:?}");
    }

    async fn ask(&mut self, operation: &str, request: RequestBuilder, expected: &str) {
        self.check(operation, &answer(request).await, expected).await;
    }

    async fn value(&mut self, schema: &str, value: &Value) {
        let found = self.0.ask(&json!({"schema": schema, "value": value})).await;
        assert_eq!(found, json!({"problems": []}), "{schema}: {value}");
    }
}

async fn deliveries_are_answered_as_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    let delivery = "POST /webhooks/{source}";
    let first = app.client.signed_as("msg_first", CREATED);
    let again = app.client.signed_as("msg_first", CREATED);
    let mut tampered = app.client.signed(CREATED);
    tampered.body.push(b' ');
    let unsigned = SignedRequest { headers: Vec::new(), ..app.client.signed(CREATED) };
    let nowhere = SignedRequest { path: "/webhooks/nowhere".to_owned(), ..app.client.signed(CREATED) };
    app.expect_parked(1);
    for (wire, expected, outcome) in [
        (first, "200", "applied"),
        (again, "200", "duplicate"),
        (app.client.signed(CREATED), "200", "stale"),
        (app.client.signed(r#"{"type":"session.created","data":{}}"#), "200", "ignored"),
        (app.client.signed("{}"), "200", "parked"),
        (app.client.signed("{"), "400 invalid_json", ""),
        (tampered, "400 invalid_signature", ""),
        (unsigned, "400 missing_signature", ""),
        (nowhere, "404 unknown_source", ""),
        (app.client.signed(vec![b' '; 100_000]), "413 body_too_large", ""),
    ] {
        let answered = app.client.send(wire).await;
        described.check(delivery, &answered, expected).await;
        assert_eq!(answered.json()["outcome"].as_str().unwrap_or_default(), outcome);
    }
}

fn with_a_small_body_limit(config: &mut Config) {
    config.server.body_limit = 99_999;
}

on_both_databases!(deliveries_are_answered_as_described, configured by with_a_small_body_limit);

async fn users_are_answered_as_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    let (key, ada, other) = (app.client.service_key(), app.token(ADA), app.token("user_other"));
    let get = |path: &str, token: &str| app.client.request(Method::GET, path).bearer_auth(token);
    let current = "/v1/users/current";
    described.ask("GET /v1/users/current", get(current, &ada), "404 user_not_synced").await;
    described.ask("GET /v1/users/current", get("/v1/users/current?wait=x", &ada), "400 invalid_query").await;
    described.ask("GET /v1/users/current", get(current, "a.b.c"), "401 invalid_auth_header").await;
    let store = || app.client.request(Method::POST, current).bearer_auth(&other);
    described.ask("POST /v1/users/current", store(), "201").await;
    described.ask("POST /v1/users/current", store(), "200").await;
    described.ask("GET /v1/auth", get("/v1/auth", &ada), "403 user_not_synced").await;
    for body in [CREATED, UPDATED] {
        assert_eq!(app.client.deliver(body).await, "200 applied");
    }
    described.ask("GET /v1/users/current", get(current, &ada), "200").await;
    described.ask("GET /v1/auth", get("/v1/auth", &ada), "200").await;
    described
        .ask("GET /v1/auth", app.client.request(Method::GET, "/v1/auth"), "401 invalid_auth_header")
        .await;
    described.ask("GET /v1/identity", get("/v1/identity", &ada), "200").await;
    let identity = app.client.get_as(&ada, "/v1/identity").await.json();
    described.value("OidcIdentity", &identity).await;

    let id = app.client.get_as(&ada, current).await.json()["id"].as_str().unwrap().to_owned();
    for (path, token, expected) in [
        (format!("/v1/users/{id}"), key, "200"),
        (format!("/v1/users/{id}"), &*ada, "200"),
        ("/v1/users/nobody".to_owned(), key, "404 user_not_found"),
        (format!("/v1/users/{id}"), "usk_unknown", "401 unauthenticated"),
    ] {
        described.ask("GET /v1/users/{id}", get(&path, token), expected).await;
    }
    for (query, token, expected) in [
        ("limit=1".to_owned(), key, "200"),
        (format!("ids={id}"), key, "200"),
        (format!("ids={id},nobody"), &*ada, "200"),
        ("limit=201".to_owned(), key, "400 invalid_query"),
        ("limit=1".to_owned(), &*ada, "401 unauthenticated"),
    ] {
        described.ask("GET /v1/users", get(&format!("/v1/users?{query}"), token), expected).await;
    }

    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    for path in [current, "/v1/users/current/stream", "/v1/identity", "/v1/users/{id}"] {
        described.ask(&format!("GET {path}"), get(path, &ada), "410 user_deleted").await;
    }
    described.ask("GET /v1/auth", get("/v1/auth", &ada), "403 user_deleted").await;
}

on_both_databases!(users_are_answered_as_described);

async fn sources_are_answered_as_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    let admin = app.service_key_with([Scope::Admin].into_iter().collect()).await;
    let get = |key: &str| app.client.request(Method::GET, "/v1/sources").bearer_auth(key);
    let check = |name: &str| {
        app.client.request(Method::POST, &format!("/v1/sources/{name}/check")).bearer_auth(&admin)
    };
    let reader = app.client.service_key();
    described.ask("GET /v1/sources", get(reader), "403 insufficient_scope").await;
    described.ask("GET /v1/sources", get(&admin), "200").await;
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    described.ask("GET /v1/sources", get(&admin), "200").await;
    described.ask("POST /v1/sources/{name}/check", check("clerk"), "200").await;
    described.ask("POST /v1/sources/{name}/check", check("nobody"), "404 unknown_source").await;
}

on_both_databases!(sources_are_answered_as_described);

async fn the_events_of_a_stream_are_as_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    let mut claims = app.claims(ADA);
    claims["exp"] = json!(app.clock.now().as_seconds() + 2);
    let token = app.signer.token(&claims);
    let path = "/v1/users/current/stream";
    let deliver = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        app.client.deliver(CREATED).await
    };
    let (expiring, delivered) = tokio::join!(app.client.get_as(&token, path), deliver);
    assert_eq!(delivered, "200 applied");
    described.check("GET /v1/users/current/stream", &expiring, "200").await;
    let deleted = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        app.client.deliver(DELETED).await
    };
    let longer = app.token(ADA);
    let (ending, _) = tokio::join!(app.client.get_as(&longer, path), deleted);
    let events = events(&(expiring.text + &ending.text));
    for event in &events {
        described.value("CurrentUserEvent", event).await;
    }
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["pending", "user", "expired", "user", "deleted"]);
}

/// The events of a stream as JSON, with their data parsed.
fn events(stream: &str) -> Vec<Value> {
    let event = |block: &str| {
        let mut event = Map::new();
        for (name, value) in block.lines().filter_map(|line| line.split_once(": ")) {
            let value = if name == "data" { value.parse().unwrap() } else { json!(value) };
            event.insert(name.to_owned(), value);
        }
        Value::Object(event)
    };
    stream.split("\n\n").filter(|block| block.starts_with("event")).map(event).collect()
}

on_both_databases!(the_events_of_a_stream_are_as_described);

async fn the_event_feed_is_answered_as_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    let key = app.service_key_with([Scope::EventsRead].into_iter().collect()).await;
    let get = |query: &str| app.client.request(Method::GET, &format!("/v1/events{query}")).bearer_auth(&key);
    let feed = "GET /v1/events";
    described.ask(feed, get(""), "200").await;
    for body in [CREATED, UPDATED] {
        assert_eq!(app.client.deliver(body).await, "200 applied");
        described.ask(feed, get("?wait=1"), "200").await;
    }
    described.ask(feed, get("?type=user.updated"), "200").await;
    let last = app.client.get_as(&key, "/v1/events").await.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    described.ask(feed, get(&format!("?after={last}")), "200").await;
    described.ask(feed, get("?after=x"), "400 invalid_query").await;
    described.ask(feed, get("?after=1000000"), "410 cursor_expired").await;
}

on_both_databases!(the_event_feed_is_answered_as_described, configured by logged);

async fn the_messages_to_endpoints_are_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    let webhooks = document(&app.client).await["webhooks"].as_object().unwrap().clone();
    let schema = |name: &str| {
        let content = &webhooks[name]["post"]["requestBody"]["content"]["application/json"];
        content["schema"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    };
    let of_nobody = |name: &str| json!({"type": name, "timestamp": "2026-01-04T12:00:00Z", "data": {}, "sequence": "7", "changed": []});
    for name in ["users.resync", "users.test"] {
        described.value(&schema(name), &of_nobody(name)).await;
    }
    let names: Vec<&str> = webhooks.keys().map(String::as_str).collect();
    assert_eq!(names, ["user.created", "user.deleted", "user.updated", "users.resync", "users.test"]);
}

on_both_databases!(the_messages_to_endpoints_are_described);

async fn operators_and_failures_are_answered_as_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    for path in ["/healthz", "/readyz", "/openapi.json", "/metrics"] {
        described.ask(&format!("GET {path}"), app.client.request(Method::GET, path), "200").await;
    }
    let powerless = app.service_key_with(Scopes::default()).await;
    let get = |path: &str, token: &str| app.client.request(Method::GET, path).bearer_auth(token);
    for path in ["/v1/users", "/v1/users/{id}", "/v1/events"] {
        described.ask(&format!("GET {path}"), get(path, &powerless), "403 insufficient_scope").await;
    }
    app.lose_database().await;
    let unavailable = "503 database_unavailable";
    let delivered = app.client.send(app.client.signed(CREATED)).await;
    described.check("POST /webhooks/{source}", &delivered, unavailable).await;
    described.ask("GET /readyz", app.client.request(Method::GET, "/readyz"), unavailable).await;
    let paths =
        ["/v1/users/current", "/v1/users/current/stream", "/v1/identity", "/v1/auth", "/v1/users/{id}"];
    for path in paths {
        described.ask(&format!("GET {path}"), get(path, &app.token(ADA)), unavailable).await;
    }
}

on_both_databases!(operators_and_failures_are_answered_as_described);

async fn limits_are_answered_as_described(app: &TestApp) {
    let Some(mut described) = Described::start(app).await else { return };
    for path in ["/v1/users/current", "/v1/identity", "/v1/users", "/v1/users/{id}", "/v1/auth"] {
        let refused = async || loop {
            let answer = app.client.get(path).await;
            if answer.status == 429 {
                return answer;
            }
        };
        described.check(&format!("GET {path}"), &refused().await, "429 too_many_requests").await;
    }
}

fn with_few_requests(config: &mut Config) {
    config.limits.requests_per_second = std::num::NonZeroU32::MIN;
    config.limits.burst = std::num::NonZeroU32::MIN;
}

on_both_databases!(limits_are_answered_as_described, configured by with_few_requests);

/// Lets schemathesis make requests of the document and look for answers that are not in it.
async fn drive(app: &TestApp, more: &[&str]) {
    let fixed = [
        concat!("--config-file=", env!("CARGO_MANIFEST_DIR"), "/tests/peers/schemathesis.toml"),
        "run",
        &app.client.url("/openapi.json"),
        "--mode=all",
        "--exclude-checks=positive_data_acceptance",
        "--max-examples=20",
        "--seed=1",
        "--continue-on-failure",
        "--request-timeout=10",
        "--no-color",
    ]
    .map(str::to_owned);
    let arguments = fixed.into_iter().chain(more.iter().map(|argument| (*argument).to_owned())).collect();
    let Some(found) = SCHEMATHESIS.run(arguments).await else { return };
    let [output, errors] = [&found.stdout, &found.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(found.status.success(), "{output}\n{errors}");
    // It would also succeed without having sent anything.
    assert!(output.contains("Test cases:"), "{output}");
    assert_eq!(app.client.get("/readyz").await.status, 200);
}

async fn schemathesis_finds_no_answer_that_is_not_in_the_document(app: &TestApp) {
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let as_user = format!("--header=Authorization:Bearer {}", app.token(ADA));
    let as_service = format!("--header=Authorization:Bearer {}", app.client.service_key());
    // With a valid token the stream does not end.
    drive(app, &[&as_user, "--phases=coverage,fuzzing", "--exclude-operation-id=streamCurrentUser"]).await;
    drive(app, &[&as_service, "--phases=coverage", "--include-path-regex=^/v1/"]).await;
    drive(app, &["--phases=coverage"]).await;
}

fn without_limits(config: &mut Config) {
    config.limits.requests_per_second = std::num::NonZeroU32::MAX;
    config.limits.burst = std::num::NonZeroU32::MAX;
}

on_both_databases!(schemathesis_finds_no_answer_that_is_not_in_the_document, configured by without_limits);
