//! One program from its first start to its stop.
#![expect(clippy::print_stderr, reason = "a long measurement prints its progress")]

use std::future::Future;
use std::time::Duration;

use anyhow::bail;
use tokio::time::sleep;

use crate::call::Call;
use crate::deliveries::{Deliveries, KNOWN_USERS};
use crate::load::{Load, drive};
use crate::lookups::lookups;
use crate::machine::{Memory, Processor};
use crate::options::Effort;
use crate::program::{Environment, Program, Running};

/// A program that has just started settles before its memory is read.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);
/// How long a route is driven before it counts.
pub(crate) const WARM_UP: Duration = Duration::from_secs(2);
/// As long as it takes.
pub(crate) const ENOUGH: Duration = Duration::from_hours(1);
/// Each takes about 4 kB while it waits.
pub(crate) const MOST_DELIVERIES: u32 = 500_000;
/// The warm-up's; what is not used is left.
pub(crate) const WARM_UP_DELIVERIES: u32 = 20_000;

/// All that was measured of one program.
pub(crate) struct Measured {
    /// Name and version.
    pub(crate) title: String,
    /// With an empty database.
    pub(crate) first_start: Duration,
    /// With one that is prepared; the median.
    pub(crate) later_start: Duration,
    pub(crate) idle: Option<Memory>,
    pub(crate) loaded: Option<Memory>,
    /// Of a delivery's body, the mean, in bytes.
    pub(crate) payload: usize,
    pub(crate) routes: Vec<Route>,
}

/// What was measured of one route.
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) load: Load,
    /// Processor time used meanwhile.
    pub(crate) processor: Option<Processor>,
}

impl Measured {
    pub(crate) fn failures(&self) -> u32 {
        self.routes.iter().map(|route| route.load.failures).sum()
    }
}

/// Starts it several times, drives each route through the last one, and stops it.
pub(crate) async fn measure(
    program: &Program,
    ground: &Environment,
    effort: Effort,
    starts: u32,
) -> anyhow::Result<Measured> {
    eprintln!("{}: {} starts", program.title(), starts);
    let (mut running, first_start) = program.start(ground)?;
    let mut later = Vec::new();
    for _ in 1..starts {
        running.stop()?;
        let (again, took) = program.start(ground)?;
        running = again;
        later.push(took);
    }
    later.sort_unstable();
    sleep(SETTLE).await;
    let idle = Memory::of(running.id());

    let stage = Stage { ground, effort, running: &running };
    let (webhook, payload) = stage.webhook().await?;
    let current_user = stage.again("current user", lookups(ground, |asked| asked)?).await?;
    let nothing =
        stage.again("health (does nothing)", vec![Call::get(&ground.host(), "/healthz", &[])]).await?;
    let loaded = Memory::of(running.id());
    running.stop()?;
    Ok(Measured {
        title: program.title(),
        first_start,
        later_start: later[later.len() / 2],
        idle,
        loaded,
        payload,
        routes: vec![webhook, current_user, nothing],
    })
}

/// The program as it runs, and how hard it is to be driven.
struct Stage<'a> {
    ground: &'a Environment,
    effort: Effort,
    running: &'a Running,
}

impl Stage<'_> {
    /// Every delivery is sent once; also returns how long their bodies are.
    async fn webhook(&self) -> anyhow::Result<(Route, usize)> {
        let mut deliveries = Deliveries::new(self.ground.credentials.webhook()?, self.ground.host())?;
        eprintln!("webhook: {KNOWN_USERS} users, and a warm-up");
        let users = deliveries.sign(KNOWN_USERS)?;
        succeeded(self.drive(ENOUGH, users.into_iter()).await?)?;
        let warm_up = deliveries.sign(WARM_UP_DELIVERIES)?;
        let rate = succeeded(self.drive(WARM_UP, warm_up.into_iter()).await?)?.per_second();

        // Twice what will do if it goes on as it began.
        let count = saturating(rate * self.effort.duration().as_secs_f64() * 2.0).min(MOST_DELIVERIES);
        eprintln!("webhook: signs {count} deliveries");
        let calls = deliveries.sign(count)?;
        let bytes: usize = calls.iter().map(|call| call.body().len()).sum();
        let payload = bytes / calls.len().max(1);
        let driving = self.drive(self.effort.duration(), calls.into_iter());
        Ok((self.watch("webhook", driving).await?, payload))
    }

    /// The same calls over and over.
    async fn again(&self, name: &'static str, calls: Vec<Call>) -> anyhow::Result<Route> {
        eprintln!("{name}: warm-up");
        succeeded(self.drive(WARM_UP, calls.clone().into_iter().cycle()).await?)?;
        let driving = self.drive(self.effort.duration(), calls.into_iter().cycle());
        self.watch(name, driving).await
    }

    async fn drive(
        &self,
        duration: Duration,
        calls: impl Iterator<Item = Call> + Send + 'static,
    ) -> anyhow::Result<Load> {
        drive(self.ground.address, self.effort.connections, duration, calls).await
    }

    /// Notes what the processors did meanwhile.
    async fn watch(
        &self,
        name: &'static str,
        driving: impl Future<Output = anyhow::Result<Load>>,
    ) -> anyhow::Result<Route> {
        eprintln!("{name}: {} s", self.effort.seconds);
        let before = Processor::used(Some(self.running.id()), None);
        let load = driving.await?;
        let after = Processor::used(Some(self.running.id()), None);
        let processor = before.zip(after).map(|(before, after)| after.since(before));
        Ok(Route { name, load, processor })
    }
}

/// What does not work before it counts need not be measured.
pub(crate) fn succeeded(load: Load) -> anyhow::Result<Load> {
    match &load.failure {
        Some(failure) => bail!("{} requests failed, first: {failure}", load.failures),
        None => Ok(load),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` is what saturates")]
pub(crate) fn saturating(number: f64) -> u32 {
    number as u32
}
