//! What WorkOS's own SDK signs and accepts is what its guide says: HMAC-SHA256 over `{t}.{body}`, keyed with the
//! secret's own bytes.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use usersync::clock::Clock;

use crate::support::peers::WORKOS;

const SECRET: &str = "workos-test-secret";
/// In the published vector.
const MILLISECONDS: i64 = 1_716_883_200_000;
const BODY: &str = r#"{"id":"event_01TEST","event":"user.created","data":{"object":"user","id":"user_01TEST"},"created_at":"2023-07-18T02:07:19.911Z"}"#;
const SIGNATURE: &str =
    "t=1716883200000, v1=f10251c1fda3b4f90d9e6124f61fba2b1cf603c4ac7de2ce3609e2fa1697fd6e";

/// As the SDK writes JSON: no blank, and nothing escaped that need not be.
const BODIES: [&str; 3] =
    [BODY, "{}", r#"{"data":{"first_name":"Zoë","metadata":{"note":"<b>\n\"日本\" & 𝒳</b>"}}}"#];

fn sign(milliseconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{milliseconds}.{body}").as_bytes());
    let hex: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={milliseconds}, v1={}", hex.concat())
}

fn question(milliseconds: i64, body: &str) -> Value {
    json!({"secret": SECRET, "timestamp": milliseconds, "body": STANDARD.encode(body)})
}

#[test]
fn the_sdk_signs_as_the_guide_says() {
    let Some(mut sdk) = WORKOS.start() else { return };
    assert_eq!(sdk.ask(&question(MILLISECONDS, BODY)), json!({"signature": SIGNATURE}));
    for body in BODIES {
        assert_eq!(sdk.ask(&question(MILLISECONDS, body)), json!({"signature": sign(MILLISECONDS, body)}));
    }
}

#[test]
fn the_sdk_accepts_what_is_signed_as_the_guide_says() {
    let Some(mut sdk) = WORKOS.start() else { return };
    let now = Clock::system().now().as_micros() / 1_000;
    let mut check = |milliseconds, signature: String| {
        let mut asked = question(milliseconds, BODY);
        asked["signature"] = json!(signature);
        sdk.ask(&asked)
    };
    assert_eq!(check(now, sign(now, BODY)), json!({}));
    let refused = check(now, sign(now, "{}"));
    assert!(refused["refused"].as_str().unwrap().contains("does not match"), "{refused}");
    let old = now - 181_000;
    let refused = check(old, sign(old, BODY));
    assert!(refused["refused"].as_str().unwrap().contains("tolerance"), "{refused}");
}
