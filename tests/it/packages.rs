//! The npm packages: their own tests, and the client against the program.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::binary::Home;
use crate::support::not_run;

#[tokio::test]
async fn the_packages_pass_their_tests_and_work_with_the_program() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages");
    if !packages.join("node_modules").exists() {
        return not_run("Node", "the packages are not installed: `npm ci --prefix packages`");
    }
    let home = Home::bare();
    let mut dev = home.start(&["dev", "--listen", "127.0.0.1:0"]);
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
    let mut npm = Command::new("npm");
    npm.args(["test", "--prefix"]).arg(&packages).current_dir(&packages).stdin(Stdio::null());
    npm.env("USERSYNC_LIVE_URL", url).env("USERSYNC_LIVE_TOKEN", ada).env("USERSYNC_LIVE_NEW_TOKEN", grace);
    let done = match tokio::task::spawn_blocking(move || npm.output()).await.unwrap() {
        Ok(done) => done,
        Err(error) => return not_run("Node", error),
    };
    let [stdout, stderr] =
        [&done.stdout, &done.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(done.status.success(), "{stdout}{stderr}");
    assert!(!stdout.contains("skipped"), "a test did not run: {stdout}");
}
