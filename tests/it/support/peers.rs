//! Other people's packages that our code is tested against: the scripts of `tests/peers`, with JSON lines as protocol.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::LazyLock;
use std::thread;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::not_run;

pub(crate) const SVIX: Peer = Peer { package: "svix", script: "sign.mjs", language: Language::Node };
pub(crate) const STANDARD_WEBHOOKS: Peer =
    Peer { package: "standardwebhooks", script: "standard_sign.mjs", language: Language::Node };
pub(crate) const EVENTS_IN_NODE: Peer =
    Peer { package: "standardwebhooks", script: "verify.mjs", language: Language::Node };
pub(crate) const EVENTS_IN_PYTHON: Peer =
    Peer { package: "standardwebhooks", script: "verify.py", language: Language::Python };
pub(crate) const DOCUMENTED_RECEIVER: Peer =
    Peer { package: "standardwebhooks", script: "receiver.py", language: Language::Python };
pub(crate) const WORKOS: Peer =
    Peer { package: "@workos-inc/node", script: "workos_sign.mjs", language: Language::Node };
pub(crate) const JOSE: Peer = Peer { package: "jose", script: "mint.mjs", language: Language::Node };
pub(crate) const PYJWT: Peer = Peer { package: "jwt", script: "mint.py", language: Language::Python };
pub(crate) const OPENAPI_TYPESCRIPT: Peer =
    Peer { package: "openapi-typescript", script: "types.mjs", language: Language::Node };
pub(crate) const JSON_SCHEMA: Peer =
    Peer { package: "jsonschema_rs", script: "answers.py", language: Language::Python };
pub(crate) const SCHEMATHESIS: Peer =
    Peer { package: "schemathesis", script: "schemathesis.toml", language: Language::Python };
pub(crate) const COLLECTOR: Peer =
    Peer { package: "opentelemetry", script: "collector.py", language: Language::Python };
pub(crate) const OIDC_PROVIDER: Peer =
    Peer { package: "oidc-provider", script: "provider.mjs", language: Language::Node };
pub(crate) const PRISM: Peer =
    Peer { package: "@stoplight/prism-cli", script: "prism.mjs", language: Language::Node };

pub(crate) const OPENAUTH: Peer =
    Peer { package: "@openauthjs/openauth", script: "openauth.mjs", language: Language::Node };

/// A third-party package, and the script that uses it.
pub(crate) struct Peer {
    package: &'static str,
    script: &'static str,
    language: Language,
}

enum Language {
    Node,
    Python,
}

/// A script that waits for questions; it ends when this is dropped, and also if this process is killed.
pub(crate) struct RunningScript {
    script: &'static str,
    child: Child,
    questions: ChildStdin,
    answers: UnboundedReceiver<String>,
}

impl Peer {
    /// Starts the script; `None`, with a warning, if what it needs is not installed.
    pub(crate) fn start(&self) -> Option<RunningScript> {
        let program = self.program_or_not_run()?;
        let mut child = Command::new(program)
            .arg(folder().join(self.script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (heard, answers) = unbounded_channel();
        // Another thread waits for them: the test's thread runs the service, which must continue meanwhile.
        thread::spawn(move || while lines.next().is_some_and(|line| heard.send(line.unwrap()).is_ok()) {});
        Some(RunningScript { script: self.script, child, questions, answers })
    }

    fn program_or_not_run(&self) -> Option<PathBuf> {
        self.program().map_err(|remedy| not_run(&format!("the package {}", self.package), remedy)).ok()
    }

    /// Runs a package of Python that is a program, until it ends; `None`, with a warning, if it is not installed.
    pub(crate) async fn run(&self, arguments: Vec<String>) -> Option<Output> {
        let program = self.program_or_not_run()?;
        let package = self.package;
        // On another thread: this one runs the service, which must continue meanwhile.
        let run = tokio::task::spawn_blocking(move || {
            // It writes what it has found into the current directory.
            let directory = tempfile::tempdir().unwrap();
            Command::new(program)
                .args(["-m", &format!("{package}.cli")])
                .args(arguments)
                .current_dir(directory.path())
                .output()
                .unwrap()
        });
        Some(run.await.unwrap())
    }

    /// What runs the script, or what has to be done first.
    fn program(&self) -> Result<PathBuf, &'static str> {
        match self.language {
            Language::Node => {
                let is_there =
                    folder().join("node_modules").join(self.package).is_dir() && *NODE_IS_NEW_ENOUGH;
                let remedy = "it needs Node 20.15 or later, and once `bash tests/peers/install`";
                is_there.then(|| "node".into()).ok_or(remedy)
            }
            Language::Python => {
                let python = folder().join(".venv/bin/python");
                let is_there = python.exists() && is_installed_for_python(self.package);
                let remedy = "it needs Python 3.10 or later, and once `bash tests/peers/install`";
                is_there.then_some(python).ok_or(remedy)
            }
        }
    }
}

impl RunningScript {
    pub(crate) async fn ask(&mut self, question: &Value) -> Value {
        // A script that has ended gives no answer.
        writeln!(self.questions, "{question}").ok();
        self.read_line().await
    }

    /// The next line of the script.
    pub(crate) async fn read_line(&mut self) -> Value {
        let line = self.answers.recv().await.unwrap_or_default();
        serde_json::from_str(&line).unwrap_or_else(|_| {
            let complaint = self.error_output();
            panic!("{} does not answer: {line}{complaint}", self.script)
        })
    }

    fn error_output(&mut self) -> String {
        self.child.kill().ok();
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).ok();
        text
    }
}

impl Drop for RunningScript {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether a package is in the virtual environment, whose folder has the version of Python in its name.
fn is_installed_for_python(package: &str) -> bool {
    let versions = std::fs::read_dir(folder().join(".venv/lib")).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("site-packages").join(package)).any(|path| path.is_dir())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// The newest of the packages requires Node 20.15.
static NODE_IS_NEW_ENOUGH: LazyLock<bool> = LazyLock::new(|| {
    let Ok(said) = Command::new("node").arg("--version").output() else { return false };
    let version = String::from_utf8_lossy(&said.stdout);
    let mut parts = version.trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(20), Some(15))
});
