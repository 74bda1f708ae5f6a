//! A command of the program, run to its end in a directory with a configuration.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use usersync::internals::config::Config;

/// A directory with a `usersync.toml`, and whatever else a test puts there.
pub(crate) struct CommandDirectory(TempDir);

pub(crate) use super::binary::ProgramOutput;

impl CommandDirectory {
    pub(crate) fn with(configuration: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.put("usersync.toml", configuration);
        desk
    }

    pub(crate) fn put(&self, file: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(file), content).unwrap();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// The configuration as the program reads it.
    pub(crate) fn config(&self) -> Config {
        Config::load(
            Some(&self.path("usersync.toml")),
            &BTreeMap::new(),
            &usersync::internals::providers::kinds(),
        )
        .unwrap()
    }

    /// Runs the program here, with no variables but `PATH`.
    pub(crate) async fn run(&self, arguments: &[&str], input: &str) -> ProgramOutput {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usersync"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without reading everything.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        ProgramOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl ProgramOutput {
    /// The checks of an explanation that have this verdict, in order.
    pub(crate) fn verdicts(&self, verdict: &str) -> Vec<&str> {
        let lines = self.stdout.lines().filter_map(|line| line.strip_prefix(verdict)?.strip_prefix("  "));
        lines.filter_map(|line| line.split_whitespace().next()).collect()
    }

    /// Everything that it printed, to check what must not be in it.
    pub(crate) fn everything(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}
