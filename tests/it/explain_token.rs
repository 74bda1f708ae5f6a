//! `usersync explain token`: mistake misconfigurations, each is named correctly, and no secret is
//! shown.

use serde_json::{Value, json};
use usersync::internals::app;
use usersync::internals::auth::TokenError;
use usersync::internals::clock::Clock;
use usersync::internals::domain::Timestamp;

use crate::support::app::{NOW, SECRET};
use crate::support::command::{CommandDirectory, ProgramOutput};
use crate::support::provider::{Page, Provider, key_set};
use crate::support::signer::{Signer, base64url, p256, rsa};

/// A configuration, a token, and what their report must contain.
struct Mistake {
    configuration: String,
    token: String,
    /// The check that fails; empty if all pass.
    check: &'static str,
    /// What the remedy must name.
    says: &'static str,
}

fn mistake(rule: &str, token: impl Into<String>, check: &'static str, says: &'static str) -> Mistake {
    let configuration = format!("[[sources]]\nname = 'app'\nprovider = 'clerk'\n{rule}");
    Mistake { configuration, token: token.into(), check, says }
}

fn oidc(domain: &str, more: &str) -> String {
    format!("[[sources.tokens]]\ntype = 'oidc'\ndomain = '{domain}'\n{more}\n")
}

/// With the keys in the configuration.
fn custom(signers: &[&Signer], more: &str) -> String {
    let keys = base64url(key_set(signers));
    let keys = keys.replace('-', "+").replace('_', "/");
    format!(
        "[[sources.tokens]]\ntype = 'customJwt'\nissuer = '{ISSUER}'\nalgorithm = 'RS256'\n\
         jwks = 'data:application/json;base64,{keys}'\n{more}\n"
    )
}

const ISSUER: &str = "https://id.example.com";
const CONVEX: &str = "applicationID = 'convex'";

/// The claims of a valid token except for these; null removes a claim.
fn claims(differing: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "sub": "user_2tAda", "aud": "convex", "azp": "https://app.example.com",
        "iat": NOW, "exp": NOW + 60, "email": "ada@example.com", "name": "Ada Lovelace",
    });
    for (name, value) in differing.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn token(differing: &Value) -> String {
    rsa("key_1").token(&claims(differing))
}

/// Plants all of them, one after the other.
async fn explain(all: Vec<Mistake>) {
    for Mistake { configuration, token, check, says } in all {
        let desk = CommandDirectory::with(&configuration);
        let said = desk.run(&["explain", "token", "-", "--at", &NOW.to_string()], &token).await;
        let case = format!("{configuration}\n{said:?}");
        assert_eq!(said.code, Some(i32::from(!check.is_empty())), "{case}");
        assert_eq!(
            said.verdicts("FAILED"),
            Vec::from_iter(Some(check).filter(|it| !it.is_empty())),
            "{case}"
        );
        assert!(said.stdout.contains(says), "{says:?} is not in {case}");
        let position = TokenError::CHECKS.iter().position(|one| *one == check);
        let (before, rest) = TokenError::CHECKS.split_at(position.unwrap_or(TokenError::CHECKS.len()));
        assert_eq!(said.verdicts("passed"), before, "{case}");
        assert_eq!(said.verdicts("not reached"), rest.get(1..).unwrap_or_default(), "{case}");
        assert_eq!(decided(&desk, token.trim()).await, check, "the service decides otherwise: {case}");
        assert_no_secrets(&said, &token);
    }
}

/// The check that the service itself names; empty if it accepts.
async fn decided(desk: &CommandDirectory, token: &str) -> &'static str {
    let clock = Clock::fixed(Timestamp::from_seconds(NOW));
    let authenticator = app::authenticator(&desk.config(), clock).unwrap();
    authenticator.authenticate(token).await.map_or_else(|error| error.check(), |_| "")
}

