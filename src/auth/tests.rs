use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::testing::{NOW, Page, Provider, Signer, custom_jwt_with, key_set, oidc, p256, rsa, settings};
use super::{Authenticated, Authenticator, SetupError, TokenError};
use crate::clock::Clock;
use crate::config::{JwksLocation, TokenRule, Tokens};
use crate::domain::Timestamp;
use crate::jobs::Jobs;
use crate::telemetry::Metrics;

/// A provider, an authenticator with one rule for it, and the time.
struct Scene {
    provider: Provider,
    authenticator: Authenticator,
    clock: Clock,
    metrics: Metrics,
    jobs: Jobs,
}

impl Scene {
    fn new(rule: fn(&Provider) -> TokenRule, settings: Tokens) -> Self {
        let provider = Provider::start();
        let clock = Clock::fixed(Timestamp::from_seconds(NOW));
        let rules = vec![("a".to_owned(), rule(&provider))];
        let (metrics, jobs) = (Metrics::default(), Jobs::default());
        let authenticator =
            Authenticator::new(rules, settings, clock.clone(), metrics.clone(), jobs.clone()).unwrap();
        Self { provider, authenticator, clock, metrics, jobs }
    }

    fn oidc() -> Self {
        Self::new(|provider| oidc(&provider.url(""), None), settings())
    }

    fn custom_jwt() -> Self {
        Self::new(custom_jwt_rule, settings())
    }

    fn token(&self, signer: &Signer) -> String {
        signer.token(&json!({"iss": self.provider.url(""), "sub": "user_1", "iat": NOW, "exp": NOW + 86_400}))
    }

