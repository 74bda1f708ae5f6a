//! A throw-away cluster, made by the PostgreSQL programs of this machine.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use url::Url;

use super::keeper::CleanupProcess;
use super::{ServerGuard, TestServer, admin};

/// Makes the cluster, starts it, waits for the pipe to close, and removes everything.
const SCRIPT: &str = include_str!("cluster.sh");

/// Where packages put the programs that they keep out of `PATH`; in each, the newest version is tried first.
const USUAL_PLACES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

pub(super) async fn start(run: &str) -> Result<TestServer> {
    let (keeper, url) = make("quick", &free_ports().context("no free port")?)?;
    let admin = admin::Connection::open_when_ready(&url, run, Duration::from_secs(10)).await?;
    Ok(TestServer { url, admin, _held: Some(ServerGuard::Cluster { _keeper: keeper }) })
}

/// A cluster of a test's own, which may be stopped and started again. A commit that it acknowledged survives that.
pub(crate) struct Cluster {
    keeper: CleanupProcess,
    url: Url,
}

impl Cluster {
    /// `None`, with a warning, if the programs are not installed.
    ///
    /// # Panics
    ///
    /// Where they are not and `CI` is set.
    pub(crate) fn make() -> Option<Self> {
        let made = lasting_ports().context("no free port").and_then(|ports| make("durable", &ports));
        super::report_if_missing(made.map(|(keeper, url)| Self { keeper, url }), super::is_set("CI"))
    }

    /// The URL of its only database.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Stops it as a crash does, every process at once: `pg_ctl stop -m immediate`.
    pub(crate) fn stop(&mut self) {
        self.order("stop");
    }

    /// Kills its first process by SIGKILL; the others notice and end.
    pub(crate) fn kill(&mut self) {
        self.order("kill");
    }

    /// Starts it again; returns once it has recovered.
    pub(crate) fn start(&mut self) {
        self.order("start");
    }

    fn order(&mut self, order: &str) {
        assert_eq!(self.keeper.order(order).unwrap(), "done", "the cluster did not {order}");
    }
}

fn make(durability: &str, ports: &[String]) -> Result<(CleanupProcess, Url)> {
    let programs = programs().context("`initdb`, `pg_ctl` and `postgres` are not installed")?;
    let password = uuid::Uuid::now_v7().simple().to_string();
    let mut arguments = vec![SCRIPT, programs.to_str().context("a path that is no UTF-8")?, durability];
    arguments.extend(ports.iter().map(String::as_str));
    let (keeper, answer) = CleanupProcess::start(SCRIPT, &arguments, &password)?;
    let Some(port) = answer.strip_prefix("ready ") else {
        bail!("{} made no cluster: {answer}", programs.display());
    };
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
    Ok((keeper, Url::parse(&url)?))
}

/// The folder of the programs.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        // In `PATH` there may be a link to one program; the others are in the folder of its target.
        .filter_map(|folder| folder.join("initdb").canonicalize().ok()?.parent().map(Path::to_owned))
        .chain(USUAL_PLACES.iter().flat_map(|place| versions(*place)))
        .find(|folder| ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file()))
}

/// The folders `{root}/{prefix}{version}/{rest}` that are there, the newest version first.
fn versions((root, prefix, rest): (&str, &str, &str)) -> Vec<PathBuf> {
    let mut versions: Vec<(Version, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let version =
                folder.file_name()?.to_str()?.strip_prefix(prefix)?.trim_start_matches('-').to_owned();
            Some((version.split('.').map(|part| part.parse().ok()).collect::<Option<Version>>()?, folder))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, folder)| folder.join(rest)).collect()
}

/// `16`, or `9.6`, compared by number.
type Version = Vec<u32>;

/// Ports that no other process takes while the server is down: below those that systems give to clients.
fn lasting_ports() -> Result<Vec<String>> {
    let first = 20_000 + uuid::Uuid::now_v7().as_u128() % 10_000;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let ports: Vec<String> =
        (u16::try_from(first)?..).filter(free).take(3).map(|port| port.to_string()).collect();
    Ok(ports)
}

/// Ports that were just free; several, because another process may take one before the server does.
fn free_ports() -> std::io::Result<Vec<String>> {
    let listeners = (0..3).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port().to_string())).collect()
}
