//! `bench/compare`: one route beside the peers', in short rounds that take turns, so that what the machine
//! does else weighs on all.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its progress and the result")]

mod contestant;
mod player;
mod table;

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};

use crate::database::{self, Database};
use crate::load::Load;
use crate::machine::Processor;
use crate::options::{Effort, Subject};
use crate::scratch::Scratch;
use contestant::{ProgramSpec, contestants};
use player::ProgramUnderTest;
use table::Row;

/// How fast usersync is beside its peers
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is compared
    #[arg(value_enum, default_value_t = Route::Webhooks)]
    route: Route,
    #[command(flatten)]
    subject: Subject,
    /// PostgreSQL server, postgres://…; each makes a database there, and it is dropped
    #[arg(long, value_name = "URL")]
    database: String,
    /// A database on that server, such as one that `bench/fill` has filled: usersync and pgbench begin with a copy of it
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    #[command(flatten)]
    effort: Effort,
    /// How often each takes its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Another usersync to compare with
    #[arg(long, value_name = "FILE")]
    other: Option<PathBuf>,
    /// Leave the peers out and compare with the other usersync only
    #[arg(long, requires = "other")]
    only_other: bool,
    /// Where the peers are
    #[arg(long, value_name = "DIRECTORY")]
    peers: PathBuf,
    /// Node, to run the peers with
    #[arg(long, value_name = "FILE")]
    node: PathBuf,
    /// PostgreSQL's own benchmark
    #[arg(long, value_name = "FILE")]
    pgbench: PathBuf,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Route {
    /// Deliveries, each answered after its commit
    Webhooks,
    /// GET /v1/users/current, for users who are there
    CurrentUser,
}

/// What one turn brought.
struct Round {
    load: Load,
    processor: Option<Processor>,
}

/// Has each take its turns and prints the table.
pub(crate) async fn compare(options: &Options) -> anyhow::Result<()> {
    let scratch = Scratch::beside(&options.subject.executable()?)?;
    let contestants = contestants(options, &scratch)?;
    let mut databases = Vec::new();
    let compared = tokio::select! {
        compared = take_turns(&contestants, options, &scratch, &mut databases) => compared,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let about = match databases.first() {
        Some(database) => database.describe().await,
        None => Ok(String::new()),
    };
    for database in databases {
        database.remove().await?;
    }
    println!("{}", table::write(options.route, &compared?, &about?, options.effort));
    Ok(())
}

async fn take_turns(
    contestants: &[ProgramSpec],
    options: &Options,
    scratch: &Scratch,
    databases: &mut Vec<Database>,
) -> anyhow::Result<Vec<Row>> {
    let server = options.database.as_str();
    let process = database::server_process(server).await?;
    let mut players = Vec::new();
    for contestant in contestants {
        let directory = scratch.directory(&contestant.identifier())?;
        let server = contestant.on_server.then_some(server);
        let template = options.template.as_deref().filter(|_| !contestant.has_own_tables);
        let database = Database::copy(server, &directory, &contestant.identifier(), template).await?;
        let url = database.url();
        databases.push(database);
        eprintln!("{}: begins", contestant.title);
        let player = ProgramUnderTest::begin(contestant, directory, url, options.effort).await;
        let player = player.with_context(|| format!("{} cannot begin", contestant.title))?;
        players.push((player, Row::of(contestant)));
    }
    for turn in 1..=options.rounds {
        for (player, row) in &mut players {
            database::settle(server).await?;
            let round = player.play(turn, process).await;
            let round = round.with_context(|| format!("{} failed", row.title))?;
            eprintln!("round {turn}: {} {:.0}/s", row.title, round.load.per_second());
            row.rounds.push(round);
        }
    }
    Ok(players.into_iter().map(|(_, row)| row).collect())
}
