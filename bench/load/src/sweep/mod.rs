//! `bench/sweep`: what webhooks notice of the sweep, which erases old payloads.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports progress and prints the result")]

mod journal;
mod table;

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;

use self::journal::Journal;
use crate::credentials::Credentials;
use crate::database::{self, Database};
use crate::deliveries::{Deliveries, KNOWN_USERS};
use crate::load::{Load, drive};
use crate::machine;
use crate::measure::{ENOUGH, MOST_DELIVERIES, WARM_UP, WARM_UP_DELIVERIES, saturating, succeeded};
use crate::options::{Effort, Place, Subject};
use crate::program::{Environment, Program, Running};
use crate::scratch::Scratch;

/// What webhooks notice while old payloads are erased
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    place: Place,
    /// A database on that server to begin with a copy of, such as one that `bench/fill` has filled
    #[arg(long, value_name = "NAME", requires = "database")]
    template: Option<String>,
    #[command(flatten)]
    effort: Effort,
    /// How many payloads in the journal are older than the retention
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1000..=10_000_000))]
    payloads: u32,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// A second usersync on the same PostgreSQL database, which erases; the webhooks go to the first one
    #[arg(long, requires = "database")]
    replica: bool,
}

/// One turn of both.
struct Round {
    without: Load,
    during: Load,
    /// Payloads that were erased in each second of the measured time.
    erased_per_second: f64,
}

pub(crate) async fn sweep(options: &Options) -> anyhow::Result<()> {
    let executable = options.subject.executable()?;
    let scratch = Scratch::beside(&executable)?;
    let directory = scratch.directory("sweep")?;
    let (server, template) = (options.place.database.as_deref(), options.template.as_deref());
    let database = Database::copy(server, &directory, "sweep", template).await?;
    let measured = tokio::select! {
        measured = measure(options, executable, &scratch, directory, &database) => measured,
        // What was started is killed as it is dropped; the database has to be removed.
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let about = database.describe().await;
    database.remove().await?;
    println!("{}", table::write(&measured?, &machine::describe(), &about?, options));
    Ok(())
}

async fn measure(
    options: &Options,
    executable: PathBuf,
    scratch: &Scratch,
    directory: PathBuf,
    database: &Database,
) -> anyhow::Result<Vec<Round>> {
    let ground = Environment::new(directory, database.url(), Credentials::generate()?)?;
    let other = options.replica.then(|| ground.beside(scratch.directory("replica")?)).transpose()?;
    let keeping = Program::usersync_without_sweep(executable.clone(), &options.subject.commit);
    let erasing = Program::usersync(executable, &options.subject.commit);
    let mut deliveries = Deliveries::new(ground.credentials.webhook()?, ground.host())?;

    eprintln!("writes {} old deliveries", options.payloads);
    let (running, _) = keeping.start(&ground)?;
    let known = deliveries.sign(KNOWN_USERS)?;
    succeeded(drive(ground.address, options.effort.connections, ENOUGH, known.into_iter()).await?)?;
    running.stop()?;
    let journal = Journal::open(&ground.database_url).await?;
    journal.add_old(options.payloads).await?;

    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let mut loads = Vec::new();
        let mut erased_per_second = 0.0;
        for program in [&keeping, &erasing] {
            if let Some(server) = &options.place.database {
                database::settle(server).await?;
            }
            // The replica first, so that it takes the lease of the sweep.
            let other = other.as_ref().map(|ground| program.start(ground)).transpose()?;
            let (running, _) = program.start(&ground)?;
            let warm_up = deliveries.sign(WARM_UP_DELIVERIES)?;
            let rate = load(&ground, options.effort, WARM_UP, warm_up).await?.per_second();
            // Four times what is needed if it goes on as it did: a large table is slow at first.
            let count = saturating(rate * options.effort.duration().as_secs_f64() * 4.0).min(MOST_DELIVERIES);
            let calls = deliveries.sign(count)?;
            let before = journal.old_payloads().await?;
            let measured = load(&ground, options.effort, options.effort.duration(), calls).await?;
            if measured.ran_out {
                bail!("the signed webhooks were not enough");
            }
            let after = journal.old_payloads().await?;
            erased_per_second = f64::from(before - after) / measured.elapsed.as_secs_f64();
            check(after, before - after, loads.len() == 1)?;
            loads.push(measured);
            for running in [Some(running), other.map(|(running, _)| running)].into_iter().flatten() {
                Running::stop(running)?;
            }
        }
        let [without, during] = loads.try_into().map_err(|_| anyhow!("two loads are measured"))?;
        let round = Round { without, during, erased_per_second };
        eprintln!("round {number}: {}", table::summary(&round));
        rounds.push(round);
    }
    journal.close().await?;
    Ok(rounds)
}

/// A round counts only if payloads were erased from its beginning to its end, or none at all.
fn check(remaining: u32, erased: u32, is_erasing: bool) -> anyhow::Result<()> {
    if is_erasing && (remaining == 0 || erased == 0) {
        bail!("the sweep ended before the webhooks did: more --payloads, or fewer --seconds");
    }
    if !is_erasing && erased > 0 {
        bail!("{erased} payloads were erased although none should have been");
    }
    Ok(())
}

async fn load(
    ground: &Environment,
    effort: Effort,
    duration: std::time::Duration,
    calls: Vec<crate::call::Call>,
) -> anyhow::Result<Load> {
    succeeded(drive(ground.address, effort.connections, duration, calls.into_iter()).await?)
}
