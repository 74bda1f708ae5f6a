//! Deliveries signed by WorkOS's own SDK, and whether the SDK accepts those that our tests sign.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use usersync::internals::clock::Clock;

use crate::support::app::{NOW, TestApp};
use crate::support::client::SignedRequest;
use crate::support::peers::WORKOS;
use crate::support::senders::{Sender, sender_to, with, with_every_provider};

/// The published vector.
const SECRET: &str = "workos-test-secret";
const MILLISECONDS: i64 = 1_716_883_200_000;
const BODY: &str = r#"{"id":"event_01TEST","event":"user.created","data":{"object":"user","id":"user_01TEST"},"created_at":"2023-07-18T02:07:19.911Z"}"#;
const SIGNATURE: &str =
    "t=1716883200000, v1=f10251c1fda3b4f90d9e6124f61fba2b1cf603c4ac7de2ce3609e2fa1697fd6e";

fn workos() -> Sender {
    sender_to("workos")
}

fn question(secret: &str, milliseconds: i64, body: &[u8]) -> Value {
    json!({"secret": secret, "timestamp": milliseconds, "body": STANDARD.encode(body)})
}

#[tokio::test]
async fn the_published_vector_is_what_the_sdk_signs() {
    let Some(mut sdk) = WORKOS.start() else { return };
    assert_eq!(
        sdk.ask(&question(SECRET, MILLISECONDS, BODY.as_bytes())).await,
        json!({"signature": SIGNATURE})
    );
}

#[tokio::test]
async fn the_sdk_accepts_what_our_own_sender_signs() {
    let Some(mut sdk) = WORKOS.start() else { return };
    let now = Clock::system().now().as_seconds();
    for (seconds, body, refused) in
        [(now, BODY, None), (now, "{}", Some("does not match")), (now - 181, BODY, Some("Timestamp outside"))]
    {
        let signed = workos().wire(SECRET, "", seconds, body).headers.remove(0).1;
        let mut asked = question(SECRET, seconds * 1_000, BODY.as_bytes());
        asked["signature"] = json!(signed);
        let said = sdk.ask(&asked).await["refused"].as_str().map(str::to_owned);
        assert_eq!(said.is_some(), refused.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().contains(refused.unwrap_or_default()));
    }
}

async fn what_the_sdk_signs_is_accepted(app: &TestApp) {
    let Some(mut sdk) = WORKOS.start() else { return };
    let sender = workos();
    let (created, updated, deleted) = (&*sender.created, &*sender.updated, &*sender.deleted);
    let name = "Zoë \"日本\" <𝒳>\n";
    for (secret, body, milliseconds, expected) in [
        ("workos-other-secret", created, 0, "400 invalid_signature"),
        (SECRET, created, -180_001, "400 stale_timestamp"),
        (SECRET, created, 180_001, "400 stale_timestamp"),
        (SECRET, created, -180_000, "200 applied"),
        ("workos rotated out", updated, 999, "200 applied"),
        (SECRET, updated, 180_000, "200 duplicate"),
        (SECRET, deleted, 0, "200 applied"),
    ] {
        let (body, milliseconds) = (with(body, "/data/first_name", json!(name)), NOW * 1_000 + milliseconds);
        let said = sdk.ask(&question(secret, milliseconds, body.as_bytes())).await;
        let signature = said["signature"].as_str().unwrap().to_owned();
        let headers = vec![("workos-signature", signature)];
        let wire = SignedRequest { path: "/webhooks/workos".to_owned(), headers, body: body.into() };
        assert_eq!(app.client.send(wire).await.brief(), expected, "{milliseconds}");
        for row in app.client.rows().await {
            assert_eq!(row["givenName"], name);
        }
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(what_the_sdk_signs_is_accepted, configured by with_every_provider);
