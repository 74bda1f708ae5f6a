//! A `sh` that outlives the test process just long enough to clean up after it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};

/// The writing end of a pipe; when it closes, the script at the other end reads its end of file and cleans
/// up.
///
/// The system closes it with the process, however the process ends, and children do not inherit it.
pub(super) struct CleanupProcess {
    pipe: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl CleanupProcess {
    /// Starts `script`, writes it `secret` as one line (a process list would show an argument), and waits for
    /// the one line that it answers when it is ready.
    ///
    /// It gets a process group of its own, out of reach of a terminal's Ctrl-C, and a working directory that
    /// every user may enter.
    pub(super) fn start(script: &str, arguments: &[&str], secret: &str) -> Result<(Self, String)> {
        let mut child = Command::new("sh")
            .args(["-c", script, "usersync-test-keeper"])
            .args(arguments)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("`sh` does not start")?;
        let Child { stdin: Some(mut pipe), stdout: Some(output), .. } = child else {
            child.kill().ok();
            anyhow::bail!("`sh` has no pipes");
        };
        writeln!(pipe, "{secret}")?;
        let mut keeper = Self { pipe, answers: BufReader::new(output) };
        let answer = keeper.answer()?;
        Ok((keeper, answer))
    }

    /// Sends a command to a script, and waits for the one line that it answers.
    pub(super) fn order(&mut self, order: &str) -> Result<String> {
        writeln!(self.pipe, "{order}")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String> {
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}
