//! Node, with the packages of `tests/peers`: what runs a provider's own scripts.

use std::path::Path;
use std::process::{Command, Stdio};

use super::not_run;

/// Runs a script with these arguments: its output if it succeeded, else its errors.
/// `None`, with a warning, if there is no Node or its packages are not installed.
///
/// # Panics
///
/// If there is none although `CI` is set: a test that did not run must not look like one that passed.
pub(crate) async fn run(script: &str, arguments: &[&str]) -> Option<Result<String, String>> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/node_modules");
    if !packages.join("svix").exists() {
        not_run("Node", "its packages are not installed: `bash tests/peers/install`");
        return None;
    }
    let mut node = Command::new("node");
    node.args(["--eval", script, "--"]).args(arguments).env("NODE_PATH", packages).stdin(Stdio::null());
    // On a thread of its own: the service that the script talks to runs on this one.
    match tokio::task::spawn_blocking(move || node.output()).await.unwrap() {
        Ok(done) if done.status.success() => Some(Ok(String::from_utf8_lossy(&done.stdout).into_owned())),
        Ok(done) => Some(Err(String::from_utf8_lossy(&done.stderr).into_owned())),
        Err(error) => {
            not_run("Node", error);
            None
        }
    }
}
