//! `pgbench` with the SQL of a delivery, one delivery a transaction: `bench/peers/pgbench`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::spawn_blocking;

use crate::load::Load;

/// Its own threads; each drives its share of the connections.
const THREADS: u32 = 2;

/// PostgreSQL's own benchmark.
pub(crate) struct Pgbench {
    executable: PathBuf,
    /// Makes the tables.
    usersync: PathBuf,
    script: PathBuf,
    record: String,
}

impl Pgbench {
    pub(crate) fn new(executable: PathBuf, usersync: PathBuf, peers: &Path) -> anyhow::Result<Self> {
        let directory = peers.join("pgbench");
        let record = fs::read_to_string(directory.join("record.json"))?.trim().to_owned();
        Ok(Self { executable, usersync, script: directory.join("webhook.sql"), record })
    }

    /// The tables, indexes and all, are those of usersync.
    pub(crate) async fn prepare(&self, database: &str, directory: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(&self.usersync);
        command.arg("migrate").env_clear().env("DATABASE_URL", database).current_dir(directory);
        finish(command).await
    }

    /// Keeps this many connections busy; no message of one turn comes in another.
    pub(crate) async fn drive(
        &self,
        database: &str,
        directory: &Path,
        connections: u32,
        duration: Duration,
        turn: u32,
        payload: &str,
    ) -> anyhow::Result<Load> {
        let mut command = Command::new(&self.executable);
        command.args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix=turn"]);
        command.arg(format!("--client={connections}")).arg(format!("--jobs={}", THREADS.min(connections)));
        command.arg(format!("--time={}", duration.as_secs()));
        command.arg("--define=n=0").arg(format!("--define=turn={turn}"));
        command.arg(format!("--define=payload={payload}")).arg(format!("--define=record={}", self.record));
        command.arg(format!("--file={}", self.script.display())).arg(database);
        // The script names no schema.
        command.env_clear().env("PGOPTIONS", "-c search_path=usersync").current_dir(directory);
        finish(command).await?;
        read_logs(directory)
    }
}

async fn finish(mut command: Command) -> anyhow::Result<()> {
    let output = spawn_blocking(move || command.stdin(Stdio::null()).output()).await?;
    let output = output.context("a program cannot be started")?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Each thread leaves a log with a line for each transaction; they are taken away.
fn read_logs(directory: &Path) -> anyhow::Result<Load> {
    let mut latencies = Vec::new();
    let (mut first, mut last) = (Duration::MAX, Duration::ZERO);
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("turn.")) {
            continue;
        }
        for line in BufReader::new(fs::File::open(&path)?).lines() {
            let (ended, took) = transaction(&line?).context("pgbench's log is not as it was")?;
            first = first.min(ended.saturating_sub(took));
            last = last.max(ended);
            latencies.push(took);
        }
        fs::remove_file(path)?;
    }
    Ok(Load::of(latencies, last.saturating_sub(first)))
}

/// When it ended, and how long it took: client, number, microseconds, script, seconds and microseconds of the
/// end.
fn transaction(line: &str) -> Option<(Duration, Duration)> {
    let fields = line.split(' ').map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let [_, _, took, _, seconds, microseconds] = fields[..] else { return None };
    Some((Duration::from_secs(seconds) + Duration::from_micros(microseconds), Duration::from_micros(took)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_one_transaction() {
        let expected = (Duration::from_micros(1_700_000_000_000_042), Duration::from_millis(5));
        assert_eq!(transaction("3 17 5000 0 1700000000 42"), Some(expected));
        assert_eq!(transaction("3 17 skipped 0 1700000000 42"), None);
    }
}
