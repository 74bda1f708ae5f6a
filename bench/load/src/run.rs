//! `bench/run`: one program after the other, all of its routes.
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::credentials::Credentials;
use crate::database::Database;
use crate::machine;
use crate::measure;
use crate::options::{Effort, Place, Subject};
use crate::program::{Environment, Program};
use crate::report;
use crate::scratch::Scratch;

/// How fast usersync is here, and what it needs
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    effort: Effort,
    /// How often the program is started
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=100))]
    starts: u32,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let executable = options.subject.executable()?;
    let scratch = Scratch::beside(&executable)?;
    // A peer is one more line here; all programs then stand in one table, measured one after another.
    let programs = [Program::usersync(executable, &options.subject.commit)];

    let mut rows = Vec::new();
    let mut about = String::new();
    for program in &programs {
        let directory = scratch.directory(program.name())?;
        let database = Database::make(options.place.database.as_deref(), &directory, program.name()).await?;
        let ground = Environment::new(directory, database.url(), Credentials::generate()?)?;
        let measured = tokio::select! {
            measured = async {
                about = database.describe().await?;
                measure::measure(program, &ground, options.effort, options.starts).await
            } => measured,
            // What was started is killed as it is dropped; the database has to be removed.
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        };
        database.remove().await?;
        rows.push(measured.with_context(|| format!("{} could not be measured", program.name()))?);
    }

    println!("{}", report::write(&rows, &machine::describe(), &about, options.effort, options.starts));
    if rows.iter().any(|row| row.failures() > 0) {
        bail!("some requests failed: these numbers mean nothing");
    }
    Ok(())
}
