//! Node, with the packages of `tests/peers`: what runs a provider's own scripts.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a script with these arguments: what it wrote if it ended well, else what it complained of.
/// `None`, said loudly, where there is no Node or its packages are not installed.
///
/// # Panics
///
/// Where there is none although `CI` is set: a test that did not run must not look like one that passed.
pub(crate) async fn run(script: &str, arguments: &[&str]) -> Option<Result<String, String>> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/node_modules");
    if !packages.join("svix").exists() {
        return not_run("its packages are not installed: npm ci --prefix tests/peers");
    }
    let mut node = Command::new("node");
    node.args(["--eval", script, "--"]).args(arguments).env("NODE_PATH", packages).stdin(Stdio::null());
    // On a thread of its own: the service that the script talks to runs on this one.
    match tokio::task::spawn_blocking(move || node.output()).await.unwrap() {
        Ok(done) if done.status.success() => Some(Ok(String::from_utf8_lossy(&done.stdout).into_owned())),
        Ok(done) => Some(Err(String::from_utf8_lossy(&done.stderr).into_owned())),
        Err(error) => not_run(&error.to_string()),
    }
}

fn not_run<T>(why: &str) -> Option<T> {
    let ci =
        std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0");
    assert!(!ci, "no Node to test with: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Written past the test harness, which hides what a passing test prints.
    writeln!(std::io::stderr(), "\nNOT RUN under Node: {test}: {why}\n").ok();
    None
}
