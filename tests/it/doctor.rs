//! `usersync doctor` finds each mistake, shows how to fix it, and changes nothing.

use secrecy::ExposeSecret;
use serde_json::json;
use usersync::internals::config::Database as Settings;
use usersync::internals::store::Store;

use crate::support::app::{OLD_SECRET, SECRET, TestApp};
use crate::support::command::{CommandDirectory, ProgramOutput};
use crate::support::provider::{Page, Provider};
use crate::support::signer::{p256, rsa};

const PARTY: &str = "authorizedParties = ['https://app.example.com']";

/// A correct source, with one more line for its rule.
fn source(name: &str, secret: &str, domain: &str, rule: &str) -> String {
    format!(
        "[[sources]]\nname = '{name}'\nprovider = 'clerk'\nwebhook_secrets = ['{secret}']\n\
         [[sources.tokens]]\ntype = 'oidc'\ndomain = '{domain}'\n{rule}\n"
    )
}

/// A provider with a key, and the configuration of a source that trusts it.
fn healthy() -> (Provider, String) {
    let provider = Provider::start();
    provider.publish(&[&rsa("key_1"), &p256("key_2")]);
    let configuration = source("clerk", SECRET, &provider.url(""), "applicationID = 'convex'");
    (provider, configuration)
}

async fn doctor(directory: &CommandDirectory) -> ProgramOutput {
    let said = directory.run(&["doctor"], "").await;
    for secret in [&SECRET[8..], &OLD_SECRET[8..], "pass_word"] {
        assert!(!said.everything().contains(secret), "{secret:?} is in {said:?}");
    }
    said
}

/// Doctor found this, with this level, and its exit code fits.
#[track_caller]
fn assert_finds(said: &ProgramOutput, level: &str, what: &str) {
    let found = said.stdout.lines().any(|line| line.trim_start().starts_with(level) && line.contains(what));
    assert!(found, "no {level} with {what:?} in {said:?}");
    assert_eq!(said.code, Some(i32::from(said.stdout.contains("  ERROR"))), "{said:?}");
}

async fn finds(configuration: &str, level: &str, what: &str) {
    assert_finds(&doctor(&CommandDirectory::with(configuration)).await, level, what);
}

#[tokio::test]
async fn a_healthy_service_has_no_findings() {
    let (_provider, configuration) = healthy();
    let desk = CommandDirectory::with(&configuration);
    let said = doctor(&desk).await;
    assert_finds(&said, "ok", "usersync.db does not exist yet");
    assert!(!desk.path("usersync.db").exists(), "doctor created a database");
    assert!(desk.run(&["migrate"], "").await.code == Some(0));
    let said = doctor(&desk).await;
    for passed in [
        "provider clerk, secrets: 1, token rules: 1",
        "reachable, all migrations applied",
        "writable",
        "no parked deliveries",
        "usable keys: RS256 1, ES256 1, EdDSA 0",
        "within 30 s of 127.0.0.1",
    ] {
        assert_finds(&said, "ok", passed);
    }
    assert!(said.stdout.ends_with("errors: 0, warnings: 0\n"), "{said:?}");
    assert_eq!(said.stderr, "");
}

#[tokio::test]
async fn settings_that_are_probably_mistakes_are_warnings() {
    let (provider, good) = healthy();
    let at = provider.url("");
    let trusting = format!("[[sources.tokens]]\ntype = 'oidc'\ndomain = '{at}'\n");
    for (configuration, level, what) in [
        (String::new(), "ERROR", "no source is configured"),
        (good.replace(&format!("webhook_secrets = ['{SECRET}']"), ""), "WARNING", "has no secret"),
        (good.split("[[sources.tokens]]").next().unwrap().to_owned(), "WARNING", "has no token rule"),
        (source("clerk", SECRET, &at, ""), "WARNING", "checks neither audience nor authorized party"),
        (
            format!("{good}{}", source("two", SECRET, &at, PARTY)),
            "WARNING",
            "and source `clerk` have the same secret",
        ),
        (
            format!("{good}{trusting}applicationID = 'convex'"),
            "WARNING",
            "sources[0].tokens[1] of source `clerk` is never used",
        ),
        (format!("[server]\nlisten = '0.0.0.0:8787'\n{good}"), "WARNING", "serves /metrics to everyone"),
        (format!("[tokens]\nallow_http = true\n{good}"), "WARNING", "allow_http"),
        (
            good.replace(&at, "https://verb-noun-00.clerk.accounts.dev"),
            "WARNING",
            "development instance of Clerk",
        ),
    ] {
        finds(&configuration, level, what).await;
    }
}

