//! A changed token is either refused with a stable code, or it still has the same claims.

use proptest::prelude::{Strategy, prop_assert, prop_oneof, proptest};
use proptest::sample::select;

use super::tests::{claims, keys, oidc_rule, verdict};
use crate::auth::TokenError;
use crate::auth::testing::{base64url, mutated, p256};

/// A token with a change: in the string, or in its header or claims.
fn tokens() -> impl Strategy<Value = String> {
    let token = p256("k").token(&claims());
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let header = r#"{"alg":"ES256","typ":"JWT","kid":"k"}"#.to_owned();
    let (claimed, signature) = (parts[1].clone(), parts[2].clone());
    let (head, sign) = (parts[0].clone(), parts[2].clone());
    prop_oneof![
        mutated(token).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        mutated(header).prop_map(move |bytes| format!("{}.{claimed}.{signature}", base64url(bytes))),
        mutated(claims().to_string()).prop_map(move |bytes| format!("{head}.{}.{sign}", base64url(bytes))),
        (select(vec!["[", "{\"a\":", "\"", "9"]), 1..40_000_usize)
            .prop_map(|(part, times)| format!("{0}.{0}.{0}", base64url(part.repeat(times)))),
    ]
}

proptest! {
    #[test]
    fn a_changed_token_gets_a_stable_code(token in tokens()) {
        let signer = p256("k");
        let verdict = verdict(&token, &oidc_rule(), &keys(&[&signer]));
        let is_same = token.split('.').nth(1) == signer.token(&claims()).split('.').nth(1);
        let is_known = TokenError::CHECKS.contains(&verdict) || (verdict == "accepted" && is_same);
        prop_assert!(is_known, "{}", verdict);
    }
}
