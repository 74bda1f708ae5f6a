//! An empty database for one program: a SQLite file, or a new database on the given PostgreSQL server.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, Instant};

use anyhow::Context;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement, TryGetable};
use url::Url;

use crate::machine;

/// How often the disk is asked how long it takes.
const SYNCS: usize = 50;
/// A page of the log, about what a small commit writes.
const PAGE: [u8; 4096] = [1; 4096];

/// Where the program keeps its tables.
pub(crate) enum Database {
    Sqlite { directory: PathBuf },
    Postgres { server: Url, name: String },
}

impl Database {
    /// Makes it for this program; `server` is that of PostgreSQL, if it is to be that.
    pub(crate) async fn make(server: Option<&str>, directory: &Path, program: &str) -> anyhow::Result<Self> {
        Self::copy(server, directory, program, None).await
    }

    /// The same, as a copy of another database on the PostgreSQL server, if one is named.
    pub(crate) async fn copy(
        server: Option<&str>,
        directory: &Path,
        program: &str,
        template: Option<&str>,
    ) -> anyhow::Result<Self> {
        let Some(server) = server else { return Ok(Self::Sqlite { directory: directory.to_owned() }) };
        let server: Url = server.parse().context("--database is no URL such as postgres://user@host:5432")?;
        let name = format!("usersync_bench_{}_{program}", process::id());
        let database = Self::Postgres { server, name };
        let how = template.map(|template| format!("TEMPLATE \"{template}\"")).unwrap_or_default();
        database.tell("CREATE DATABASE", &how).await?;
        Ok(database)
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite { directory } => format!("sqlite://{}/usersync.db?mode=rwc", directory.display()),
            Self::Postgres { server, name } => {
                let mut url = server.clone();
                url.set_path(name);
                url.into()
            }
        }
    }

    /// Which database, and how long its promise that a commit is lasting takes.
    pub(crate) async fn describe(&self) -> anyhow::Result<String> {
        match self {
            Self::Sqlite { directory } => {
                let sync = sync_time(directory).context("the disk cannot be measured")?;
                Ok(format!("SQLite; one fsync takes {:.2} ms", sync.as_secs_f64() * 1000.0))
            }
            Self::Postgres { server, .. } => {
                let connection = connect(server).await?;
                let version = setting(&connection, "server_version").await?;
                let sync = setting(&connection, "fsync").await?;
                let commit = setting(&connection, "synchronous_commit").await?;
                connection.close().await?;
                Ok(format!("PostgreSQL {version}; fsync={sync}, synchronous_commit={commit}"))
            }
        }
    }

    /// Drops it; a SQLite file goes with its directory.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        self.tell("DROP DATABASE", "WITH (FORCE)").await
    }

    async fn tell(&self, command: &str, how: &str) -> anyhow::Result<()> {
        let Self::Postgres { server, name } = self else { return Ok(()) };
        let connection = connect(server).await?;
        let done = connection.execute_unprepared(&format!("{command} {name} {how}")).await;
        connection.close().await?;
        done.with_context(|| format!("{command} was refused"))?;
        Ok(())
    }
}

/// The server's first process, if it runs on this machine.
pub(crate) async fn server_process(server: &str) -> anyhow::Result<Option<u32>> {
    let connection = connect(&server.parse()?).await?;
    let backend = value::<i32>(&connection, "SELECT pg_backend_pid()").await?;
    let process = u32::try_from(backend).ok().and_then(machine::parent_of_postgres);
    connection.close().await?;
    Ok(process)
}

/// Writes out what is pending, so that no program has to write what another one left.
pub(crate) async fn settle(server: &str) -> anyhow::Result<()> {
    let connection = connect(&server.parse()?).await?;
    connection.execute_unprepared("CHECKPOINT").await?;
    Ok(connection.close().await?)
}

async fn connect(server: &Url) -> anyhow::Result<DatabaseConnection> {
    let mut url = server.clone();
    if url.path().trim_start_matches('/').is_empty() {
        url.set_path("postgres");
    }
    let mut options = ConnectOptions::new(url.as_str());
    options.max_connections(1).sqlx_logging(false).connect_timeout(Duration::from_secs(5));
    sea_orm::Database::connect(options).await.context("the PostgreSQL server does not answer")
}

async fn setting(connection: &DatabaseConnection, name: &str) -> anyhow::Result<String> {
    value(connection, &format!("SHOW {name}")).await
}

async fn value<T: TryGetable>(connection: &DatabaseConnection, sql: &str) -> anyhow::Result<T> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await?.context("the server does not answer")?;
    Ok(row.try_get_by_index(0)?)
}

/// The median of what it takes to append a page and have it on the disk.
fn sync_time(directory: &Path) -> anyhow::Result<Duration> {
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&PAGE)?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}
