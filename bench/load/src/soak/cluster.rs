//! A throw-away PostgreSQL cluster, made by the script of the tests, which removes it when this process ends.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};

use super::ground::lasting_addresses;
use super::random::Random;

const SCRIPT: &str = include_str!("../../../../tests/it/support/postgres/cluster.sh");
/// Where Debian puts the programs.
const VERSIONS: &str = "/usr/lib/postgresql";
const PASSWORD: &str = "soak";

/// A running cluster whose commits survive a crash.
pub(super) struct Cluster {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl Cluster {
    pub(super) fn make(seed: u64) -> anyhow::Result<Self> {
        let programs = programs().context("`initdb`, `pg_ctl` and `postgres` are not installed")?;
        let ports = lasting_addresses(&mut Random::new(seed ^ u64::from(std::process::id()) ^ 1), 3);
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "usersync-soak-cluster", SCRIPT])
            .arg(programs)
            .arg("durable")
            .args(ports.iter().map(|address| address.port().to_string()))
            // Every user may enter it. Ctrl-C must not reach the server before the replicas.
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut orders = child.stdin.take().context("no pipe")?;
        writeln!(orders, "{PASSWORD}")?;
        let answers = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut cluster = Self { orders, answers, url: String::new() };
        let answer = cluster.answer()?;
        let port = answer.strip_prefix("ready ").with_context(|| format!("no cluster: {answer}"))?;
        cluster.url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}?sslmode=disable");
        Ok(cluster)
    }

    /// The URL of the server.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// `stop`, as a crash does; `kill`, its first process by SIGKILL; or `start`, which returns once it has recovered.
    pub(super) fn order(&mut self, order: &str) -> anyhow::Result<()> {
        writeln!(self.orders, "{order}")?;
        let answer = self.answer()?;
        if answer != "done" {
            bail!("the cluster did not {order}: {answer}");
        }
        Ok(())
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}

/// The folder of the newest version, or of the one in `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|path| Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin"))))
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path)
        .filter_map(|folder| Some(folder.join("initdb").canonicalize().ok()?.parent()?.to_owned()));
    let all = versions.into_iter().rev().map(|(_, path)| path).chain(in_path);
    all.into_iter().find(|folder| folder.join("pg_ctl").is_file() && folder.join("postgres").is_file())
}
