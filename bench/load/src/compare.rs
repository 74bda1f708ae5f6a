//! Acknowledged webhooks beside the peers': short rounds that take turns, so that what the machine does else
//! weighs on all.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it tells how far it is, and what came of it")]

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::Effort;
use crate::credentials::Credentials;
use crate::database::{self, Database};
use crate::deliveries::{Deliveries, KNOWN_USERS};
use crate::load::{Load, drive};
use crate::machine::{self, Processor};
use crate::measure::{ENOUGH, MOST_DELIVERIES, WARM_UP, WARM_UP_DELIVERIES, saturating, succeeded};
use crate::pgbench::Pgbench;
use crate::program::{Ground, Program, Running};
use crate::scratch::Scratch;

/// Who takes turns.
pub(crate) enum Contestant {
    /// Is sent deliveries.
    Service(Program),
    /// Makes its own transactions.
    Pgbench(Pgbench),
}

impl Contestant {
    fn name(&self) -> &'static str {
        match self {
            Self::Service(program) => program.name(),
            Self::Pgbench(_) => "pgbench",
        }
    }
}

/// What one turn brought.
struct Round {
    load: Load,
    processor: Option<Processor>,
}

/// Has each take so many turns and prints the table.
pub(crate) async fn compare(
    contestants: Vec<Contestant>,
    server: &str,
    scratch: &Scratch,
    effort: Effort,
    rounds: u32,
) -> anyhow::Result<()> {
    let mut databases = Vec::new();
    let compared = tokio::select! {
        compared = take_turns(&contestants, server, scratch, effort, rounds, &mut databases) => compared,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let about = match databases.first() {
        Some(database) => database.describe().await,
        None => Ok(String::new()),
    };
    for database in databases {
        database.remove().await?;
    }
    println!("{}", write(&compared?, &about?, effort));
    Ok(())
}

async fn take_turns(
    contestants: &[Contestant],
    server: &str,
    scratch: &Scratch,
    effort: Effort,
    rounds: u32,
    databases: &mut Vec<Database>,
) -> anyhow::Result<Vec<(&'static str, Vec<Round>)>> {
    let process = database::server_process(server).await?;
    let mut players = Vec::new();
    for contestant in contestants {
        let name = contestant.name();
        let directory = scratch.directory(name)?;
        let database = Database::make(Some(server), &directory, name).await?;
        let url = database.url();
        databases.push(database);
        eprintln!("{name}: begins");
        let player = Player::begin(contestant, directory, url, effort).await;
        players.push((player.with_context(|| format!("{name} cannot begin"))?, Vec::new()));
    }
    for turn in 1..=rounds {
        for (player, done) in &mut players {
            database::settle(server).await?;
            let round = player.play(turn, process).await;
            let round = round.with_context(|| format!("{} failed", player.name))?;
            eprintln!("round {turn}: {} {:.0}/s", player.name, round.load.per_second());
            done.push(round);
        }
    }
    Ok(players.into_iter().map(|(player, done)| (player.name, done)).collect())
}

/// A contestant on its ground, warmed up.
struct Player<'a> {
    name: &'static str,
    effort: Effort,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Service { ground: Box<Ground>, running: Running, deliveries: Box<Deliveries>, rate: f64 },
    Pgbench { pgbench: &'a Pgbench, directory: PathBuf, url: String, payload: String },
}

impl<'a> Player<'a> {
    async fn begin(
        contestant: &'a Contestant,
        directory: PathBuf,
        url: String,
        effort: Effort,
    ) -> anyhow::Result<Self> {
        let credentials = Credentials::generate()?;
        let kind = match contestant {
            Contestant::Service(program) => {
                let ground = Ground::new(directory, url, credentials)?;
                let (running, _) = program.start(&ground)?;
                let host = ground.address.to_string();
                let mut deliveries = Deliveries::new(ground.credentials.webhook()?, host)?;
                let users = deliveries.sign(KNOWN_USERS)?.into_iter();
                succeeded(drive(ground.address, effort.connections, ENOUGH, users).await?)?;
                let warm_up = deliveries.sign(WARM_UP_DELIVERIES)?.into_iter();
                let warm = succeeded(drive(ground.address, effort.connections, WARM_UP, warm_up).await?)?;
                let (ground, deliveries) = (Box::new(ground), Box::new(deliveries));
                Kind::Service { ground, running, deliveries, rate: warm.per_second() }
            }
            Contestant::Pgbench(pgbench) => {
                let payload = Deliveries::new(credentials.webhook()?, String::new())?.sample();
                pgbench.prepare(&url, &directory).await?;
                pgbench.drive(&url, &directory, effort.connections, WARM_UP, 0, &payload).await?;
                Kind::Pgbench { pgbench, directory, url, payload }
            }
        };
        Ok(Self { name: contestant.name(), effort, kind })
    }

    async fn play(&mut self, turn: u32, server: Option<u32>) -> anyhow::Result<Round> {
        let Effort { connections, duration, .. } = self.effort;
        match &mut self.kind {
            Kind::Service { ground, running, deliveries, rate } => {
                // Twice what will do if it goes on as it did.
                let count = saturating(*rate * duration.as_secs_f64() * 2.0).min(MOST_DELIVERIES);
                let calls = deliveries.sign(count)?.into_iter();
                let driving = drive(ground.address, connections, duration, calls);
                let round = watch(Some(running.id()), server, driving).await?;
                *rate = rate.max(round.load.per_second());
                Ok(Round { load: succeeded(round.load)?, ..round })
            }
            Kind::Pgbench { pgbench, directory, url, payload } => {
                let driving = pgbench.drive(url, directory, connections, duration, turn, payload);
                watch(None, server, driving).await
            }
        }
    }
}

/// Notes what the processors did meanwhile.
async fn watch(
    program: Option<u32>,
    server: Option<u32>,
    driving: impl Future<Output = anyhow::Result<Load>>,
) -> anyhow::Result<Round> {
    let before = Processor::used(program, server);
    let load = driving.await?;
    let after = Processor::used(program, server);
    Ok(Round { load, processor: before.zip(after).map(|(before, after)| after.since(before)) })
}

fn write(players: &[(&'static str, Vec<Round>)], database: &str, effort: Effort) -> String {
    let mut text = String::from(
        "
| | acknowledged/s | least to most | p50 ms | p99 ms | program CPU µs | PostgreSQL CPU µs | generator CPU µs | others CPU µs |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
",
    );
    for (name, rounds) in players {
        let rate = spread(rounds, |round| round.load.per_second());
        let (p50, p99) =
            (spread(rounds, |round| latency(round, 50)), spread(rounds, |round| latency(round, 99)));
        let _ = write!(
            text,
            "| **{name}** | {:.0} | {:.0} to {:.0} | {:.1} | {:.1} |",
            rate.median, rate.least, rate.most, p50.median, p99.median
        );
        let used: [fn(Processor) -> Duration; 4] =
            [|it| it.program, |it| it.server, |it| it.generator, Processor::others];
        for which in used {
            let each = spread(rounds, |round| {
                let time = round.processor.map_or(Duration::ZERO, which).as_secs_f64();
                time * 1_000_000.0 / f64::from(round.load.answered().max(1))
            });
            let _ = write!(text, " {:.0} |", each.median);
        }
        text.push('\n');
    }
    text.push('\n');
    if let [(first, own), peers @ ..] = players {
        for (name, theirs) in peers {
            let more = ratios(own, theirs, |round| round.load.per_second());
            let later = ratios(own, theirs, |round| latency(round, 99));
            let _ = writeln!(
                text,
                "- {first} / {name}: **{:.2}** times the acknowledged/s ({:.2} to {:.2} in a round), {:.2} times the p99 ({:.2} to {:.2})",
                more.median, more.least, more.most, later.median, later.least, later.most
            );
        }
    }
    let rounds = players.first().map_or(0, |(_, rounds)| rounds.len());
    let Effort { connections, duration, .. } = effort;
    let _ = write!(
        text,
        "\n{}; {database}; {connections} connections, {rounds} rounds of {} s each in turn, medians",
        machine::describe(),
        duration.as_secs()
    );
    text
}

fn latency(round: &Round, percent: usize) -> f64 {
    round.load.percentile(percent).as_secs_f64() * 1000.0
}

/// Of what stood beside each other in a round.
fn ratios(own: &[Round], theirs: &[Round], what: impl Fn(&Round) -> f64) -> Spread {
    Spread::of(own.iter().zip(theirs).map(|(own, theirs)| what(own) / what(theirs)).collect())
}

fn spread(rounds: &[Round], what: impl Fn(&Round) -> f64) -> Spread {
    Spread::of(rounds.iter().map(what).collect())
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        // Of an even number, the middle of the two in the middle.
        let median = f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2));
        Self { least: at(0), median, most: at(values.len().saturating_sub(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_least_and_most() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { least: 1.0, median: 2.0, most: 3.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Spread { least: 1.0, median: 2.5, most: 4.0 });
    }
}