#[tokio::test]
async fn problems_of_the_database_are_found() {
    let (_provider, good) = healthy();
    for (url, level, what) in [
        ("sqlite:///nowhere/usersync.db?mode=rwc", "ERROR", "its folder does not exist"),
        ("sqlite://usersync.db", "ERROR", "usersync.db does not exist"),
        ("sqlite::memory:", "WARNING", "in memory"),
        ("sqlite:///tmp/usersync_of_nobody.db?mode=rwc", "WARNING", "folder for temporary files"),
        ("postgres://me:pass_word@127.0.0.1:9/users", "ERROR", "cannot be reached"),
    ] {
        finds(&format!("[database]\nurl = '{url}'\n{good}"), level, what).await;
    }
    let desk = CommandDirectory::with(&format!("[database]\nurl = 'sqlite://usersync.db'\n{good}"));
    desk.put("usersync.db", "");
    assert_finds(&doctor(&desk).await, "WARNING", "migrations pending");
    assert_eq!(desk.run(&["migrate"], "").await.code, Some(0));
    desk.put("usersync.toml", format!("[database]\nurl = 'sqlite://usersync.db?mode=ro'\n{good}"));
    assert_finds(&doctor(&desk).await, "ERROR", "not writable");
}

#[tokio::test]
async fn parked_deliveries_are_counted() {
    let (_provider, configuration) = healthy();
    let desk = CommandDirectory::with(&configuration);
    desk.put("event.json", r#"{"type":"user.created","data":{}}"#);
    assert_eq!(desk.run(&["replay", "--source", "clerk", "event.json"], "").await.code, Some(1));
    assert_finds(&doctor(&desk).await, "WARNING", "1 deliveries are parked");
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_or_used_are_errors() {
    let (provider, configuration) = healthy();
    provider.publish(&[]);
    finds(&configuration, "ERROR", "has no usable key (RS256 0, ES256 0, EdDSA 0)").await;
    // What failed is named, without its query; what led to it is not.
    let document = json!({"issuer": provider.url(""), "jwks_uri": provider.url("/jwks?key=pass_word")});
    provider.discovery(&document);
    let (jwks, discovery) = (provider.url("/jwks"), provider.url("/.well-known/openid-configuration"));
    for (page, what, fix) in [
        (Page::status(503), "the answer has status 503", format!("the server at {jwks} fails")),
        (Page::status(404), "the answer has status 404", format!("{discovery} names {jwks} as `jwks_uri`")),
        (Page::ok("<html>"), "the answer is not JSON", format!("{discovery} names {jwks} as `jwks_uri`")),
    ] {
        provider.page("/jwks", page);
        let said = doctor(&CommandDirectory::with(&configuration)).await;
        assert_finds(&said, "ERROR", &format!("could not be fetched: {jwks}: {what}"));
        assert!(said.stdout.contains(&format!("fix: {fix}")), "{fix:?} is not in {said:?}");
    }
    provider.page("/.well-known/openid-configuration", Page::status(404));
    let said = doctor(&CommandDirectory::with(&configuration)).await;
    assert_finds(&said, "ERROR", "could not be fetched: the answer has status 404");
    assert!(said.stdout.contains(&format!("fix: {discovery} does not exist")), "{said:?}");
    provider.discovery(&json!({"issuer": "https://other.example.com"}));
    finds(&configuration, "ERROR", "names another issuer").await;
    finds(&source("clerk", SECRET, "http://127.0.0.1:9", PARTY), "ERROR", "could not be fetched").await;
}

#[tokio::test]
async fn a_wrong_clock_is_an_error() {
    let (provider, configuration) = healthy();
    let document = json!({"issuer": provider.url(""), "jwks_uri": provider.url("/jwks")}).to_string();
    let dated = |date: &str| Page::ok(document.clone()).with("date", date);
    for (date, what) in [
        ("Thu, 01 Jan 2015 12:00:00 GMT", "ahead of 127.0.0.1"),
        ("Fri, 01 Jan 2100 12:00:00 GMT", "behind 127.0.0.1"),
    ] {
        provider.page("/.well-known/openid-configuration", dated(date));
        finds(&configuration, "ERROR", what).await;
    }
}

#[tokio::test]
async fn an_invalid_configuration_exits_with_2() {
    assert_eq!(doctor(&CommandDirectory::with("[server]\nport = 1")).await.code, Some(2));
}

#[tokio::test]
async fn a_healthy_postgres_database_is_writable() {
    let Some(app) = TestApp::on_postgres(|_| ()).await else { return };
    let url = app.config.database.url.expose_secret();
    let (_provider, configuration) = healthy();
    let configuration = format!("[database]\nurl = '{url}'\n{configuration}");
    let said = doctor(&CommandDirectory::with(&configuration)).await;
    assert_finds(&said, "ok", "writable");
    let store = Store::connect(&Settings::at(url)).await.unwrap();
    assert!(store.try_to_write().await.is_ok());
    store.close().await.unwrap();
    app.finish().await;
}
