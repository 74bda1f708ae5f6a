//! `bench/events`: what an endpoint costs the webhooks, how many events it is sent a second, and how soon.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports progress and prints the result")]

mod receiver;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::connection::Connection;
use crate::credentials::Credentials;
use crate::database::{self, Database};
use crate::deliveries::Deliveries;
use crate::load::{Load, drive};
use crate::machine;
use crate::measure::{MOST_DELIVERIES, WARM_UP, WARM_UP_DELIVERIES, saturating, succeeded};
use crate::options::{Effort, Place, Subject};
use crate::program::{Environment, Program, Running};
use crate::scratch::Scratch;
use receiver::Receiver;

/// What an endpoint costs the webhooks, how many events it is sent a second, and how soon
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    effort: Effort,
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How many webhooks are sent one after the other, to measure how soon their events arrive
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    single: u32,
}

/// One turn of both.
struct Round {
    without: Load,
    with: Load,
    /// How many events a second the receiver got, from the first webhook to the last event.
    events_per_second: f64,
}

/// All that was measured.
struct Measured {
    rounds: Vec<Round>,
    /// From the first byte of a webhook to its 200, and to its event at the receiver.
    to_answer: Load,
    to_event: Load,
}

/// A program that runs, and whose webhooks are of new users only: one event for each.
struct Side {
    ground: Environment,
    _running: Running,
    deliveries: Deliveries,
    /// Webhooks a second, at most so far.
    rate: f64,
}

pub(crate) async fn events(options: &Options) -> anyhow::Result<()> {
    let executable = options.subject.executable()?;
    let scratch = Scratch::beside(&executable)?;
    let receiver = Receiver::start().await?;
    let without = Program::usersync(executable.clone(), &options.subject.commit);
    let with = Program::usersync_with_endpoint(executable, &options.subject.commit, receiver.url());
    let mut databases = Vec::new();
    let measured = tokio::select! {
        measured = measure(&without, &with, &receiver, options, &scratch, &mut databases) => measured,
        // What was started is killed as it is dropped; the databases have to be removed.
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let about = match databases.first() {
        Some(database) => database.describe().await,
        None => Ok(String::new()),
    };
    for database in databases {
        database.remove().await?;
    }
    println!("{}", table::write(&measured?, &without.title(), &machine::describe(), &about?, options));
    Ok(())
}

async fn measure(
    without: &Program,
    with: &Program,
    receiver: &Receiver,
    options: &Options,
    scratch: &Scratch,
    databases: &mut Vec<Database>,
) -> anyhow::Result<Measured> {
    let server = options.place.database.as_deref();
    let mut sides = Vec::new();
    for (name, program) in [("without", without), ("with", with)] {
        let directory = scratch.directory(name)?;
        let database = Database::make(server, &directory, name).await?;
        let ground = Environment::new(directory, database.url(), Credentials::generate()?)?;
        databases.push(database);
        eprintln!("{name} an endpoint: begins");
        let (running, _) = program.start(&ground)?;
        let deliveries = Deliveries::new(ground.credentials.webhook()?, ground.host())?;
        let mut side = Side { ground, _running: running, deliveries, rate: 0.0 };
        let warm_up = side.drive(options.effort.connections, WARM_UP, WARM_UP_DELIVERIES).await?;
        if name == "with" {
            receiver.wait_for(answered(&warm_up)).await?;
        }
        sides.push(side);
    }
    let [without, with] = sides.as_mut_slice() else { bail!("two sides are measured") };
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = round(without, with, receiver, options.effort, server).await?;
        let (least, most) = (round.without.per_second(), round.with.per_second());
        eprintln!(
            "round {number}: {least:.0}/s without, {most:.0}/s with, {:.0} events/s",
            round.events_per_second
        );
        rounds.push(round);
    }
    let (to_answer, to_event) = one_by_one(with, receiver, options.single).await?;
    Ok(Measured { rounds, to_answer, to_event })
}

async fn round(
    without: &mut Side,
    with: &mut Side,
    receiver: &Receiver,
    effort: Effort,
    server: Option<&str>,
) -> anyhow::Result<Round> {
    settle(server).await?;
    let alone = without.drive_for(effort).await?;
    settle(server).await?;
    receiver.clear();
    let started = Instant::now();
    let told = with.drive_for(effort).await?;
    let events = receiver.wait_for(answered(&told)).await?;
    let last = events.iter().map(|event| event.at).max().context("no event")?;
    let events_per_second = f64::from(told.answered()) / (last - started).as_secs_f64();
    Ok(Round { without: alone, with: told, events_per_second })
}

/// Sends webhooks one after the other, each after the event of the one before.
async fn one_by_one(side: &mut Side, receiver: &Receiver, count: u32) -> anyhow::Result<(Load, Load)> {
    eprintln!("{count} webhooks one after the other");
    let mut connection = Connection::open(side.ground.address).await?;
    let (mut to_answer, mut to_event) = (Vec::new(), Vec::new());
    let started = Instant::now();
    for _ in 0..count {
        let (user, call) = side.deliveries.new_user()?;
        receiver.clear();
        let sent = Instant::now();
        let answer = connection.exchange(&call.request).await?;
        call.check(&answer).map_err(|wrong| anyhow!(wrong))?;
        to_answer.push(sent.elapsed());
        let events = receiver.wait_for(1).await?;
        let event = events.first().context("no event")?;
        if event.external_id != user {
            bail!("an event about {} came for {user}", event.external_id);
        }
        to_event.push(event.at - sent);
    }
    let elapsed = started.elapsed();
    Ok((Load::of(to_answer, elapsed), Load::of(to_event, elapsed)))
}

impl Side {
    async fn drive_for(&mut self, effort: Effort) -> anyhow::Result<Load> {
        // Twice what is needed if it goes on as it did.
        let count = saturating(self.rate * effort.duration().as_secs_f64() * 2.0).min(MOST_DELIVERIES);
        self.drive(effort.connections, effort.duration(), count).await
    }

    async fn drive(&mut self, connections: u32, duration: Duration, count: u32) -> anyhow::Result<Load> {
        let calls: Vec<_> = (0..count)
            .map(|_| self.deliveries.new_user().map(|(_, call)| call))
            .collect::<anyhow::Result<_>>()?;
        let load = succeeded(drive(self.ground.address, connections, duration, calls.into_iter()).await?)?;
        if load.ran_out {
            bail!("the signed webhooks were not enough");
        }
        self.rate = self.rate.max(load.per_second());
        Ok(load)
    }
}

fn answered(load: &Load) -> usize {
    usize::try_from(load.answered()).unwrap_or(usize::MAX)
}

async fn settle(server: Option<&str>) -> anyhow::Result<()> {
    match server {
        Some(server) => database::settle(server).await,
        None => Ok(()),
    }
}
