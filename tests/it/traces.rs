//! Traces by OTLP: what a collector receives, that it holds nothing personal, and what happens without one.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::SECRET;
use crate::support::binary::ProgramFixture;
use crate::support::client::Client;
use crate::support::client::fixture::{ADA, CREATED, DELETED, UPDATED};
use crate::support::peers::{COLLECTOR, RunningScript};
use crate::support::receiver::{Receiver, Reply};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The caller's own trace and span.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A collector, and the variables that name it.
async fn collector(home: &mut ProgramFixture) -> Option<RunningScript> {
    let mut collector = COLLECTOR.start()?;
    home.set(ENDPOINT, collector.read_line().await["url"].as_str().unwrap());
    home.set("OTEL_BSP_SCHEDULE_DELAY", "50");
    Some(collector)
}

fn configure(home: &ProgramFixture, hook: &Receiver) {
    let endpoint = format!("name = \"app\"\nurl = \"{}\"\nsecrets = [\"{SECRET}\"]", hook.url());
    home.write("usersync.toml", &format!("[[endpoints]]\n{endpoint}\n"));
}

async fn deliver(client: &Client, body: &str, traceparent: &str) -> String {
    let mut request = client.signed(body);
    request.headers.push(("traceparent", traceparent.to_owned()));
    request.headers.push(("tracestate", "vendor=1".to_owned()));
    client.send(request).await.brief()
}

/// The exported spans.
struct Spans(Vec<Value>);

impl Spans {
    async fn of(collector: &mut RunningScript) -> Self {
        Self(collector.ask(&json!({})).await["spans"].as_array().unwrap().clone())
    }

    fn named(&self, name: &str) -> Vec<&Value> {
        self.0.iter().filter(|span| span["name"] == name).collect()
    }

    /// The only one of this name in a trace.
    fn one(&self, trace: &str, name: &str) -> &Value {
        let mut found = self.named(name);
        found.retain(|span| span["trace"] == trace);
        assert_eq!(found.len(), 1, "{name} in {trace}: {:#?}", self.0);
        found[0]
    }
}

