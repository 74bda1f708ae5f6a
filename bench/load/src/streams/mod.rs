//! `bench/streams`: what open streams cost, and how soon they are told.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its progress and the result")]

mod board;
mod crowd;
pub(crate) mod events;
mod open_files;
mod table;

use std::fmt::{Display, Formatter};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use clap::Args;
use tokio::time::sleep;

use crate::credentials::Credentials;
use crate::database::{self, Database};
use crate::deliveries::{Deliveries, KNOWN_USERS};
use crate::load::drive;
use crate::machine::{self, Memory, Processor};
use crate::measure::{ENOUGH, SETTLE, succeeded};
use crate::options::{Place, Subject};
use crate::program::{Environment, Program, Running};
use crate::scratch::Scratch;
use crowd::OpenStreams;

/// How many connections store the users.
const STORING: u32 = 32;
/// Between two webhooks, so that one is over before the next.
const PAUSE: Duration = Duration::from_millis(200);

/// What open streams cost, and how soon they are told
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    place: Place,
    /// How many streams are open
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    streams: u32,
    /// The webhooks go to one replica, and the streams are at another
    #[arg(long, requires = "database")]
    replica: bool,
    /// How many webhooks are posted, one after the other
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    webhooks: u32,
    /// How long the streams are watched while nothing is told; a sign of life comes every 15 s
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    idle_seconds: u64,
}

/// Whom the streams follow.
#[derive(Clone, Copy, Debug)]
enum Followed {
    /// All known users, one after the other.
    Everyone,
    /// The first one alone.
    One,
}

impl Followed {
    /// How many users there are to follow.
    fn users(self) -> u32 {
        match self {
            Self::Everyone => KNOWN_USERS,
            Self::One => 1,
        }
    }
}

impl Display for Followed {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everyone => write!(formatter, "{KNOWN_USERS} users"),
            Self::One => write!(formatter, "one user"),
        }
    }
}

/// All that was measured while one crowd of streams was open.
struct Measured {
    followed: Followed,
    /// From the first one asked for to the last one that had its first event.
    opened: Duration,
    before: Option<Memory>,
    after: Option<Memory>,
    /// Of the program with the streams, and how long that was watched.
    idle: Option<Processor>,
    idle_for: Duration,
    rounds: Vec<Round>,
}

/// What one webhook led to.
struct Round {
    /// From its first byte sent to its 200.
    answered: Duration,
    /// From its 200 to when each stream had been told, in milliseconds, the first one first; it may be before.
    told: Vec<f64>,
    /// Of the program with the streams, and of the database's server.
    processor: Option<Processor>,
}

pub(crate) async fn streams(options: &Options) -> anyhow::Result<()> {
    open_files::allow(options.streams)?;
    let executable = options.subject.executable()?;
    let scratch = Scratch::beside(&executable)?;
    let program = Program::usersync(executable, &options.subject.commit);
    let directory = scratch.directory("first")?;
    let database = Database::make(options.place.database.as_deref(), &directory, "streams").await?;
    let ground = Environment::new(directory, database.url(), Credentials::generate()?)?;
    let second = if options.replica { Some(ground.beside(scratch.directory("second")?)?) } else { None };
    let mut about = String::new();
    let measured = tokio::select! {
        measured = async {
            about = database.describe().await?;
            measure(&program, &ground, second.as_ref(), options).await
        } => measured,
        // What was started is killed as it is dropped; the database has to be removed.
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    database.remove().await?;
    println!("{}", table::write(&measured?, &program.title(), &machine::describe(), &about, options));
    Ok(())
}

/// Each crowd finds a program that has just started, so that none has the memory of another.
async fn measure(
    program: &Program,
    first: &Environment,
    second: Option<&Environment>,
    options: &Options,
) -> anyhow::Result<Vec<Measured>> {
    let mut deliveries = Deliveries::new(first.credentials.webhook()?, first.host())?;
    let server = match &options.place.database {
        Some(server) => database::server_process(server).await?,
        None => None,
    };
    let mut all = Vec::new();
    for followed in [Followed::Everyone, Followed::One] {
        let (writer, _) = program.start(first)?;
        let replica = second.map(|ground| program.start(ground)).transpose()?;
        let users = deliveries.known()?.into_iter();
        succeeded(drive(first.address, STORING, ENOUGH, users).await?)?;
        let stage = Stage {
            writer: first,
            reader: second.unwrap_or(first),
            running: replica.as_ref().map_or(&writer, |(replica, _)| replica),
            server,
        };
        all.push(stage.measure(followed, &mut deliveries, options).await?);
        if let Some((replica, _)) = replica {
            replica.stop()?;
        }
        writer.stop()?;
    }
    Ok(all)
}

/// Where webhooks are posted, and where the streams are.
struct Stage<'a> {
    writer: &'a Environment,
    reader: &'a Environment,
    /// The program with the streams.
    running: &'a Running,
    /// PostgreSQL's first process, if it runs on this machine.
    server: Option<u32>,
}

impl Stage<'_> {
    async fn measure(
        &self,
        followed: Followed,
        deliveries: &mut Deliveries,
        options: &Options,
    ) -> anyhow::Result<Measured> {
        sleep(SETTLE).await;
        let before = Memory::of(self.running.id());
        eprintln!("{} streams of {followed}: are opened", options.streams);
        let begun = Instant::now();
        let crowd = OpenStreams::open(self.reader, options.streams, followed.users()).await?;
        let opened = begun.elapsed();
        sleep(SETTLE).await;
        let after = Memory::of(self.running.id());

        let idle_for = Duration::from_secs(options.idle_seconds);
        eprintln!("are idle for {} s", options.idle_seconds);
        let idle = self.watch(async {
            sleep(idle_for).await;
            Ok(())
        });
        let ((), idle) = idle.await?;

        eprintln!("are told {} times", options.webhooks);
        let mut rounds = Vec::new();
        for number in 0..options.webhooks {
            let user = number % followed.users().min(options.streams);
            let call = deliveries.update(user)?;
            let telling = crowd.tell(self.writer.address, call, user);
            let ((answered, told), processor) = self.watch(telling).await?;
            let last = told.last().copied().unwrap_or_default();
            eprintln!("webhook {number}: {} told, the last {last:.1} ms after the 200", told.len());
            rounds.push(Round { answered, told, processor });
            sleep(PAUSE).await;
            crowd.check().context("after all had been told")?;
        }
        Ok(Measured { followed, opened, before, after, idle, idle_for, rounds })
    }

    /// Notes what the processors did meanwhile.
    async fn watch<T>(
        &self,
        doing: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<(T, Option<Processor>)> {
        let before = Processor::used(Some(self.running.id()), self.server);
        let done = doing.await?;
        let after = Processor::used(Some(self.running.id()), self.server);
        Ok((done, before.zip(after).map(|(before, after)| after.since(before))))
    }
}