fn assert_no_secrets(said: &ProgramOutput, token: &str) {
    let everything = said.everything();
    // Of a service key or a secret, too, a part is too much.
    let parts = token.split('.').filter(|part| part.len() > 16).map(|part| &part[8..]);
    for private in parts.chain(["ada@example.com", "Lovelace", "user_2tAda"]) {
        assert!(!everything.contains(private), "{private:?} is in {everything}");
    }
}

#[tokio::test]
async fn what_is_no_token() {
    let rule = oidc(ISSUER, CONVEX);
    let good = token(&json!({}));
    let service_key = format!("usk_{}", "0123456789abcdef".repeat(4));
    let encrypted = format!("{good}.{}.{}", base64url("tag"), base64url("text"));
    explain(vec![
        mistake(&rule, "undefined", "form", "before it had a token"),
        mistake(&rule, "", "form", "before it had a token"),
        mistake(&rule, format!("Bearer {good}"), "form", "leave out the word Bearer"),
        mistake(&rule, format!("\"{good}\""), "form", "leave the quotes out"),
        mistake(&rule, service_key, "form", "this is a service key"),
        mistake(&rule, SECRET, "form", "this is a webhook secret"),
        mistake(&rule, "sk_test_0123456789abcdefghij", "form", "this is an API key"),
        mistake(&rule, encrypted, "form", "request an API's `audience`"),
        mistake(&rule, "4eC39HqLyjWDarjtT1zdp7dc", "form", "an opaque access token"),
        mistake(&rule, good.split_at(100).0, "form", "truncated"),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_issuer() {
    let development = "https://verb-noun-00.clerk.accounts.dev";
    let from = |issuer: &str| token(&json!({ "iss": issuer }));
    let rule = oidc(ISSUER, CONVEX);
    explain(vec![
        mistake("webhook_secrets = ['c2VjcmV0']", token(&json!({})), "issuer", "no source has a token rule"),
        mistake(&rule, from(development), "issuer", "development instance of Clerk, but no rule is for one"),
        mistake(
            &oidc(development, CONVEX),
            token(&json!({})),
            "issuer",
            "set domain in sources[0].tokens[0] to \"https://id.example.com\"",
        ),
        mistake(&rule, from("http://id.example.com"), "issuer", "differs in a leading http:// or https://"),
        mistake(&rule, from("https://ID.example.com"), "issuer", "differs in the case of letters"),
        mistake(&rule, from("https://id.example.com//"), "issuer", "differs in a trailing slash"),
        mistake(&rule, from("https://id.example.com/realms/one"), "issuer", "the path is part of the issuer"),
        mistake(
            &rule,
            from("https://other.example.com"),
            "issuer",
            "token of another environment or provider",
        ),
        mistake(&rule, token(&json!({"iss": null})), "issuer", "send the token that the provider issued"),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_audience() {
    let of = |audience: Value| token(&json!({ "aud": audience }));
    let at = |provider: &str| {
        let rule = oidc(ISSUER, "applicationID = 'abc'");
        format!("[[sources]]\nname = '{provider}'\nprovider = '{provider}'\n{rule}")
    };
    let at = |provider: &str, token: String, says: &'static str| Mistake {
        configuration: at(provider),
        token,
        check: "audience",
        says,
    };
    explain(vec![
        mistake(&oidc(ISSUER, CONVEX), of(Value::Null), "audience", "getToken({ template: \"convex\" })"),
        at(
            "auth0",
            of(json!("https://api")),
            "`aud` is \"https://api\", the rule for source auth0 requires \"abc\": set applicationID in",
        ),
        at(
            "auth0",
            of(json!(["https://api", "https://x/userinfo"])),
            "or configure the provider to issue the audience \"abc\"",
        ),
        at("auth0", of(Value::Null), "configure the provider to issue the audience \"abc\""),
        at("workos", of(Value::Null), "leave applicationID out"),
        mistake(
            &oidc(ISSUER, "applicationID = 'https://api'"),
            of(json!("https://api/")),
            "audience",
            "in a trailing slash: set applicationID in sources[0].tokens[0] to \"https://api/\"",
        ),
        mistake(
            &oidc(ISSUER, "applicationID = 'Convex'"),
            of(json!("convex")),
            "audience",
            "the case of letters",
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_header_or_key() {
    let signer = rsa("key_1");
    let with = |header: Value| signer.token_with(&header, &claims(&json!({})));
    let (rule, other) = (custom(&[&signer], CONVEX), p256("key_2"));
    let good = token(&json!({}));
    let (message, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", base64url([7; 256]));
    explain(vec![
        mistake(
            &rule,
            with(json!({"alg": "HS256", "kid": "key_1"})),
            "algorithm",
            "signs with a shared secret",
        ),
        mistake(&rule, with(json!({"alg": "none"})), "algorithm", "it is not signed"),
        mistake(&rule, with(json!({"alg": "PS256"})), "algorithm", "choose RS256, ES256 or EdDSA"),
        mistake(
            &rule,
            other.token(&claims(&json!({}))),
            "algorithm",
            "set algorithm in sources[0].tokens[0] to \"ES256\"",
        ),
        mistake(
            &rule,
            with(json!({"alg": "RS256", "kid": "key_1", "crit": ["b64"]})),
            "critical_extensions",
            "leave `crit` out",
        ),
        mistake(
            &rule,
            with(json!({"alg": "RS256"})),
            "key_id",
            "type = \"oidc\", which does not require one",
        ),
        mistake(&rule, rsa("key_9").token(&claims(&json!({}))), "key", "other keys than the configuration"),
        mistake(&custom(&[], CONVEX), good.clone(), "key", "publishes no usable key"),
        mistake(&rule, forged, "signature", "changed or truncated in transit"),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_time_or_party() {
    let rule = custom(&[&rsa("key_1")], CONVEX);
    let parties = custom(&[&rsa("key_1")], "authorizedParties = ['https://app.example.com/']");
    explain(vec![
        mistake(&rule, token(&json!({"exp": NOW - 600})), "expiry", "it expired 10m ago"),
        mistake(&rule, token(&json!({"exp": (NOW + 60) * 1000})), "expiry", "is in milliseconds"),
        mistake(&rule, token(&json!({"exp": "tomorrow"})), "expiry", "as a number of seconds since 1970"),
        mistake(&rule, token(&json!({"exp": null})), "expiry", "configure the issuer to set `exp`"),
        mistake(
            &rule,
            token(&json!({"nbf": NOW + 600})),
            "not_before",
            "clock is at least 10m behind the issuer's",
        ),
        mistake(
            &rule,
            token(&json!({"iat": NOW + 600, "exp": NOW + 900})),
            "issued_at",
            "clock is at least 10m behind the issuer's",
        ),
        mistake(
            &parties,
            token(&json!({})),
            "authorized_party",
            "in a trailing slash: add \"https://app.example.com\" to authorizedParties",
        ),
        mistake(
            &parties,
            token(&json!({"azp": "https://evil.example"})),
            "authorized_party",
            "one of your front ends",
        ),
        mistake(
            &parties,
            token(&json!({"azp": null})),
            "authorized_party",
            "that was not requested by a front end",
        ),
        mistake(&rule, token(&json!({"sub": null})), "subject", "it identifies no user"),
    ])
    .await;
}

#[tokio::test]
async fn a_provider_that_gives_no_keys() {
    let provider = Provider::start();
    let issuer = provider.url("");
    let good = token(&json!({ "iss": issuer }));
    let case = |check, says| vec![mistake(&oidc(&issuer, CONVEX), good.clone(), check, says)];

    explain(case("keys", "as `jwks_uri`: open it, and correct it at the provider")).await;
    provider.page("/jwks", Page::ok("<html>"));
    explain(case("keys", "as `jwks_uri`: open it, and correct it at the provider")).await;
    provider.publish(&[&rsa("key_2")]);
    explain(case("key", "older than the last rotation of keys")).await;
    provider.publish(&[&p256("key_1")]);
    explain(case("key", "it is from another environment")).await;
    provider.discovery(&json!({"issuer": "https://other.example.com", "jwks_uri": provider.url("/jwks")}));
    explain(case("keys", "tokens will have the issuer \"https://other.example.com\"")).await;
    provider.discovery(&json!({ "issuer": issuer }));
    explain(case("keys", "use a customJwt rule")).await;

    let nobody = "http://127.0.0.1:9";
    let unreachable = token(&json!({ "iss": nobody }));
    explain(vec![mistake(
        &oidc(nobody, CONVEX),
        unreachable,
        "keys",
        "this machine must be able to reach http://127.0.0.1:9",
    )])
    .await;
}

#[tokio::test]
async fn a_provider_with_one_address_outside_and_another_inside_needs_a_custom_jwt_rule_with_both() {
    let provider = Provider::start();
    let (inside, outside) = (provider.url("/realms/app"), "https://auth.example.com/realms/app");
    let document = json!({"issuer": outside, "jwks_uri": format!("{outside}/protocol/openid-connect/certs")});
    provider.page("/realms/app/.well-known/openid-configuration", Page::ok(document.to_string()));
    provider.page("/realms/app/protocol/openid-connect/certs", Page::ok(key_set(&[&rsa("key_1")])));
    let advice = format!(
        "use a customJwt rule with issuer = {outside:?} and jwks = {:?}",
        format!("{inside}/protocol/openid-connect/certs")
    );
    let from = |issuer: &str| token(&json!({ "iss": issuer }));
    explain(vec![
        mistake(&oidc(&inside, CONVEX), from(&inside), "keys", advice.leak()),
        mistake(
            &oidc(&inside, CONVEX),
            from(outside),
            "issuer",
            "use a customJwt rule with issuer = \"https://auth.example.com/realms/app\"",
        ),
        mistake(
            &oidc("http://127.0.0.1:9/realms/app", CONVEX),
            from("http://127.0.0.1:9/realms/app"),
            "keys",
            "use a customJwt rule with both",
        ),
        // The advice is good: such a rule accepts the token.
        mistake(
            &format!(
                "[[sources.tokens]]\ntype = 'customJwt'\nissuer = '{outside}'\nalgorithm = 'RS256'\n\
                 jwks = '{inside}/protocol/openid-connect/certs'\n{CONVEX}\n"
            ),
            from(outside),
            "",
            "The token is valid",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_token_without_its_time_or_the_name_of_its_key() {
    let (provider, one, other) = (Provider::start(), p256("one"), p256("other"));
    provider.publish(&[&one, &other]);
    let (issuer, header) = (provider.url(""), json!({"alg": "ES256"}));
    let nameless = one.token_with(&header, &claims(&json!({ "iss": issuer })));
    let timeless = one.token(&claims(&json!({"iss": issuer, "iat": null})));
    let rule = oidc(&issuer, CONVEX);
    explain(vec![
        mistake(&rule, nameless, "key", "configure the issuer to send the key id"),
        mistake(&rule, timeless, "issued_at", "type = \"customJwt\", which does not require it"),
    ])
    .await;
}

#[tokio::test]
async fn valid_and_expired_tokens_need_no_change_of_the_configuration() {
    let provider = Provider::start();
    provider.publish(&[&rsa("key_1")]);
    let with_slash = token(&json!({ "iss": provider.url("/") }));
    let rule = custom(&[&rsa("key_1")], "");
    explain(vec![
        mistake(&oidc(&provider.url(""), CONVEX), format!("{with_slash}\n"), "", "The token is valid"),
        mistake(&rule, token(&json!({"iss": "id.example.com", "iat": null, "aud": null})), "", "not checked"),
    ])
    .await;
}

#[tokio::test]
async fn wrong_usage_and_a_wrong_token_have_different_exit_codes() {
    let desk = CommandDirectory::with("[[sources]]\nname = 'app'\n");
    assert_eq!(desk.run(&["explain", "token", "x"], "").await.code, Some(2));
    let desk = CommandDirectory::with("");
    for arguments in [&["explain", "token"][..], &["explain", "token", "x", "--at", "tomorrow"]] {
        assert_eq!(desk.run(arguments, "").await.code, Some(2), "{arguments:?}");
    }
}
