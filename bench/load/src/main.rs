//! Starts a program, drives load through it and prints what it cost; `bench/run` and its neighbours build and
//! call this.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures what really happens")]
#![expect(clippy::print_stderr, reason = "it prints to the terminal")]

mod backfill;
mod call;
mod compare;
mod connection;
mod credentials;
mod database;
mod deliveries;
mod events;
mod load;
mod lookups;
mod machine;
mod measure;
mod options;
mod pgbench;
mod program;
mod report;
mod run;
mod scratch;
mod soak;
mod spread;
mod streams;
mod sweep;

use std::process::ExitCode;

use clap::Parser;

/// What can be measured.
#[derive(Debug, Parser)]
#[command(name = "bench", bin_name = "bench", disable_help_subcommand = true)]
enum Command {
    Run(run::Options),
    Compare(compare::Options),
    Streams(streams::Options),
    Backfill(backfill::Options),
    Events(events::Options),
    Sweep(sweep::Options),
    Soak(soak::Options),
}

// One thread: the generator must leave the machine to what it measures, and one thread's share is easy to
// watch.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Run(options) => run::run(&options).await,
        Command::Compare(options) => compare::compare(&options).await,
        Command::Streams(options) => streams::streams(&options).await,
        Command::Backfill(options) => backfill::backfill(&options).await,
        Command::Events(options) => events::events(&options).await,
        Command::Sweep(options) => sweep::sweep(&options).await,
        Command::Soak(options) => Box::pin(soak::soak(&options)).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
