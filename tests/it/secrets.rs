//! What the log must never contain, at any level.

use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use usersync::internals::clock::Clock;

use crate::support::app::{APPLICATION_ID, OLD_SECRET, SECRET};
use crate::support::binary::{ProgramFixture, ProgramOutput};
use crate::support::client::fixture::{ADA, CREATED, DELETED, UPDATED};
use crate::support::client::{Client, SignedRequest, answer, signed_at};
use crate::support::postgres;
use crate::support::provider::Provider;
use crate::support::signer::{Signer, p256, rsa};

/// A marker in all personal data of these tests: in bodies, tokens, queries and credentials.
const PRIVATE: &str = "sentinel";

/// Everything that passes through the service here and must not be seen again.
#[derive(Default)]
struct PrivateValues(Vec<String>);

impl PrivateValues {
    /// Remembers the middle of a secret, because a log may quote or cut it. The beginning of a service key may be
    /// shown.
    fn keep(&mut self, secret: &str) {
        let middle = if secret.len() < 30 { secret } else { &secret[12..secret.len().min(60)] };
        self.0.push(middle.to_owned());
    }

    fn assert_not_in(&self, said: &ProgramOutput) {
        let log = format!("{}{}", said.stdout, said.stderr);
        assert!(self.0.len() > 3 && log.contains("answered"), "{log}");
        for secret in self.0.iter().map(String::as_str).chain([PRIVATE, "@example.com", "Lovelace"]) {
            let found = log.lines().find(|line| line.contains(secret));
            assert!(found.is_none(), "{secret:?} is in the log: {found:?}");
        }
    }
}

