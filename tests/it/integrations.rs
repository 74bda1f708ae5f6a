//! The Actions for Auth0, run under Node with the real `svix` package against the service.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use usersync::internals::config::Config;

use crate::support::app::{NOW, SECRET, TestApp};
use crate::support::node;
use crate::support::senders::{AUTH0, sources};

const CREATED: &str = include_str!("../fixtures/auth0/user_created.json");
const EVENT_STREAM: (&str, &str) = ("integrations/auth0/event-stream.js", "onExecuteEventStream");
const POST_LOGIN: (&str, &str) = ("integrations/auth0/post-login.js", "onExecutePostLogin");
const FOREIGN_SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";

/// What Auth0 does with an Action.
const HOST: &str = r"
    const [file, handler, event] = process.argv.slice(1);
    require(file)[handler](JSON.parse(event), {}).catch((error) => {
        console.error(error.message);
        process.exitCode = 1;
    });
";

fn auth0(config: &mut Config) {
    config.sources = sources("", &AUTH0);
}

/// The scripts sign with the time of the system's clock, so the service uses it too.
fn keep_real_time(app: &TestApp) {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    app.clock.advance(since.saturating_sub(Duration::from_secs(NOW.unsigned_abs())));
}

/// Runs an Action for an event, with these secrets; as [`node::run`].
async fn run(
    (file, handler): (&str, &str),
    mut event: Value,
    url: &str,
    secret: &str,
) -> Option<Result<String, String>> {
    event["secrets"] = json!({"USERSYNC_URL": url, "USERSYNC_SECRET": secret});
    let file = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    node::run(HOST, &[&file, handler, &event.to_string()]).await
}

async fn the_event_stream_action_sends_each_event_once_and_reports_failures(app: &TestApp) {
    keep_real_time(app);
    let message: Value = serde_json::from_str(CREATED).unwrap();
    let event = json!({"message": message});
    let url = app.client.url("/webhooks/auth0");
    let Some(refused) = run(EVENT_STREAM, event.clone(), &url, FOREIGN_SECRET).await else { return };
    let complaint = refused.unwrap_err();
    assert!(
        complaint.contains("usersync answered 400") && complaint.contains("invalid_signature"),
        "{complaint}"
    );
    for _ in 0..2 {
        assert_eq!(run(EVENT_STREAM, event.clone(), &url, SECRET).await, Some(Ok(String::new())));
    }
    let rows = app.client.rows().await;
    assert_eq!((rows.len(), &rows[0]["name"]), (1, &json!("Ada Lovelace")));
    let metrics = app.client.get("/metrics").await.text;
    assert!(
        metrics.lines().any(|line| line.contains("outcome=\"duplicate\"") && line.ends_with(" 1")),
        "{metrics}"
    );
    assert!(run(EVENT_STREAM, event, "http://127.0.0.1:9/", SECRET).await.unwrap().is_err());
}

on_both_databases!(the_event_stream_action_sends_each_event_once_and_reports_failures, configured by auth0);

async fn the_post_login_action_sends_who_signs_in_and_never_prevents_a_sign_in(app: &TestApp) {
    keep_real_time(app);
    let message: Value = serde_json::from_str(CREATED).unwrap();
    let event = json!({"user": message["data"]["object"], "tenant": {"id": "tenant-0000"}});
    let url = app.client.url("/webhooks/auth0");
    for (url, secret, why) in [
        (&*url, FOREIGN_SECRET, "answered 400"),
        ("http://127.0.0.1:9/", SECRET, "fetch failed"),
        ("no address", "no secret", ""),
    ] {
        let Some(logged) = run(POST_LOGIN, event.clone(), url, secret).await else { return };
        let logged = logged.unwrap();
        assert!(
            logged.starts_with("usersync was not notified of a sign-in: ") && logged.contains(why),
            "{logged}"
        );
    }
    assert!(app.client.rows().await.is_empty());
    assert_eq!(run(POST_LOGIN, event, &url, SECRET).await, Some(Ok(String::new())));
    let rows = app.client.rows().await;
    assert_eq!((rows.len(), &rows[0]["name"]), (1, &json!("Ada Lovelace")));
    assert_eq!(rows[0]["metadata"], json!({"theme": "dark"}));
}

on_both_databases!(the_post_login_action_sends_who_signs_in_and_never_prevents_a_sign_in, configured by auth0);
