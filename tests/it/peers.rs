//! Deliveries signed by other people's packages. A test that signs and checks with our own code proves little.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use usersync::internals::clock::Clock;
use usersync::internals::domain::Timestamp;
use usersync::internals::signature::{self, Scheme as _, StandardWebhooks};

use crate::support::app::{NOW, OLD_SECRET, SECRET, TestApp};
use crate::support::binary::ProgramFixture;
use crate::support::client::{SignedRequest, fixture};
use crate::support::peers::{
    DOCUMENTED_RECEIVER, EVENTS_IN_NODE, EVENTS_IN_PYTHON, Peer, STANDARD_WEBHOOKS, SVIX,
};
use crate::support::receiver::{Receiver, Reply};
use crate::support::senders::{sender_to, with_every_provider};

const PAYLOADS: [(&str, &str); 6] = [
    (fixture::CREATED, "200 applied"),
    (fixture::UPDATED, "200 applied"),
    (fixture::CREATED_GOOGLE, "200 applied"),
    (fixture::CREATED_PHONE_ONLY, "200 applied"),
    (fixture::DELETED, "200 applied"),
    (fixture::DELETED_EXTERNAL_ID, "200 applied"),
];
/// An odd step, so that every kind of byte is sampled over HTTP.
const SAMPLE: usize = 131;

