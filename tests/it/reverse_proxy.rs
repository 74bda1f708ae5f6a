//! usersync behind nginx, configured with the example of the documentation.

use std::process::Command;
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpServer, web};
use futures_util::StreamExt as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use crate::support::app::TestApp;
use crate::support::binary::{Process, ProgramFixture};
use crate::support::client::fixture::{ADA, CREATED, CREATED_PHONE_ONLY, DELETED};
use crate::support::client::{Answer, SignedRequest, answer};
use crate::support::not_run;
use crate::support::signer::rsa;

/// The documented example is the one that is tested.
const PAGE: &str = include_str!("../../docs/reverse-proxies.md");
/// The configuration around the example, for one nginx process in its own directory.
const AROUND: &str = "
daemon off;
master_process off;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path bodies;
    proxy_temp_path proxied;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include app.conf;
}
";

/// nginx with usersync and an app behind it. It listens on a socket in its own directory.
struct Proxy {
    http: reqwest::Client,
    _nginx: Process,
    _home: ProgramFixture,
}

impl Proxy {
    /// `None`, with a warning, if nginx is not installed.
    async fn before(usersync: &TestApp) -> Option<Self> {
        let places = ["nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx"];
        let Some(program) = places.into_iter().find(|place| Command::new(place).arg("-v").output().is_ok())
        else {
            not_run("nginx", "it is not installed");
            return None;
        };
        let home = ProgramFixture::bare();
        let socket = home.path("nginx.sock");
        home.write("nginx.conf", AROUND);
        home.write(
            "app.conf",
            &example(&[
                ("listen 80;", &format!("listen unix:{};", socket.display())),
                ("127.0.0.1:8787", usersync.client.url("").trim_start_matches("http://")),
                ("127.0.0.1:3000", &start_app()),
            ]),
        );
        let prefix = home.path("");
        let mut nginx = home.spawn(Command::new(program).arg("-p").arg(prefix).args(["-c", "nginx.conf"]));
        while !socket.exists() {
            nginx.assert_runs();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let http = reqwest::Client::builder().no_proxy().unix_socket(socket).build().unwrap();
        Some(Self { http, _nginx: nginx, _home: home })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://app.example.com{path}"))
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        answer(self.request(Method::GET, path).bearer_auth(token)).await
    }

    /// The same with forged headers that only the proxy may set.
    async fn forge(&self, token: &str, path: &str) -> Answer {
        let mut request = self.request(Method::GET, path).bearer_auth(token);
        for name in ["X-User-Id", "X-User-External-Id", "X-User-Source", "x-user-email", "X_User_Id"] {
            request = request.header(name, "forged").header(name, "twice");
        }
        answer(request).await
    }

    async fn deliver(&self, usersync: &TestApp, body: &str) -> String {
        let SignedRequest { path, headers, body } = usersync.client.signed(body);
        let request = self.request(Method::POST, &path).body(body);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        answer(request).await.brief()
    }
}

/// The example for nginx, with other addresses.
fn example(changes: &[(&str, &str)]) -> String {
    let example = PAGE.split_once("```nginx\n").unwrap().1.split_once("```").unwrap().0;
    changes.iter().fold(example.to_owned(), |example, (address, other)| {
        assert_eq!(example.matches(address).count(), 1, "{address}");
        example.replace(address, other)
    })
}

/// Starts an app that answers with the requests that it receives, and returns its address. It ends with the runtime of
/// the test.
fn start_app() -> String {
    let server = HttpServer::new(|| App::new().default_service(web::to(echo))).workers(1).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap();
    let address = server.addrs()[0].to_string();
    tokio::spawn(server.run());
    address
}

async fn echo(request: HttpRequest, body: String) -> web::Json<Value> {
    let headers =
        request.headers().iter().filter(|(name, _)| name.as_str().replace('_', "-").starts_with("x-user"));
    let headers: Map<String, Value> =
        headers.map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    web::Json(json!({"method": request.method().as_str(), "body": body, "user": headers}))
}

/// The headers that the app must get for a user.
async fn headers_for(app: &TestApp, row: usize) -> Value {
    let row = &app.client.rows().await[row];
    let mut headers =
        json!({"x-user-id": row["id"], "x-user-external-id": row["externalId"], "x-user-source": "clerk"});
    if !row["email"].is_null() {
        headers["x-user-email"] = row["email"].clone();
    }
    headers
}

#[tokio::test]
async fn a_request_reaches_the_app_with_its_user_or_is_refused() {
    let app = TestApp::on_sqlite(|_| ()).await;
    let Some(proxy) = Proxy::before(&app).await else { return app.finish().await };
    let token = app.token(ADA);

    let nobody = answer(proxy.request(Method::GET, "/messages").header("x-user-id", "forged")).await;
    assert_eq!(
        (nobody.brief().as_str(), nobody.header("www-authenticate")),
        ("401 unauthenticated", "Bearer")
    );
    let foreign = rsa("key_1").token(&json!({"iss": "https://elsewhere.example", "sub": ADA}));
    let expired = app.signer.token(&{
        let mut claims = app.claims(ADA);
        claims["exp"] = json!(app.clock.now().as_seconds() - 60);
        claims
    });
    for bad in [&*foreign, &expired, "a.b.c", "undefined", app.client.service_key()] {
        assert_eq!(proxy.forge(bad, "/messages").await.brief(), "401 unauthenticated");
    }
    let early = proxy.forge(&token, "/messages").await;
    assert_eq!((early.brief().as_str(), early.header("retry-after")), ("403 user_not_synced", "1"));

    assert_eq!(proxy.deliver(&app, CREATED).await, "200 applied");
    let ada = headers_for(&app, 0).await;
    for passed in [proxy.get(&token, "/messages?page=2").await, proxy.forge(&token, "/").await] {
        assert_eq!((passed.status, &passed.json()["user"]), (200, &ada));
    }
    let post = proxy.request(Method::POST, "/messages").bearer_auth(&token);
    let posted = answer(post.body("a message ".repeat(10_000))).await.json();
    assert_eq!((&posted["method"], posted["body"].as_str().unwrap().len()), (&json!("POST"), 100_000));
    assert_eq!(posted["user"], ada);

    assert_eq!(proxy.deliver(&app, DELETED).await, "200 applied");
    let late = proxy.forge(&token, "/messages").await;
    assert_eq!((late.brief().as_str(), late.header("retry-after")), ("403 user_deleted", ""));
    app.finish().await;
}

#[tokio::test]
async fn forged_headers_are_removed_on_every_route() {
    let app = TestApp::on_sqlite(|_| ()).await;
    let Some(proxy) = Proxy::before(&app).await else { return app.finish().await };
    assert_eq!(proxy.deliver(&app, CREATED_PHONE_ONLY).await, "200 applied");
    let headers = headers_for(&app, 0).await;
    assert_eq!(headers.get("x-user-email"), None);
    let token = app.token(headers["x-user-external-id"].as_str().unwrap());
    assert_eq!(proxy.forge(&token, "/").await.json()["user"], headers);
    let public = proxy.forge("undefined", "/public/").await;
    assert_eq!((public.status, &public.json()["user"]), (200, &json!({})));
    for path in ["/_usersync", "/_usersync?", "//_usersync"] {
        assert_eq!(proxy.get(&token, path).await.status, 404, "this location is internal: {path}");
    }
    assert_eq!(proxy.get("undefined", "/metrics").await.status, 401);
    app.finish().await;
}

#[tokio::test]
async fn requests_are_refused_while_usersync_is_unavailable() {
    let app = TestApp::on_sqlite(|_| ()).await;
    let Some(proxy) = Proxy::before(&app).await else { return app.finish().await };
    assert_eq!(proxy.deliver(&app, CREATED).await, "200 applied");
    let token = app.token(ADA);
    let unavailable = async || {
        let refused = proxy.forge(&token, "/messages").await;
        assert_eq!((refused.brief().as_str(), refused.header("retry-after")), ("503 unavailable", "5"));
    };
    app.lose_database().await;
    unavailable().await;
    app.finish().await;
    unavailable().await;
    assert_eq!(proxy.forge(&token, "/public/").await.status, 200, "the app itself is available");
}

#[tokio::test]
async fn waits_and_streams_pass_through_the_proxy_without_delay() {
    let app = TestApp::on_sqlite(|_| ()).await;
    let Some(proxy) = Proxy::before(&app).await else { return app.finish().await };
    let token = app.token(ADA);
    let stream = proxy.request(Method::GET, "/v1/users/current/stream").bearer_auth(&token).send();
    let mut events = stream.await.unwrap().bytes_stream();
    let mut next = async || {
        let event = tokio::time::timeout(Duration::from_secs(4), events.next()).await.unwrap();
        event.map(|event| String::from_utf8(event.unwrap().to_vec()).unwrap())
    };
    assert!(next().await.unwrap().starts_with("event: pending"));
    let deliver = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        proxy.deliver(&app, CREATED).await
    };
    let (waited, delivered) = tokio::join!(proxy.get(&token, "/v1/users/current?wait=20"), deliver);
    assert_eq!((delivered.as_str(), waited.status), ("200 applied", 200));
    assert!(next().await.unwrap().starts_with("event: user\n"));
    assert_eq!(proxy.deliver(&app, DELETED).await, "200 applied");
    assert!(next().await.unwrap().starts_with("event: deleted"));
    assert_eq!(next().await, None);
    app.finish().await;
}
