//! The npm packages: their own tests, the client against the program, and the types of what the service answers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::binary::ProgramFixture;
use crate::support::not_run;
use crate::support::receiver::{Receiver, Reply};

#[tokio::test]
async fn the_packages_pass_their_tests_and_work_with_the_program() {
    let Some(mut npm) = command("npm") else { return };
    let home = ProgramFixture::bare();
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
    let grace = token(&["user_hedy", "--claim", "name=Hedy Lamarr"]).await;
    let event = app.count(1).await.remove(0);
    let printed = dev.line_with("Events are sent to").await;
    let (_, secret) = printed.split_once("signed with ").unwrap();
    let event = json!({
        "secret": secret, "body": event.raw,
        "headers": {"webhook-id": event.id, "webhook-timestamp": event.timestamp, "webhook-signature": event.signature},
    });
    npm.arg("test");
    npm.env("USERSYNC_LIVE_URL", url).env("USERSYNC_LIVE_TOKEN", ada).env("USERSYNC_LIVE_NEW_TOKEN", grace);
    npm.env("USERSYNC_LIVE_EVENT", event.to_string());
    let Some(stdout) = run(npm, String::new()).await else { return };
    assert!(!stdout.contains("skipped"), "a test did not run: {stdout}");
}

#[tokio::test]
async fn the_packages_can_be_installed_and_imported_as_they_would_be_published() {
    let Some(mut npm) = command("npm") else { return };
    npm.args(["run", "test:packed"]);
    run(npm, String::new()).await;
}

#[tokio::test]
async fn the_types_of_the_client_are_those_of_the_document() {
    let Some(mut node) = command("node") else { return };
    let app = TestApp::on_sqlite(|_| ()).await;
    let document = app.client.get("/openapi.json").await.text;
    app.finish().await;
    node.arg("client/generate.mjs");
    let Some(generated) = run(node, document).await else { return };
    let path = packages().join("client/src/openapi.ts");
    if std::env::var_os("USERSYNC_GENERATE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == generated,
        "{} is not what /openapi.json says: run USERSYNC_GENERATE=1 cargo test --test it packages::the_types",
        path.display()
    );
}

fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packages")
}

/// A program of Node, to be run among the packages; `None`, with a warning, if they are not installed.
fn command(program: &str) -> Option<Command> {
    if !packages().join("node_modules").exists() {
        not_run("Node", "the packages are not installed: `npm ci --prefix packages`");
        return None;
    }
    let mut command = Command::new(program);
    command.current_dir(packages()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

/// What a program prints that is given this text; `None`, with a warning, if it is not there.
async fn run(mut command: Command, input: String) -> Option<String> {
    // On a thread of its own: the service that it talks to runs on this one.
    let running = tokio::task::spawn_blocking(move || -> std::io::Result<Output> {
        let mut child = command.spawn()?;
        child.stdin.take().unwrap().write_all(input.as_bytes())?;
        child.wait_with_output()
    });
    match running.await.unwrap() {
        Ok(done) => {
            let [stdout, stderr] =
                [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
            assert!(done.status.success(), "{stdout}{stderr}");
            Some(stdout)
        }
        Err(error) => {
            not_run("Node", error);
            None
        }
    }
}
