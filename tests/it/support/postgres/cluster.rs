//! A throw-away cluster, made by the PostgreSQL programs of this machine.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use url::Url;

use super::keeper::Keeper;
use super::{Found, Held, admin};

/// Makes the cluster, starts it, waits for the pipe to close, and takes everything away again.
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

pub(super) async fn start(run: &str) -> Result<Found> {
    let programs = programs().context("`initdb`, `pg_ctl` and `postgres` are not installed")?;
    let password = uuid::Uuid::now_v7().simple().to_string();
    let ports = free_ports().context("no free port")?;
    let mut arguments = vec![SCRIPT, programs.to_str().context("a path that is no UTF-8")?];
    arguments.extend(ports.iter().map(String::as_str));
    let (keeper, answer) = Keeper::start(SCRIPT, &arguments, &password)?;
    let Some(port) = answer.strip_prefix("ready ") else {
        bail!("{} made no cluster: {answer}", programs.display());
    };
    let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres?sslmode=disable");
    let url = Url::parse(&url)?;
    let admin = admin::Connection::open_when_ready(&url, run, Duration::from_secs(10)).await?;
    Ok(Found { url, admin, _held: Some(Held::Cluster { _keeper: keeper }) })
}

/// The folder of the programs.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        // A link in `PATH` stands for one program; its neighbours are where it leads.
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

/// Ports that were free a moment ago; a few, for somebody else may take one before the server does.
fn free_ports() -> std::io::Result<Vec<String>> {
    let listeners = (0..3).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port().to_string())).collect()
}
