//! A contestant on its ground, and its turns.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::Round;
use super::contestant::{Kind, ProgramSpec};
use crate::call::Call;
use crate::connection::Connection;
use crate::credentials::Credentials;
use crate::deliveries::{Deliveries, KNOWN_USERS};
use crate::load::{Load, drive};
use crate::lookups::lookups;
use crate::machine::Processor;
use crate::measure::{ENOUGH, MOST_DELIVERIES, WARM_UP, WARM_UP_DELIVERIES, saturating, succeeded};
use crate::options::Effort;
use crate::pgbench::Pgbench;
use crate::program::{Environment, Program, Running};

/// A contestant that was started and warmed up.
pub(super) struct ProgramUnderTest<'a> {
    effort: Effort,
    engine: Engine<'a>,
}

/// What makes the requests, and what answers them.
enum Engine<'a> {
    Service { ground: Box<Environment>, running: Running, supply: Supply },
    Pgbench { pgbench: &'a Pgbench, directory: PathBuf, url: String, payload: String },
}

/// Where a turn's calls come from.
enum Supply {
    /// Each is sent once; about so many a second.
    Deliveries(Box<Deliveries>, f64),
    /// The same over and over.
    Lookups(Vec<Call>),
}

impl<'a> ProgramUnderTest<'a> {
    pub(super) async fn begin(
        contestant: &'a ProgramSpec,
        directory: PathBuf,
        url: String,
        effort: Effort,
    ) -> anyhow::Result<Self> {
        let credentials = Credentials::generate()?;
        let engine = match &contestant.kind {
            Kind::Pgbench(pgbench) => {
                let payload = Deliveries::new(credentials.webhook()?, String::new())?.sample();
                pgbench.prepare(&url, &directory).await?;
                pgbench.drive(&url, &directory, effort.connections, WARM_UP, 0, &payload).await?;
                Engine::Pgbench { pgbench, directory, url, payload }
            }
            Kind::Webhooks(program) => {
                let (ground, running) = start(program, directory, url, credentials)?;
                let mut deliveries = store_users(&ground, effort).await?;
                let warm_up = deliveries.sign(WARM_UP_DELIVERIES)?.into_iter();
                let rate = warm_up_with(&ground, effort, warm_up).await?.per_second();
                Engine::Service { ground, running, supply: Supply::Deliveries(Box::new(deliveries), rate) }
            }
            Kind::CurrentUser(program, keep) => {
                let (ground, running) = start(program, directory, url, credentials)?;
                store_users(&ground, effort).await?;
                let calls = lookups(&ground, |asked| asked)?;
                warm_up_with(&ground, effort, calls.clone().into_iter().cycle()).await?;
                if let Some(file) = keep {
                    keep_answer(&ground, &calls, file).await?;
                }
                Engine::Service { ground, running, supply: Supply::Lookups(calls) }
            }
            Kind::Memory(program) => {
                let (ground, running) = start(program, directory, url, credentials)?;
                let calls = lookups(&ground, |_| 0)?;
                warm_up_with(&ground, effort, calls.clone().into_iter().cycle()).await?;
                Engine::Service { ground, running, supply: Supply::Lookups(calls) }
            }
        };
        Ok(Self { effort, engine })
    }

    pub(super) async fn play(&mut self, turn: u32, server: Option<u32>) -> anyhow::Result<Round> {
        let effort = self.effort;
        match &mut self.engine {
            Engine::Service { ground, running, supply } => {
                let calls = supply.calls(effort.duration())?;
                let driving = drive(ground.address, effort.connections, effort.duration(), calls);
                let round = watch(Some(running.id()), server, driving).await?;
                supply.learn(&round.load);
                Ok(Round { load: succeeded(round.load)?, ..round })
            }
            Engine::Pgbench { pgbench, directory, url, payload } => {
                let driving =
                    pgbench.drive(url, directory, effort.connections, effort.duration(), turn, payload);
                watch(None, server, driving).await
            }
        }
    }
}

impl Supply {
    /// More than will do for this long.
    fn calls(&mut self, duration: Duration) -> anyhow::Result<Box<dyn Iterator<Item = Call> + Send>> {
        Ok(match self {
            Self::Deliveries(deliveries, rate) => {
                // Twice what will do if it goes on as it did.
                let count = saturating(*rate * duration.as_secs_f64() * 2.0).min(MOST_DELIVERIES);
                Box::new(deliveries.sign(count)?.into_iter())
            }
            Self::Lookups(calls) => Box::new(calls.clone().into_iter().cycle()),
        })
    }

    fn learn(&mut self, load: &Load) {
        if let Self::Deliveries(_, rate) = self {
            *rate = rate.max(load.per_second());
        }
    }
}

fn start(
    program: &Program,
    directory: PathBuf,
    url: String,
    credentials: Credentials,
) -> anyhow::Result<(Box<Environment>, Running)> {
    let ground = Environment::new(directory, url, credentials)?;
    let (running, _) = program.start(&ground)?;
    Ok((Box::new(ground), running))
}

/// Has the known users stored; what comes after them is left.
async fn store_users(ground: &Environment, effort: Effort) -> anyhow::Result<Deliveries> {
    let mut deliveries = Deliveries::new(ground.credentials.webhook()?, ground.host())?;
    let users = deliveries.sign(KNOWN_USERS)?.into_iter();
    succeeded(drive(ground.address, effort.connections, ENOUGH, users).await?)?;
    Ok(deliveries)
}

async fn warm_up_with(
    ground: &Environment,
    effort: Effort,
    calls: impl Iterator<Item = Call> + Send + 'static,
) -> anyhow::Result<Load> {
    succeeded(drive(ground.address, effort.connections, WARM_UP, calls).await?)
}

/// Keeps the answer to the first call as it comes over the wire.
async fn keep_answer(ground: &Environment, calls: &[Call], file: &Path) -> anyhow::Result<()> {
    let call = calls.first().context("no user to look up")?;
    let mut connection = Connection::open(ground.address).await?;
    let answer = connection.exchange(&call.request).await?;
    Ok(fs::write(file, [answer.head, answer.body].concat())?)
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
