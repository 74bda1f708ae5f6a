//! The examples for React, in Chromium, with the program itself: `tests/browser`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::binary::PROGRAM;
use crate::support::not_run;

#[tokio::test]
async fn the_examples_work_in_a_browser() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let is_there = |path: &Path| path.join("node_modules").exists();
    if ![&tests, &examples.join("react-vite"), &examples.join("nextjs")]
        .into_iter()
        .all(|path| is_there(path))
    {
        return not_run("a browser", "the examples are not installed: `bash tests/browser/install`");
    }
    if !Path::new(&chromium).exists() {
        return not_run(
            "a browser",
            format!("there is no {chromium}: install the package `chromium`, or set CHROMIUM"),
        );
    }
    let mut node = Command::new("node");
    node.arg("--test-reporter=spec").arg(tests.join("all.mjs"));
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
