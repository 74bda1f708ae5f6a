//! A replica: one process of the service after another, at one address.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

use super::clock::Clock;
use super::http::ask;

/// Longer than any start or stop, also while the database recovers.
const TIMEOUT: Duration = Duration::from_secs(90);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// A supervisor waits so long before it starts a service again that has failed.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Starts the service so that a write beyond the largest size of a file fails instead of ending the process.
const SCRIPT: &str = r#"trap "" XFSZ; exec "$0" "$@""#;

pub(super) struct Replica {
    pub(super) address: SocketAddr,
    pub(super) directory: PathBuf,
    executable: PathBuf,
    /// Its time of day, if that can be changed.
    pub(super) clock: Option<Clock>,
    process: Option<Process>,
    /// How often it was started.
    pub(super) starts: u32,
}

/// A process that runs.
struct Process {
    child: Child,
    since: Instant,
}

impl Replica {
    pub(super) fn new(
        executable: PathBuf,
        directory: PathBuf,
        address: SocketAddr,
        library: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let clock = library.map(|library| Clock::new(library, &directory)).transpose()?;
        Ok(Self { address, directory, executable, clock, process: None, starts: 0 })
    }

    fn configuration_file(&self) -> PathBuf {
        self.directory.join("usersync.toml")
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(super) fn id(&self) -> Option<u32> {
        Some(self.process.as_ref()?.child.id())
    }

    /// How long its process has been running.
    pub(super) fn age(&self) -> Option<Duration> {
        Some(self.process.as_ref()?.since.elapsed())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new("sh");
        // Nothing of the caller's environment may turn a setting.
        command.args(["-c", SCRIPT]).arg(&self.executable).env_clear().current_dir(&self.directory);
        command.arg("--config").arg(self.configuration_file());
        if let Some(clock) = &self.clock {
            command.envs(clock.variables());
        }
        let log = File::options().create(true).append(true).open(self.log_file())?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        Ok(command)
    }

    /// Starts it with this configuration and waits until it is ready. If it fails, because its database is away, it is
    /// started again as a supervisor does.
    pub(super) async fn start(&mut self, configuration: &str) -> anyhow::Result<()> {
        fs::write(self.configuration_file(), configuration)?;
        let started = Instant::now();
        while started.elapsed() < TIMEOUT {
            let child = self.command()?.arg("serve").stdout(Stdio::null()).spawn();
            let child = child.context("the service cannot be started")?;
            self.process = Some(Process { child, since: Instant::now() });
            self.starts += 1;
            while self.ended()?.is_none() {
                if self.is_ready().await {
                    return Ok(());
                }
                if started.elapsed() > TIMEOUT {
                    break;
                }
                sleep(ASK_EVERY).await;
            }
            sleep(RESTART_PAUSE).await;
        }
        bail!("it is not ready after {TIMEOUT:?}; its log is {}", self.log_file().display())
    }

    async fn is_ready(&self) -> bool {
        let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
        ask(self.address, request, Duration::from_secs(5)).await.is_ok_and(|answer| answer.status == 200)
    }

    /// Whether its process has ended by itself, and how.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(process) = &mut self.process else { return Ok(None) };
        let status = process.child.try_wait()?;
        if status.is_some() {
            self.process = None;
        }
        Ok(status)
    }

    /// `kill -9`: it gets no warning and cannot clean up.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.child.kill()?;
            process.child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and its end with exit code 0.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        kill(Pid::from_raw(i32::try_from(process.child.id())?), Signal::SIGTERM)?;
        let told = Instant::now();
        while told.elapsed() < TIMEOUT {
            if let Some(status) = process.child.try_wait()? {
                if !status.success() {
                    bail!("it stopped with {status}; its log is {}", self.log_file().display());
                }
                return Ok(());
            }
            sleep(ASK_EVERY).await;
        }
        self.process = Some(process);
        bail!("it does not stop within {TIMEOUT:?}; its log is {}", self.log_file().display())
    }

    /// Runs a command of the program to its end and returns what it prints.
    pub(super) fn run(&self, configuration: &str, arguments: &[&str]) -> anyhow::Result<String> {
        fs::write(self.configuration_file(), configuration)?;
        let output = self.command()?.args(arguments).output()?;
        if !output.status.success() {
            bail!("`usersync {}` ended with {}", arguments.join(" "), output.status);
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        // Nothing can be done if it cannot be killed.
        let _ = self.kill();
    }
}
