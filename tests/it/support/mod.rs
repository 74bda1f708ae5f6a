//! Helpers of the tests: the servers that they need are found or made, and removed afterwards.

use std::fmt::Display;
use std::io::Write as _;

pub(crate) mod app;
pub(crate) mod binary;
pub(crate) mod client;
pub(crate) mod command;
pub(crate) mod console;
pub(crate) mod crash;
pub(crate) mod directory;
pub(crate) mod event_log;
pub(crate) mod forwarder;
pub(crate) mod node;
pub(crate) mod openid;
pub(crate) mod peers;
pub(crate) mod pgbouncer;
pub(crate) mod postgres;
pub(crate) mod receiver;
pub(crate) mod senders;
pub(crate) mod watching;

#[path = "../../../src/providers/testing.rs"]
pub(crate) mod mutations;
#[path = "../../../src/auth/testing/provider.rs"]
pub(crate) mod provider;
#[path = "../../../src/auth/testing/signer.rs"]
pub(crate) mod signer;

/// Prints that the running test does not run, although the test harness hides what a passing test prints.
///
/// # Panics
///
/// With `CI` set, where a test that did not run must not look like one that passed.
pub(crate) fn not_run(on: &str, why: impl Display) {
    assert!(!is_set("CI"), "no {on} to test with: {why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "\nNOT RUN on {on}: {test}: {why}\n").ok();
}

/// Whether there is curl, which printed commands need; prints a warning if not.
pub(crate) fn has_curl() -> bool {
    let found = std::process::Command::new("curl").arg("--version").output();
    let found = found.is_ok_and(|said| said.status.success());
    if !found {
        not_run("a machine with curl", "it is not installed");
    }
    found
}

/// Whether an environment variable is set to something other than no.
pub(crate) fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

/// Makes two cases of the test function above it: `name::on_sqlite` and `name::on_postgres`.
///
/// The function is given an app of its own (`&TestApp`), whose settings `configured by change_settings` may change
/// first. The case fails if it leaves parked deliveries behind that it has not expected with `app.expect_parked(n)`. A
/// test of the program itself has `with ProgramFixture`, and gets a home (`&mut ProgramFixture`) to run it in.
macro_rules! on_both_databases {
    ($name:ident $(, configured by $configure:ident)?) => {
        mod $name {
            use $crate::support::app::TestApp;

            fn configure(_config: &mut usersync::internals::config::Config) {
                $(super::$configure(_config);)?
            }

            #[tokio::test]
            async fn on_sqlite() {
                let app = TestApp::on_sqlite(configure).await;
                super::$name(&app).await;
                app.finish().await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let Some(app) = TestApp::on_postgres(configure).await else { return };
                super::$name(&app).await;
                app.finish().await;
            }
        }
    };

    ($name:ident, with ProgramFixture) => {
        mod $name {
            use $crate::support::binary::ProgramFixture;

            #[tokio::test]
            async fn on_sqlite() {
                super::$name(&mut ProgramFixture::on_sqlite()).await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let Some(mut home) = ProgramFixture::on_postgres().await else { return };
                super::$name(&mut home).await;
            }
        }
    };
}
