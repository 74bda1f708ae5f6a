//! Starts a program, drives load through it and prints what it cost; `bench/run` builds and calls this.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to the terminal")]

mod credentials;
mod database;
mod deliveries;
mod load;
mod machine;
mod measure;
mod program;
mod report;
mod scratch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Parser;

use crate::credentials::Credentials;
use crate::database::Database;
use crate::program::{Ground, Program};
use crate::scratch::Scratch;

/// How fast usersync is here, and what it needs
#[derive(Debug, Parser)]
#[command(name = "bench/run")]
struct Options {
    /// PostgreSQL server to measure against, postgres://…; a database is made there and dropped [default: SQLite]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// How long each route is driven; a signature is good for five minutes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=250))]
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

// One thread: the generator must leave the machine to what it measures, and one thread's share is easy to watch.
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

async fn run(options: &Options) -> anyhow::Result<()> {
    let effort = Effort {
        duration: Duration::from_secs(options.seconds),
        connections: options.connections,
        starts: options.starts,
    };
    let executable = options.usersync.canonicalize().context("--usersync names no file")?;
    let scratch = Scratch::beside(&executable)?;

    // A peer is one more line here; all programs then stand in one table, measured one after another.
    let programs = [Program::usersync(executable, &options.commit)];

    let mut rows = Vec::new();
    let mut about = String::new();
    for program in &programs {
        let directory = scratch.directory(program.name())?;
        let database = Database::make(options.database.as_deref(), &directory).await?;
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