async fn a_delivery_is_one_trace_from_its_request_to_the_endpoint(home: &mut ProgramFixture) {
    let Some(mut collector) = collector(home).await else { return };
    home.set("OTEL_EXPORTER_OTLP_HEADERS", "x-team=t0ken%20two");
    let address = home.variable(ENDPOINT).replace("http://", "http://team:t0ken@");
    home.set(ENDPOINT, address);
    home.set("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");
    let hook = Receiver::start(Reply::Status(200, "")).await;
    configure(home, &hook);
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(deliver(&client, CREATED, &format!("00-{TRACE}-{CALLER}-01")).await, "200 applied");
    let received = hook.count(1).await;
    let log = service.stop().await.stderr;

    let spans = Spans::of(&mut collector).await;
    let request = spans.one(TRACE, "POST /webhooks/{source}");
    assert_eq!((&request["parent"], &request["kind"]), (&json!(CALLER), &json!("SPAN_KIND_SERVER")));
    let attributes = json!({
        "http.request.method": "POST",
        "http.route": "/webhooks/{source}",
        "http.response.status_code": "200",
        "usersync.source": "clerk",
    });
    assert_eq!(request["attributes"], attributes);
    for step in ["verify", "queue", "commit"] {
        assert_eq!(spans.one(TRACE, step)["parent"], request["id"], "{step}");
    }
    let commit = spans.one(TRACE, "commit");
    assert_eq!(
        commit["attributes"],
        json!({"usersync.batch.deliveries": "1", "usersync.outcome": "applied"})
    );
    let sent = spans.one(TRACE, "send event");
    assert_eq!((&sent["parent"], &sent["kind"]), (&commit["id"], &json!("SPAN_KIND_CLIENT")));
    assert_eq!(sent["attributes"]["usersync.endpoint"], "app");
    assert_eq!(sent["attributes"]["server.address"], "127.0.0.1");
    assert_eq!(sent["attributes"]["http.response.status_code"], "200");
    let event_id = sent["attributes"]["usersync.event_id"].as_str().unwrap().replace('-', "");
    assert_eq!(received[0].id, format!("evt_{event_id}"));
    let passed_on = format!("00-{TRACE}-{}-01", sent["id"].as_str().unwrap());
    assert_eq!((&*received[0].traceparent, &*received[0].tracestate), (&*passed_on, "vendor=1"));
    for span in &spans.0 {
        assert_eq!(
            (&span["resource"]["service.name"], &span["scope"]),
            (&json!("usersync"), &json!("usersync"))
        );
        assert_eq!(span["resource"]["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(span["resource"]["deployment.environment.name"], "test");
        assert_eq!((&span["status"], &span["events"]), (&json!("STATUS_CODE_UNSET"), &json!(0)));
    }
    let state = collector.ask(&json!({})).await;
    let headers = &state["headers"];
    assert_eq!(
        (&headers["x-team"], &headers["authorization"]),
        (&json!("t0ken two"), &json!("Basic dGVhbTp0MGtlbg=="))
    );
    let line = log.lines().find(|line| line.contains("applied")).unwrap();
    assert!(line.contains(&format!("trace_id={TRACE}")), "{line}");
    assert!(!log.contains("t0ken"), "{log}");
}

on_both_databases!(a_delivery_is_one_trace_from_its_request_to_the_endpoint, with ProgramFixture);

async fn deliveries_that_are_written_together_have_their_own_traces(home: &mut ProgramFixture) {
    let Some(mut collector) = collector(home).await else { return };
    let hook = Receiver::start(Reply::Status(200, "")).await;
    configure(home, &hook);
    let service = home.serve().await;
    let client = home.client(&service).await;
    let trace = |number: usize| format!("{number:032x}");
    let deliveries = (1..=30).map(|number| {
        let body = CREATED.replace(ADA, &format!("user_{number}"));
        let (client, trace) = (&client, trace(number));
        async move { deliver(client, &body, &format!("00-{trace}-{CALLER}-01")).await }
    });
    assert!(join_all(deliveries).await.iter().all(|said| said == "200 applied"));
    let received = hook.count(30).await;
    service.stop().await;
    let spans = Spans::of(&mut collector).await;
    for number in 1..=30 {
        let trace = trace(number);
        let (request, commit) = (spans.one(&trace, "POST /webhooks/{source}"), spans.one(&trace, "commit"));
        assert_eq!(commit["parent"], request["id"]);
        assert_eq!(spans.one(&trace, "send event")["parent"], commit["id"]);
        let id = format!("user_{number}");
        let event = received.iter().find(|event| event.body["data"]["externalId"] == *id).unwrap();
        assert!(event.traceparent.contains(&trace), "{event:?}");
    }
}

on_both_databases!(deliveries_that_are_written_together_have_their_own_traces, with ProgramFixture);

#[tokio::test]
async fn the_caller_decides_whether_a_trace_is_recorded_and_an_invalid_one_is_ignored() {
    let mut home = ProgramFixture::on_sqlite();
    let Some(mut collector) = collector(&mut home).await else { return };
    let hook = Receiver::start(Reply::Status(200, "")).await;
    configure(&home, &hook);
    let service = home.serve().await;
    let client = home.client(&service).await;
    // What is not recorded is passed on as such.
    assert_eq!(deliver(&client, CREATED, &format!("00-{TRACE}-{CALLER}-00")).await, "200 applied");
    let event = hook.count(1).await.remove(0);
    assert!(event.traceparent.starts_with(&format!("00-{TRACE}-")), "{event:?}");
    assert!(event.traceparent.ends_with("-00") && !event.traceparent.contains(CALLER), "{event:?}");
    assert_eq!(deliver(&client, UPDATED, &format!("00-{TRACE}-{CALLER}-01-more")).await, "200 applied");
    let event = hook.count(2).await.remove(1);
    assert!(!event.traceparent.is_empty() && !event.traceparent.contains(TRACE), "{event:?}");
    assert_eq!(event.tracestate, "");
    service.stop().await;
    let spans = Spans::of(&mut collector).await;
    let request = spans.named("POST /webhooks/{source}");
    assert_eq!((request.len(), &request[0]["parent"]), (1, &json!("")));
    assert_eq!(spans.named("send event").len(), 1);
}

#[tokio::test]
async fn no_span_has_personal_data_or_a_secret() {
    let mut home = ProgramFixture::on_sqlite();
    let Some(mut collector) = collector(&mut home).await else { return };
    let hook = Receiver::start(Reply::Status(500, "")).await;
    configure(&home, &hook);
    let service = home.serve().await;
    let client = home.client(&service).await;
    for body in [CREATED, UPDATED] {
        assert_eq!(client.deliver(body).await, "200 applied");
    }
    assert_eq!(
        client.deliver(r#"{"type":"user.created","data":{"email":"ada@example.com"}}"#).await,
        "200 parked"
    );
    assert_eq!(client.deliver("{").await, "400 invalid_json");
    let mut forged = client.signed(CREATED);
    forged.headers.retain(|(name, _)| *name != "svix-signature");
    forged.headers.push(("svix-signature", "v1,c2lnbmF0dXJl".to_owned()));
    assert_eq!(client.send(forged).await.brief(), "400 invalid_signature");
    assert_eq!(client.deliver(DELETED).await, "200 applied");
    client.get_as(client.service_key(), &format!("/v1/users/clerk:{ADA}?email=ada@example.com")).await;
    client.get_as("a.sentinel.c", "/v1/users/current").await;
    client.get("/nowhere/ada@example.com").await;
    for probe in ["/healthz", "/readyz", "/metrics"] {
        client.get(probe).await;
    }
    hook.count(1).await;
    service.stop().await;

    let spans = Spans::of(&mut collector).await;
    let problems: BTreeSet<&str> =
        spans.0.iter().filter_map(|span| span["attributes"]["usersync.problem"].as_str()).collect();
    assert!(problems.is_superset(&["invalid_json", "invalid_signature", "not_found"].into()), "{problems:?}");
    let failed = spans.named("send event")[0];
    assert_eq!(
        (&failed["status"], &failed["attributes"]["error.type"]),
        (&json!("STATUS_CODE_ERROR"), &json!("500"))
    );
    let names: BTreeSet<&str> = spans.0.iter().map(|span| span["name"].as_str().unwrap()).collect();
    let expected = ["GET", "GET /v1/users/current", "GET /v1/users/{id}", "POST /webhooks/{source}"];
    let steps = ["commit", "queue", "send event", "verify"];
    assert_eq!(names, expected.into_iter().chain(steps).collect());
    let text: Vec<_> = spans.0.iter().map(|span| format!("{} {}", span["resource"], span["text"])).collect();
    let text = text.join("\n");
    let key = &client.service_key()[12..];
    for private in
        [ADA, "example.com", "Lovelace", "sentinel", "msg_", "v1,", "hooks/users", key, &SECRET[8..]]
    {
        assert!(!text.contains(private), "{private:?} in {text}");
    }
}

#[tokio::test]
async fn a_collector_that_refuses_is_told_of_once_and_slows_nothing_down() {
    let mut home = ProgramFixture::on_sqlite();
    let Some(mut collector) = collector(&mut home).await else { return };
    collector.ask(&json!({"status": 400})).await;
    let mut service = home.serve().await;
    let client = home.client(&service).await;
    let requests = async |collector: &mut RunningScript, status: u16| {
        collector.ask(&json!({ "status": status })).await["requests"].as_u64().unwrap()
    };
    while requests(&mut collector, 400).await < 3 {
        client.deliver(UPDATED).await;
    }
    service.line_with("traces cannot be exported").await;
    let refused = requests(&mut collector, 200).await;
    while requests(&mut collector, 200).await < refused + 2 {
        client.deliver(UPDATED).await;
    }
    service.line_with("traces are exported again").await;
    let log = service.stop().await.stderr;
    assert_eq!(log.matches("cannot be exported").count(), 1, "{log}");
    assert_eq!(log.matches("exported again").count(), 1, "{log}");
}

#[tokio::test]
async fn without_a_collector_the_service_works_and_ends() {
    // An address where nothing listens.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = ProgramFixture::on_sqlite()
        .with(ENDPOINT, format!("http://{address}"))
        .with("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
        .with("OTEL_BSP_MAX_QUEUE_SIZE", "1");
    let mut service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    service.line_with("traces cannot be exported").await;
    for _ in 0..50 {
        assert_eq!(client.deliver(UPDATED).await.split(' ').next(), Some("200"));
    }
    service.line_with("SpanDroppingStarted").await;
    let log = service.stop().await.stderr;
    assert!(log.contains("Connection refused"), "{log}");
    for once in ["traces cannot be exported", "SpanDroppingStarted", "BatchSpanProcessor.SpansDropped"] {
        assert_eq!(log.lines().filter(|line| line.contains(once)).count(), 1, "{once}: {log}");
    }
}

#[tokio::test]
async fn traces_that_are_off_connect_to_nothing_and_pass_nothing_on() {
    for off in [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true"), (ENDPOINT, "")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut home = ProgramFixture::on_sqlite();
        home.set(ENDPOINT, format!("http://{}", listener.local_addr().unwrap()));
        home.set("OTEL_BSP_SCHEDULE_DELAY", "10");
        home.set(off.0, off.1);
        let hook = Receiver::start(Reply::Status(200, "")).await;
        configure(&home, &hook);
        let service = home.serve().await;
        let client = home.client(&service).await;
        assert_eq!(deliver(&client, CREATED, &format!("00-{TRACE}-{CALLER}-01")).await, "200 applied");
        let event = hook.count(1).await.remove(0);
        assert_eq!((&*event.traceparent, &*event.tracestate), ("", ""));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let log = service.stop().await.stderr;
        assert!(!log.contains("trace"), "{log}");
        assert!(listener.accept().is_err(), "{off:?}");
    }
}

#[tokio::test]
async fn a_variable_that_cannot_be_used_is_refused_at_the_start_of_the_service_alone() {
    let home = ProgramFixture::on_sqlite()
        .with(ENDPOINT, "http://localhost:4317")
        .with("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .with("OTEL_TRACES_SAMPLER", "sometimes");
    for command in ["serve", "dev"] {
        let said = home.run(&[command]).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        for name in ["OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf", "OTEL_TRACES_SAMPLER: write one of"] {
            assert!(said.stderr.contains(name), "{said:?}");
        }
    }
    let said = home.run(&["migrate"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = home.run(&["doctor"]).await;
    assert!(said.stdout.contains("ERROR    OTEL_TRACES_SAMPLER: write one of"), "{said:?}");
}

#[tokio::test]
async fn dev_exports_traces_and_requests_to_a_provider_are_spans() {
    let mut home = ProgramFixture::bare();
    let Some(mut collector) = collector(&mut home).await else { return };
    let mut dev = home.start(&["dev", "--listen", "127.0.0.1:0"]);
    dev.line_with("Press Ctrl-C").await;
    dev.stop().await;
    let spans = Spans::of(&mut collector).await;
    assert!(!spans.named("POST /webhooks/{source}").is_empty());
    let asked = spans.named("ask provider")[0];
    assert_eq!((&asked["kind"], &asked["parent"]), (&json!("SPAN_KIND_CLIENT"), &json!("")));
    assert_eq!(asked["attributes"]["http.request.method"], "GET");
    assert_eq!(asked["attributes"]["server.address"], "127.0.0.1");
    assert_eq!(asked["attributes"]["http.response.status_code"], "200");
}