/// Deliveries that are accepted, parked and refused, each in every way.
async fn deliver(client: &Client, private: &mut PrivateValues) {
    let mut send = async |wire: SignedRequest, expected: &str| {
        for (name, value) in &wire.headers {
            if *name == "svix-signature" {
                private.keep(value);
            }
        }
        assert_eq!(client.send(wire).await.brief(), expected);
    };
    let now = Clock::system().now().as_seconds();
    let broken = CREATED.replace("1767268800000", r#""sentinel@example.com""#);
    assert_ne!(broken, CREATED);
    send(client.signed(CREATED), "200 applied").await;
    send(client.signed(UPDATED), "200 applied").await;
    send(client.signed(r#"{"type":"session.created","data":"sentinel"}"#), "200 ignored").await;
    send(client.signed(broken), "200 parked").await;
    send(client.signed(r#"{"type":"user.created","data":{"email":"sentinel"}}"#), "200 parked").await;
    send(client.signed(r#""sentinel"#), "400 invalid_json").await;
    send(signed_at("msg_old", now - 999, SECRET, UPDATED), "400 stale_timestamp").await;
    send(signed_at("msg_foreign", now, OLD_SECRET, UPDATED), "400 invalid_signature").await;
    let mut mangled = client.signed(UPDATED);
    mangled.headers[1].1 = PRIVATE.to_owned();
    send(mangled, "400 invalid_signature").await;
    let mut unsigned = client.signed(UPDATED);
    unsigned.headers.truncate(2);
    send(unsigned, "400 missing_signature").await;
    let mut elsewhere = client.signed(UPDATED);
    elsewhere.path = format!("/webhooks/{PRIVATE}");
    send(elsewhere, "404 unknown_source").await;
}

/// Tokens and service keys that are accepted and refused.
async fn request_users(client: &Client, provider: &Provider, signer: &Signer, private: &mut PrivateValues) {
    let now = Clock::system().now().as_seconds();
    let claims = json!({
        "iss": provider.url(""), "sub": ADA, "aud": APPLICATION_ID, "iat": now, "exp": now + 600,
        "email": "sentinel@example.com", "name": PRIVATE,
    });
    let with = |name: &str, value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let good = signer.token(&claims);
    for (token, expected) in [
        (good.clone(), 200),
        (signer.token(&with("exp", json!(now - 600))), 401),
        (signer.token(&with("sub", json!(""))), 401),
        (signer.token(&with("iss", json!("https://elsewhere.example.com"))), 401),
        (p256("key_1").token(&claims), 401),
        (p256("key_2").token(&claims), 401),
        (format!("{}AAAA", &good[..good.len() - 4]), 401),
        (format!("{good}.{PRIVATE}"), 401),
        (format!("{PRIVATE}-in-place-of-a-token"), 401),
    ] {
        token.split('.').for_each(|part| private.keep(part));
        assert_eq!(client.get_as(&token, "/v1/users/current").await.status, expected);
        client.get_as(&token, "/v1/identity").await;
    }
    let odd = client.request(Method::GET, "/v1/users/current").header("authorization", "Basic sentinel");
    assert_eq!(answer(odd).await.status, 401);
}

/// Commands of an operator, valid and invalid.
async fn list(client: &Client, private: &mut PrivateValues) {
    private.keep(client.service_key());
    let stranger = "usk_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    private.keep(stranger);
    assert_eq!(client.get_as(stranger, "/v1/users?email=ada@example.com").await.status, 401);
    assert_eq!(client.list("?email=ada.king@example.com").await.status, 200);
    for query in
        ["?email=sentinel%00", "?cursor=sentinel", "?limit=sentinel", "?sentinel", "?email=a&email=sentinel"]
    {
        assert_eq!(client.list(query).await.status, 400, "{query}");
    }
    assert_eq!(client.get("/v1/sentinel@example.com?sentinel").await.status, 404);
}

/// All kinds of requests to a service with the most verbose log.
async fn log_of_all_requests(home: &mut ProgramFixture, format: &str) {
    let (provider, signer) = (Provider::start(), rsa("key_1"));
    provider.publish(&[&signer]);
    home.set("CLERK_JWT_ISSUER_DOMAIN", provider.url(""));
    home.set("RUST_LOG", "trace");
    home.set("USERSYNC_LOG__FORMAT", format);
    let mut private = PrivateValues::default();
    private.keep(SECRET);
    let service = home.serve().await;
    let client = home.client(&service).await;
    deliver(&client, &mut private).await;
    request_users(&client, &provider, &signer, &mut private).await;
    list(&client, &mut private).await;
    assert_eq!(client.deliver(DELETED).await, "200 applied");
    private.assert_not_in(&service.stop().await);
}

async fn the_most_verbose_text_log_contains_no_secret_and_no_personal_data(home: &mut ProgramFixture) {
    log_of_all_requests(home, "text").await;
}

on_both_databases!(the_most_verbose_text_log_contains_no_secret_and_no_personal_data, with ProgramFixture);

async fn the_most_verbose_json_log_contains_no_secret_and_no_personal_data(home: &mut ProgramFixture) {
    log_of_all_requests(home, "json").await;
}

on_both_databases!(the_most_verbose_json_log_contains_no_secret_and_no_personal_data, with ProgramFixture);

#[tokio::test]
async fn a_failed_start_does_not_print_the_password() {
    let Some(server) = postgres::server().await else { return };
    // A server that trusts everybody takes any password, but has no such database.
    let mut url: url::Url = server.url("usersync_absent").parse().unwrap();
    url.set_password(Some(PRIVATE)).unwrap();
    let elsewhere = "postgres://me@127.0.0.1:1/users?sslmode=disable&passwd=sentinel".to_owned();
    for url in [url.to_string(), elsewhere] {
        for format in ["text", "json"] {
            let home =
                ProgramFixture::on_sqlite().with("RUST_LOG", "trace").with("USERSYNC_LOG__FORMAT", format);
            let said = home.with("DATABASE_URL", url.clone()).run(&["serve"]).await;
            assert_eq!(said.code, Some(1), "{said:?}");
            assert!(said.stderr.contains("error: the service cannot start"), "{said:?}");
            assert!(!format!("{said:?}").contains(PRIVATE), "{said:?}");
        }
    }
}

/// The error of an application's trigger may contain what was written, with any code.
#[tokio::test]
async fn the_message_of_a_trigger_is_not_repeated() {
    let Some(home) = ProgramFixture::on_postgres().await else { return };
    let service = home.serve().await;
    let database = sea_orm::Database::connect(home.variable("DATABASE_URL")).await.unwrap();
    let client = home.client(&service).await;
    for (code, answer) in [
        ("UE001", "503 database_unavailable"),
        ("57P03", "503 database_unavailable"),
        ("P0001", "200 parked"),
    ] {
        let trigger = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN RAISE EXCEPTION 'not %', NEW.email USING ERRCODE = '{code}'; END $$;
             DROP TRIGGER IF EXISTS refuse ON users;
             CREATE TRIGGER refuse BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse()"
        );
        database.execute_unprepared(&trigger).await.unwrap();
        assert_eq!(client.deliver(CREATED).await, answer);
    }
    database.close().await.unwrap();
    let said = service.stop().await;
    assert!(["UE001", "57P03", "P0001"].iter().all(|code| said.stderr.contains(code)), "{said:?}");
    assert!(!said.stderr.contains("@example.com"), "{said:?}");
}