/// The headers' names: id, timestamp, signature.
type Family = [&'static str; 3];
const SVIX_NAMES: Family = ["svix-id", "svix-timestamp", "svix-signature"];
const STANDARD_NAMES: Family = ["webhook-id", "webhook-timestamp", "webhook-signature"];

async fn signed_by_svix(secret: &str) -> Option<Vec<SignedRequest>> {
    signed_by(&SVIX, SVIX_NAMES, secret).await
}

/// Every payload, signed with a secret by a package; `None`, with a message, where it is not installed.
async fn signed_by(
    peer: &Peer,
    [id_name, timestamp_name, signature_name]: Family,
    secret: &str,
) -> Option<Vec<SignedRequest>> {
    let mut peer = peer.start()?;
    let mut wires = Vec::new();
    for (number, (body, _)) in PAYLOADS.iter().enumerate() {
        let asked =
            json!({"secret": secret, "id": id(number), "timestamp": NOW, "body": STANDARD.encode(body)});
        let signature = peer.ask(&asked).await["signature"].as_str().unwrap().to_owned();
        let headers =
            vec![(id_name, id(number)), (timestamp_name, NOW.to_string()), (signature_name, signature)];
        wires.push(SignedRequest { path: "/webhooks/clerk".to_owned(), headers, body: (*body).into() });
    }
    Some(wires)
}

fn id(number: usize) -> String {
    format!("msg_2tSvix000000000000000000000{number}")
}

fn copy(wire: &SignedRequest) -> SignedRequest {
    SignedRequest { path: wire.path.clone(), headers: wire.headers.clone(), body: wire.body.clone() }
}

/// Whether the signature matches, checked in process. A malformed header does not match.
fn fits(scheme: &StandardWebhooks, headers: &[(&'static str, Vec<u8>)], body: &[u8]) -> bool {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let Ok(value) = HeaderValue::from_bytes(value) else { return false };
        map.insert(*name, value);
    }
    scheme.check(&map, body, Timestamp::from_seconds(NOW)).is_ok()
}

fn bytes_of(headers: &[(&'static str, String)]) -> Vec<(&'static str, Vec<u8>)> {
    headers.iter().map(|(name, value)| (*name, value.clone().into_bytes())).collect()
}

async fn what_svix_signs_is_accepted(app: &TestApp) {
    // The source has both secrets, because one is being rotated out.
    let Some(wires) = signed_by_svix(SECRET).await else { return };
    let old = signed_by_svix(OLD_SECRET).await.unwrap();
    for (wire, (_, expected)) in wires.into_iter().zip(PAYLOADS) {
        assert_eq!(app.client.send(wire).await.brief(), expected);
    }
    for wire in old {
        assert_eq!(app.client.send(wire).await.brief(), "200 duplicate");
    }
}

on_both_databases!(what_svix_signs_is_accepted);

async fn what_the_authors_of_standard_webhooks_sign_is_accepted(app: &TestApp) {
    let Some(wires) = signed_by(&STANDARD_WEBHOOKS, STANDARD_NAMES, SECRET).await else { return };
    for (wire, (_, expected)) in wires.into_iter().zip(PAYLOADS) {
        assert_eq!(app.client.send(wire).await.brief(), expected);
    }
}

on_both_databases!(what_the_authors_of_standard_webhooks_sign_is_accepted);

async fn a_mapped_source_accepts_what_they_sign(app: &TestApp) {
    let Some(mut peer) = STANDARD_WEBHOOKS.start() else { return };
    for sender in ["stytch", "joined"].map(sender_to) {
        let body = sender.created.as_str();
        let asked = json!({"secret": SECRET, "id": id(0), "timestamp": NOW, "body": STANDARD.encode(body)});
        let signature = peer.ask(&asked).await["signature"].as_str().unwrap().to_owned();
        let values = [id(0), NOW.to_string(), signature];
        let headers = STANDARD_NAMES.into_iter().zip(values).collect();
        let path = format!("/webhooks/{}", sender.source);
        let answer = app.client.send(SignedRequest { path, headers, body: body.into() }).await.brief();
        assert_eq!(answer, "200 applied", "{}", sender.source);
    }
}

on_both_databases!(a_mapped_source_accepts_what_they_sign, configured by with_every_provider);

#[tokio::test]
async fn what_we_sign_is_accepted_by_the_authors_of_standard_webhooks() {
    let Some(mut peer) = STANDARD_WEBHOOKS.start() else { return };
    let now = Clock::system().now();
    for (number, (body, _)) in PAYLOADS.iter().enumerate() {
        let signature = signature::sign(SECRET, &id(number), now, body.as_bytes()).unwrap();
        let mut asked = json!({
            "secret": SECRET, "id": id(number), "timestamp": now.as_seconds(), "body": STANDARD.encode(body),
            "signature": signature,
        });
        assert_eq!(peer.ask(&asked).await, json!({}));
        asked["secret"] = json!(OLD_SECRET);
        assert_eq!(peer.ask(&asked).await, json!({"refused": "No matching signature found"}));
    }
}

async fn one_changed_byte_is_refused_and_leaves_nothing(app: &TestApp) {
    let Some(wires) = signed_by_svix(SECRET).await else { return };
    for wire in &wires {
        for position in (0..wire.body.len()).step_by(SAMPLE) {
            let mut changed = copy(wire);
            changed.body[position] ^= 1;
            let answer = app.client.send(changed).await.brief();
            assert_eq!(answer, "400 invalid_signature", "byte {position}");
        }
    }
    for (header, (name, value)) in wires[0].headers.iter().enumerate() {
        for position in 0..value.len() {
            let mut changed = copy(&wires[0]);
            let other = if &value[position..=position] == "1" { "2" } else { "1" };
            changed.headers[header].1.replace_range(position..=position, other);
            let answer = app.client.send(changed).await.brief();
            let refused = answer == "400 invalid_signature" || answer == "400 stale_timestamp";
            assert!(refused, "{name}, byte {position}: {answer}");
        }
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(one_changed_byte_is_refused_and_leaves_nothing);

#[tokio::test]
async fn no_byte_of_a_body_can_be_changed_added_or_removed() {
    let Some(wires) = signed_by_svix(SECRET).await else { return };
    let scheme = StandardWebhooks::new([SECRET, OLD_SECRET]).unwrap();
    for wire in &wires {
        let headers = bytes_of(&wire.headers);
        assert!(fits(&scheme, &headers, &wire.body));
        for position in 0..wire.body.len() {
            for bit in [1, 0x20, 0x80] {
                let mut body = wire.body.clone();
                body[position] ^= bit;
                assert!(!fits(&scheme, &headers, &body), "byte {position}, bit {bit}");
            }
            let mut shorter = wire.body.clone();
            shorter.remove(position);
            assert!(!fits(&scheme, &headers, &shorter), "without byte {position}");
            let mut longer = wire.body.clone();
            longer.insert(position, b' ');
            assert!(!fits(&scheme, &headers, &longer), "a blank before byte {position}");
        }
    }
}

#[tokio::test]
async fn no_byte_of_a_header_can_be_changed() {
    let Some(wires) = signed_by_svix(SECRET).await else { return };
    let scheme = StandardWebhooks::new([SECRET]).unwrap();
    let SignedRequest { headers, body, .. } = &wires[0];
    let headers = bytes_of(headers);
    for (header, (name, value)) in headers.iter().enumerate() {
        for (position, right) in value.iter().enumerate() {
            for other in (0..=u8::MAX).filter(|byte| byte != right) {
                let mut changed = headers.clone();
                changed[header].1[position] = other;
                assert!(!fits(&scheme, &changed, body), "{name}, byte {position} as {other:#x}");
            }
        }
    }
}

#[tokio::test]
async fn the_messages_to_endpoints_are_accepted_by_the_packages_that_apps_use() {
    let peers = [&EVENTS_IN_NODE, &EVENTS_IN_PYTHON].map(Peer::start);
    let receiver = Receiver::start(Reply::Status(200, "")).await;
    // The packages read the system's clock.
    let home = ProgramFixture::on_sqlite();
    home.write(
        "usersync.toml",
        &format!(
            "[[endpoints]]\nname = \"app\"\nurl = \"{}\"\nsecrets = [\"{OLD_SECRET}\", \"{SECRET}\"]\n",
            receiver.url()
        ),
    );
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(fixture::CREATED).await, "200 applied");
    let event = receiver.count(1).await.remove(0);
    let headers = json!({
        "webhook-id": event.id, "webhook-timestamp": event.timestamp, "webhook-signature": event.signature,
    });
    for mut peer in peers.into_iter().flatten() {
        for secret in [SECRET, OLD_SECRET] {
            let asked = json!({"secret": secret, "headers": headers, "body": event.raw});
            assert_eq!(peer.ask(&asked).await, json!({"standardwebhooks": "ok", "svix": "ok"}));
        }
        let changed = json!({"secret": SECRET, "headers": headers, "body": format!("{} ", event.raw)});
        let answer = peer.ask(&changed).await;
        assert!(answer["standardwebhooks"] != "ok" && answer["svix"] != "ok", "{answer}");
    }
    service.stop().await;
}

#[tokio::test]
async fn the_documented_receiver_applies_each_event_once_and_refuses_forged_ones() {
    let Some(mut documented) = DOCUMENTED_RECEIVER.start() else { return };
    assert_eq!(documented.ask(&json!({ "secret": SECRET })).await, json!({"ready": true}));
    let receiver = Receiver::start(Reply::Status(200, "")).await;
    // The package reads the system's clock.
    let home = ProgramFixture::on_sqlite();
    home.write(
        "usersync.toml",
        &format!("[[endpoints]]\nname = \"app\"\nurl = \"{}\"\nsecrets = [\"{SECRET}\"]\n", receiver.url()),
    );
    let service = home.serve().await;
    let client = home.client(&service).await;
    for (body, count) in [(fixture::CREATED, 1), (fixture::UPDATED, 2), (fixture::DELETED, 3)] {
        assert_eq!(client.deliver(body).await, "200 applied");
        receiver.count(count).await;
    }
    service.stop().await;
    let events = receiver.received();
    let id = events[2].body["data"]["id"].clone();
    let (saves, deletes) = (json!([["save", fixture::ADA]]), json!([["delete", id]]));
    for (number, calls) in
        [(0, &saves), (0, &json!([])), (1, &saves), (0, &json!([])), (2, &deletes), (1, &json!([]))]
    {
        let event = &events[number];
        let headers = json!({
            "webhook-id": event.id, "webhook-timestamp": event.timestamp, "webhook-signature": event.signature,
        });
        let answer = documented.ask(&json!({"headers": headers, "body": event.raw})).await;
        assert_eq!(answer, json!({"status": 204, "calls": calls}), "event {number}");
        let forged = format!("{} ", event.raw);
        let answer = documented.ask(&json!({"headers": headers, "body": forged})).await;
        assert_eq!(answer, json!({"status": 400, "calls": []}), "event {number}");
    }
}
