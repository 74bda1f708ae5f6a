//! Starts a program, drives load through it and prints what it cost; `bench/run` builds and calls this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to the terminal")]

mod call;
mod compare;
mod connection;
mod credentials;
mod database;
mod deliveries;
mod load;
mod machine;
mod measure;
mod pgbench;
mod program;
mod report;
mod scratch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Parser;

use crate::compare::Contestant;
use crate::credentials::Credentials;
use crate::database::Database;
use crate::pgbench::Pgbench;
use crate::program::{Ground, Program};
use crate::scratch::Scratch;

/// How fast usersync is here, and what it needs
#[derive(Debug, Parser)]
#[command(name = "bench/run")]
struct Options {
    /// PostgreSQL server to measure against, postgres://…; a database is made there and dropped [default:
    /// SQLite]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// How long each route is driven; a signature is good for five minutes
    #[arg(long, default_value_t = 10, overrides_with = "seconds", value_parser = clap::value_parser!(u64).range(1..=250))]
    seconds: u64,
    /// How many connections are kept busy
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// How often the program is started
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=100))]
    starts: u32,
    /// The usersync to measure
    #[arg(long, value_name = "FILE")]
    usersync: PathBuf,
    /// Only webhooks, compared with the peers in this directory, in rounds that take turns; needs --database
    #[arg(long, value_name = "DIRECTORY", requires_all = ["database", "node", "pgbench"])]
    peers: Option<PathBuf>,
    /// How often each takes its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Another usersync to compare with
    #[arg(long, value_name = "FILE", requires = "peers")]
    other: Option<PathBuf>,
    /// Leave the peers out and compare with the other usersync only
    #[arg(long, requires = "other")]
    only_other: bool,
    /// Node, to run the peers with
    #[arg(long, value_name = "FILE")]
    node: Option<PathBuf>,
    /// PostgreSQL's own benchmark
    #[arg(long, value_name = "FILE")]
    pgbench: Option<PathBuf>,
    /// What it was built from
    #[arg(long, default_value = "unknown")]
    commit: String,
}

/// How hard to drive.
#[derive(Clone, Copy, Debug)]
struct Effort {
    duration: Duration,
    connections: u32,
    starts: u32,
}

// One thread: the generator must leave the machine to what it measures, and one thread's share is easy to
// watch.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Who takes turns, usersync first.
fn contestants(options: &Options, usersync: PathBuf, peers: &Path) -> anyhow::Result<Vec<Contestant>> {
    let mut all = vec![Contestant::Service(Program::usersync(usersync.clone(), &options.commit))];
    if let Some(other) = &options.other {
        let other = other.canonicalize().context("--other names no file")?;
        all.push(Contestant::Service(Program::other_usersync(other)));
    }
    if let (false, Some(node), Some(pgbench)) = (options.only_other, &options.node, &options.pgbench) {
        let peers = peers.canonicalize().context("--peers names no directory")?;
        all.push(Contestant::Pgbench(Pgbench::new(pgbench.clone(), usersync, &peers)?));
        all.push(Contestant::Service(Program::fastify(node.clone(), &peers)));
    }
    Ok(all)
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let effort = Effort {
        duration: Duration::from_secs(options.seconds),
        connections: options.connections,
        starts: options.starts,
    };
    let executable = options.usersync.canonicalize().context("--usersync names no file")?;
    let scratch = Scratch::beside(&executable)?;

    if let (Some(server), Some(peers)) = (&options.database, &options.peers) {
        let contestants = contestants(options, executable, peers)?;
        return compare::compare(contestants, server, &scratch, effort, options.rounds).await;
    }

    // A peer is one more line here; all programs then stand in one table, measured one after another.
    let programs = [Program::usersync(executable, &options.commit)];

    let mut rows = Vec::new();
    let mut about = String::new();
    for program in &programs {
        let directory = scratch.directory(program.name())?;
        let database = Database::make(options.database.as_deref(), &directory, program.name()).await?;
        let ground = Ground::new(directory, database.url(), Credentials::generate()?)?;
        let measured = tokio::select! {
            measured = async {
                about = database.describe().await?;
                measure::measure(program, &ground, effort).await
            } => measured,
            // What was started is killed as it is dropped; the database has to be removed.
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        };
        database.remove().await?;
        rows.push(measured.with_context(|| format!("{} could not be measured", program.name()))?);
    }

    println!("{}", report::write(&rows, &machine::describe(), &about, effort));
    if rows.iter().any(|row| row.failures() > 0) {
        bail!("some requests failed: these numbers mean nothing");
    }
    Ok(())
}
