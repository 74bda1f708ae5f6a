//! The examples for React and the console, in Chromium, with the program itself: `tests/browser`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::binary::PROGRAM;
use crate::support::not_run;

/// Runs a file of `tests/browser`, if what it needs is installed.
async fn run_in_a_browser(script: &str, installed: &[&str]) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !installed.iter().all(|path| tests.join(path).join("node_modules").exists()) {
        return not_run("a browser", "what it needs is not installed: `bash tests/browser/install`");
    }
    if !Path::new(&chromium).exists() {
        return not_run(
            "a browser",
            format!("there is no {chromium}: install the package `chromium`, or set CHROMIUM"),
        );
    }
    let mut node = Command::new("node");
    node.arg("--test-reporter=spec").arg(tests.join(script));
    node.env("USERSYNC_PROGRAM", PROGRAM).env("CHROMIUM", chromium).stdin(Stdio::null());
    let done = match tokio::task::spawn_blocking(move || node.output()).await.unwrap() {
        Ok(done) => done,
        Err(error) => return not_run("a browser", format!("there is no Node: {error}")),
    };
    let [stdout, stderr] =
        [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(done.status.success(), "{stdout}{stderr}");
    // Numbers for people, which no test judges.
    for line in stdout.lines().filter(|line| line.contains("MEASURED")) {
        writeln!(std::io::stderr(), "{line}").ok();
    }
}

#[tokio::test]
async fn the_examples_work_in_a_browser() {
    run_in_a_browser("all.mjs", &["", "../../examples/react-vite", "../../examples/nextjs"]).await;
}

#[tokio::test]
async fn the_console_works_in_a_browser() {
    run_in_a_browser("console.mjs", &[""]).await;
}
