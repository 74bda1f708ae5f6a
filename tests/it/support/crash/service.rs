//! The real binary as a process of its own.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::app::SECRET;

/// How long the service may take until it is ready.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of the log is kept to be shown when a test fails.
const LOG_LINES: usize = 40;

/// A running service; killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    base: String,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Service {
    /// Starts the service on a database, and waits until it is ready.
    pub(crate) fn start(database: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usersync"));
        command.arg("serve");
        Self::start_as(command, database)
    }

    /// The same by a shell script that ends in `exec "$0" serve` and finds `argument` as `$1`.
    pub(crate) fn start_by(mut shell: Command, script: &str, argument: &Path, database: &str) -> Self {
        shell.args(["-c", script, env!("CARGO_BIN_EXE_usersync")]).arg(argument);
        Self::start_as(shell, database)
    }

    /// Starts the service and kills it while it starts.
    pub(crate) fn start_and_kill(database: &str, after: Duration) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usersync"));
        command.arg("serve");
        let mut child = prepare(&mut command, database).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn start_as(mut command: Command, database: &str) -> Self {
        let mut child = prepare(&mut command, database).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let (found, address) = mpsc::channel();
        let (lines, kept) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || read_log(lines, &kept, &found));
        let mut service = Self { child, base: String::new(), log };
        let Ok(address) = address.recv_timeout(TIMEOUT) else {
            panic!("the service does not start:\n{}", service.log());
        };
        service.base = format!("http://{address}");
        service
    }

    /// Its address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().iter().fold(String::new(), |log, line| log + line + "\n")
    }

    /// Kills it by SIGKILL: it gets no warning and cannot clean up.
    pub(crate) fn kill(mut self) {
        self.assert_runs();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Fails if it has ended unexpectedly.
    pub(crate) fn assert_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the service ended unexpectedly: {ended:?}\n{}", self.log());
    }

    /// Stops it as an operator does, and waits until it has ended.
    pub(crate) fn stop(mut self) {
        self.assert_runs();
        let killed = Command::new("kill").arg(self.id().to_string()).status().unwrap();
        assert!(killed.success());
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until {
            match self.child.try_wait().unwrap() {
                Some(status) => return assert!(status.success(), "{status}\n{}", self.log()),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        panic!("the service does not stop:\n{}", self.log());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn prepare<'a>(command: &'a mut Command, database: &str) -> &'a mut Command {
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("DATABASE_URL", database)
        .env("CLERK_WEBHOOK_SECRET", SECRET)
        // Any port, a new one at each start: another process could have taken the old one.
        .env("USERSYNC_SERVER__LISTEN", "127.0.0.1:0")
        .env("USERSYNC_LOG__FORMAT", "json")
        .env("RUST_LOG", "warn,usersync::cli=info")
        // A directory without a `usersync.toml`.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
}

fn read_log(lines: ChildStderr, kept: &Mutex<VecDeque<String>>, found: &mpsc::Sender<String>) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = event["listen"].as_str().filter(|_| event["message"] == "ready") {
            found.send(address.to_owned()).ok();
        }
        let mut kept = kept.lock().unwrap();
        kept.push_back(line);
        if kept.len() > LOG_LINES {
            kept.pop_front();
        }
    }
}
