//! The npm packages: their own tests, and the client against the program.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::binary::Home;
use crate::support::not_run;
use crate::support::receiver::{Receiver, Reply};

#[tokio::test]
async fn the_packages_pass_their_tests_and_work_with_the_program() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages");
    if !packages.join("node_modules").exists() {
        return not_run("Node", "the packages are not installed: `npm ci --prefix packages`");
    }
    let home = Home::bare();
    let app = Receiver::start(Reply::Status(200, "")).await;
    let mut dev = home.start(&["dev", "--listen", "127.0.0.1:0", "--forward-to", app.url()]);
    let line = dev.line_with("usersync dev at ").await;
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let url = url.trim_end_matches(',').to_owned();
    // The last line that it prints: Ada has her row by then.
    dev.line_with("Press Ctrl-C to stop").await;
    let token = async |arguments: &[&str]| {
        let said = home.run(&[&["token", "--sub"], arguments].concat()).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said.stdout.trim().to_owned()
    };
    let ada = token(&["user_ada"]).await;
    let grace = token(&["user_grace", "--claim", "name=Grace Hopper"]).await;
    let event = app.count(1).await.remove(0);
    let printed = dev.line_with("Events are sent to").await;
    let (_, secret) = printed.split_once("signed with ").unwrap();
    let event = json!({
        "secret": secret, "body": event.raw,
        "headers": {"webhook-id": event.id, "webhook-timestamp": event.timestamp, "webhook-signature": event.signature},
    });
    let mut npm = Command::new("npm");
    npm.args(["test", "--prefix"]).arg(&packages).current_dir(&packages).stdin(Stdio::null());
    npm.env("USERSYNC_LIVE_URL", url).env("USERSYNC_LIVE_TOKEN", ada).env("USERSYNC_LIVE_NEW_TOKEN", grace);
    npm.env("USERSYNC_LIVE_EVENT", event.to_string());
    let done = match tokio::task::spawn_blocking(move || npm.output()).await.unwrap() {
        Ok(done) => done,
        Err(error) => return not_run("Node", error),
    };
    let [stdout, stderr] =
        [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(done.status.success(), "{stdout}{stderr}");
    assert!(!stdout.contains("skipped"), "a test did not run: {stdout}");
}