    /// `accepted`, or the check that failed.
    async fn verdict(&self, signer: &Signer) -> &'static str {
        let decided = self.authenticator.authenticate(&self.token(signer)).await;
        decided.map_or_else(|error| error.check(), |_| "accepted")
    }

    /// How many fetches are counted, `ok` or `failed`.
    fn fetches(&self, result: &str) -> usize {
        fetches(&self.metrics, result)
    }

    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn fetches(metrics: &Metrics, result: &str) -> usize {
    let page = metrics.encode();
    let name = format!("usersync_key_fetches{{result=\"{result}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

fn custom_jwt_rule(provider: &Provider) -> TokenRule {
    let jwks = JwksLocation::Url(provider.url("/jwks").parse().unwrap());
    custom_jwt_with(&provider.url(""), None, jwks)
}

#[actix_web::test]
async fn a_new_key_is_found_at_once_and_the_old_one_is_then_refused() {
    let (scene, old, new) = (Scene::oidc(), p256("old"), p256("new"));
    scene.provider.publish(&[&old]);
    assert_eq!(scene.verdict(&old).await, "accepted");
    assert_eq!(scene.verdict(&old).await, "accepted");
    assert_eq!(scene.provider.key_requests(), 1);

    scene.provider.publish(&[&new]);
    assert_eq!(scene.verdict(&new).await, "accepted");
    assert_eq!(scene.verdict(&old).await, "key");
    assert_eq!(scene.provider.key_requests(), 2);
    assert_eq!(scene.fetches("ok"), 2);
}

#[actix_web::test]
async fn an_expired_token_is_removed_from_the_cache() {
    let scene = Scene::custom_jwt();
    let signer = rsa("one");
    scene.provider.publish(&[&signer]);
    assert_eq!(scene.verdict(&signer).await, "accepted");
    let cache = scene.authenticator.cache();
    let kept_at = |seconds| {
        cache.remove_expired(Timestamp::from_seconds(NOW + seconds), settings().leeway);
        cache.len()
    };
    assert_eq!([kept_at(86_404), kept_at(86_405)], [1, 0]);
}

#[actix_web::test]
async fn a_key_that_left_is_refused_after_the_ttl_at_the_latest() {
    let (scene, old, new) = (Scene::oidc(), p256("old"), p256("new"));
    scene.provider.publish(&[&old, &new]);
    assert_eq!(scene.verdict(&old).await, "accepted");
    scene.provider.publish(&[&new]);
    scene.later(479);
    assert_eq!(scene.verdict(&old).await, "accepted");
    scene.later(121);
    assert_eq!(scene.verdict(&old).await, "key");
    assert_eq!(scene.verdict(&new).await, "accepted");
}

#[actix_web::test]
async fn many_unknown_kids_cause_one_fetch_per_cool_down() {
    let (scene, known) = (Scene::oidc(), p256("known"));
    scene.provider.publish(&[&known]);
    assert_eq!(scene.verdict(&known).await, "accepted");

    let strangers: Vec<Signer> = (0..50).map(|number| p256(&format!("stranger {number}"))).collect();
    for fetches in 2..4 {
        let verdicts = join_all(strangers.iter().map(|stranger| scene.verdict(stranger))).await;
        assert!(verdicts.iter().all(|verdict| *verdict == "key"));
        scene.later(29);
        assert_eq!(scene.verdict(&strangers[0]).await, "key");
        assert_eq!(scene.provider.key_requests(), fetches);
        scene.later(1);
    }
}

#[actix_web::test]
async fn a_token_refused_by_its_header_causes_no_fetch() {
    let (scene, signer) = (Scene::custom_jwt(), p256("k"));
    assert_eq!(scene.verdict(&signer).await, "algorithm");
    assert_eq!(scene.provider.key_requests(), 0);
}

#[actix_web::test]
async fn a_provider_that_is_down_keeps_its_last_good_keys() {
    let (scene, old, new) = (Scene::oidc(), p256("old"), p256("new"));
    scene.provider.publish(&[&old]);
    assert_eq!(scene.verdict(&old).await, "accepted");

    scene.provider.page("/jwks", Page::status(500));
    scene.later(3_600);
    for _ in 0..3 {
        assert_eq!(scene.verdict(&old).await, "accepted");
    }
    assert_eq!((scene.provider.key_requests(), scene.fetches("failed")), (2, 1));

    scene.provider.publish(&[&new]);
    scene.later(60);
    assert_eq!(scene.verdict(&old).await, "key");
    assert_eq!(scene.verdict(&new).await, "accepted");
}

#[actix_web::test]
async fn without_any_keys_the_check_keys_fails_and_retries_are_spaced() {
    let (scene, signer) = (Scene::oidc(), p256("k"));
    scene.provider.page("/jwks", Page::status(503));
    for _ in 0..3 {
        let refused = scene.authenticator.authenticate(&scene.token(&signer)).await.unwrap_err();
        assert_eq!(refused.check(), "keys");
        assert!(refused.to_string().contains("503"), "{refused}");
    }
    assert_eq!(scene.provider.key_requests(), 1);

    scene.provider.publish(&[&signer]);
    scene.later(1);
    assert_eq!(scene.verdict(&signer).await, "accepted");
}

#[actix_web::test]
async fn an_empty_key_set_refuses_the_token() {
    let (scene, signer) = (Scene::oidc(), p256("k"));
    scene.provider.publish(&[]);
    let refused = scene.authenticator.authenticate(&scene.token(&signer)).await.unwrap_err();
    assert_eq!(refused.check(), "key");
}

#[actix_web::test]
async fn requests_share_one_wait_for_a_slow_provider_until_the_timeout() {
    let impatient = Tokens { fetch_timeout: Duration::from_millis(100), ..settings() };
    let (scene, signer) = (Scene::new(custom_jwt_rule, impatient), rsa("k"));
    scene.provider.page("/jwks", Page::ok(key_set(&[&signer])).after(Duration::from_mins(1)));
    let all = join_all((0..20).map(|_| scene.verdict(&signer)));
    let verdicts = tokio::time::timeout(Duration::from_secs(5), all).await.unwrap();
    assert!(verdicts.iter().all(|verdict| *verdict == "keys"));
    assert_eq!(scene.provider.key_requests(), 1);
}

#[actix_web::test]
async fn a_request_that_is_given_up_does_not_stop_the_fetch() {
    let (scene, signer) = (Scene::custom_jwt(), rsa("k"));
    scene.provider.page("/jwks", Page::ok(key_set(&[&signer])).after(Duration::from_millis(200)));
    let given_up = tokio::time::timeout(Duration::from_millis(20), scene.verdict(&signer)).await;
    assert!(given_up.is_err());
    assert_eq!(scene.verdict(&signer).await, "accepted");
    assert_eq!(scene.provider.key_requests(), 1);
}

#[actix_web::test]
async fn what_a_provider_may_answer() {
    let signer = rsa("k");
    let good = || Page::ok(key_set(&[&signer]));
    for (page, expected) in [
        (good(), "accepted"),
        (Page::redirect("/1"), "accepted"),
        (Page::redirect("/0"), "redirect"),
        (Page::redirect("http://a.example/jwks"), "http://a.example is neither https"),
        (Page::status(404), "404"),
        (Page::ok(""), "not JSON"),
        (Page::ok("<html>"), "not JSON"),
        (Page::ok("{}"), "not a key set"),
        (Page::ok(" ".repeat(600 * 1024)), "larger than"),
        (Page::gzip(&key_set(&[&signer])), "accepted"),
        (Page::gzip(&" ".repeat(64 << 20)), "larger than"),
        (good().with("content-encoding", "gzip"), "cannot be decoded"),
        (good().with("content-encoding", "br"), "cannot be decoded: br"),
    ] {
        let scene = Scene::custom_jwt();
        for hop in 0..3 {
            scene.provider.page(&format!("/{hop}"), Page::redirect(format!("/{}", hop + 1)));
        }
        scene.provider.page("/3", good());
        scene.provider.page("/jwks", page);
        match scene.authenticator.authenticate(&scene.token(&signer)).await {
            Ok(_) => assert_eq!(expected, "accepted"),
            Err(TokenError::KeysUnavailable { why }) => assert!(why.to_string().contains(expected), "{why}"),
            Err(other) => panic!("{expected}: {other}"),
        }
    }
}

#[actix_web::test]
async fn what_a_discovery_document_may_say() {
    let signer = p256("k");
    for (issuer, jwks_uri, expected) in [
        ("", "/jwks", "accepted"),
        ("/", "/jwks", "accepted"),
        (".evil.example", "/jwks", "another issuer"),
        ("/tenant", "/jwks", "another issuer"),
        ("", "", "404"),
    ] {
        let scene = Scene::oidc();
        scene.provider.publish(&[&signer]);
        let (issuer, jwks_uri) = (scene.provider.url(issuer), scene.provider.url(jwks_uri));
        scene.provider.discovery(&json!({"issuer": issuer, "jwks_uri": jwks_uri}));
        check_keys(&scene, expected).await;
    }
    for (document, expected) in [
        (json!({"jwks_uri": "https://a.example"}), "another issuer"),
        (json!({"issuer": 1}), "another issuer"),
        (json!([]), "another issuer"),
    ] {
        let scene = Scene::oidc();
        scene.provider.discovery(&document);
        check_keys(&scene, expected).await;
    }
    for (jwks_uri, expected) in [
        (json!(null), "no usable `jwks_uri`"),
        (json!("/jwks"), "no usable `jwks_uri`"),
        (json!("http://a.example/jwks"), "http://a.example is neither https"),
        (json!("file:///jwks"), "is neither https"),
    ] {
        let scene = Scene::oidc();
        scene.provider.discovery(&json!({"issuer": scene.provider.url(""), "jwks_uri": jwks_uri}));
        check_keys(&scene, expected).await;
    }
}

async fn check_keys(scene: &Scene, expected: &str) {
    match scene.authenticator.usable_keys(0).await {
        Ok(keys) if keys == [("RS256", 0), ("ES256", 1), ("EdDSA", 0)] => assert_eq!(expected, "accepted"),
        Err(TokenError::KeysUnavailable { why }) => assert!(why.to_string().contains(expected), "{why}"),
        other => panic!("{expected}: {other:?}"),
    }
}

#[actix_web::test]
async fn two_rules_do_not_share_a_kid() {
    let (one, other) = (Provider::start(), Provider::start());
    let (of_one, of_other) = (p256("k"), p256("k"));
    one.publish(&[&of_one]);
    other.publish(&[&of_other]);
    let rules = [&one, &other].map(|provider| ("a".to_owned(), oidc(&provider.url(""), None)));
    let clock = Clock::fixed(Timestamp::from_seconds(NOW));
    let authenticator =
        Authenticator::new(rules.to_vec(), settings(), clock, Metrics::default(), Jobs::default()).unwrap();
    for (issuer, signer, expected) in [
        (&one, &of_one, "accepted"),
        (&other, &of_other, "accepted"),
        (&one, &of_other, "signature"),
        (&other, &of_one, "signature"),
    ] {
        let claims = json!({"iss": issuer.url(""), "sub": "user_1", "iat": NOW, "exp": NOW + 60});
        let decided = authenticator.authenticate(&signer.token(&claims)).await;
        assert_eq!(decided.map_or_else(|error| error.check(), |_| "accepted"), expected);
    }
}

#[actix_web::test]
async fn keys_are_kept_fresh_in_the_background_until_the_service_stops() {
    let (scene, signer) = (Scene::oidc(), p256("k"));
    scene.provider.publish(&[&signer]);
    scene.authenticator.start();
    until(|| scene.fetches("ok") == 1).await;
    scene.later(480);
    until(|| scene.fetches("ok") == 2).await;

    scene.jobs.stop();
    scene.later(3600);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!((scene.provider.key_requests(), scene.fetches("ok")), (2, 2));
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

#[actix_web::test]
async fn keys_in_the_configuration_are_never_fetched() {
    let signer = rsa("k");
    let clock = Clock::fixed(Timestamp::from_seconds(NOW));
    let with = |jwks: String| {
        let rule = custom_jwt_with("https://a.example", None, JwksLocation::Inline(jwks));
        Authenticator::new(
            vec![("a".to_owned(), rule)],
            settings(),
            clock.clone(),
            Metrics::default(),
            Jobs::default(),
        )
    };
    let claims = json!({"iss": "https://a.example", "sub": "user_1", "exp": NOW + 60});
    let authenticator = with(key_set(&[&signer])).unwrap();
    assert!(authenticator.authenticate(&signer.token(&claims)).await.is_ok());
    let refused = authenticator.authenticate(&rsa("other").token(&claims)).await.unwrap_err();
    assert_eq!(refused.check(), "key");
    for wrong in ["", "{}", "[]"] {
        assert!(matches!(with(wrong.to_owned()), Err(SetupError::InlineKeys { .. })), "{wrong}");
    }
}

#[actix_web::test]
async fn the_result_names_the_source_of_the_selected_rule() {
    let signer = rsa("k");
    let rules = ["https://a.example", "https://b.example"].map(|issuer| {
        let jwks = JwksLocation::Inline(key_set(&[&signer]));
        (format!("source of {issuer}"), custom_jwt_with(issuer, None, jwks))
    });
    let clock = Clock::fixed(Timestamp::from_seconds(NOW));
    let authenticator =
        Authenticator::new(rules.to_vec(), settings(), clock, Metrics::default(), Jobs::default()).unwrap();
    let decide = async |issuer: &str| {
        let token = signer.token(&json!({"iss": issuer, "sub": "user_1", "exp": NOW + 60}));
        let explained = authenticator.explain(&token).await;
        let decided = authenticator.authenticate(&token).await;
        assert_eq!(decided, explained.decided, "an explanation is the decision");
        let source = |token: &Authenticated| token.user.source.clone();
        (explained.rule, decided.map_or_else(|error| error.check().to_owned(), |token| source(&token)))
    };
    assert_eq!(decide("https://a.example").await, (Some(0), "source of https://a.example".to_owned()));
    assert_eq!(decide("https://b.example").await, (Some(1), "source of https://b.example".to_owned()));
    assert_eq!(decide("https://c.example").await, (None, "issuer".to_owned()));
}
