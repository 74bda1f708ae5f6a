//! `bench/soak`: mixed load and random disturbances for minutes or hours, and at the end the audit of the crash tests.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it reports progress and prints the result")]

mod app;
mod audit;
mod clock;
mod cluster;
mod disk;
mod disturbances;
mod feed;
mod ground;
mod growth;
mod history;
mod http;
mod issuer;
mod ledger;
mod observer;
mod plan;
mod random;
mod readers;
mod replica;
mod table;
mod webhooks;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::cluster::Cluster;
use self::disk::Disk;
use self::disturbances::Disturber;
use self::feed::Feed;
use self::ground::{Ground, Plan};
use self::growth::Growth;
use self::observer::Sample;
use self::plan::Setup;
use self::random::Random;
use self::table::Outcome;
use crate::database::Database;
use crate::machine;
use crate::options::{Place, Subject};
use crate::scratch::Scratch;

/// How many streams are followed at the same time.
const STREAMS: usize = 12;
/// Idle connections to the database are closed after a minute. Those to the app are closed when they were idle for 90 seconds,
/// which is looked for every 90 seconds: so it takes up to three minutes.
const SETTLE: Duration = Duration::from_secs(200);

/// Mixed load with random disturbances, and an audit at the end
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    place: Place,
    /// Make a PostgreSQL cluster for this run, which is stopped and killed too; needs `initdb`
    #[arg(long, conflicts_with = "database")]
    cluster: bool,
    /// How long, in addition to --minutes
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=240))]
    hours: u64,
    /// How long [default: 60, if there are no --hours]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: Option<u64>,
    /// The same seed gives the same order of disturbances [default: another one each time]
    #[arg(long)]
    seed: Option<u64>,
    /// Webhooks a second, and as many lookups
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
}

impl Options {
    fn duration(&self) -> Duration {
        let minutes = self.minutes.unwrap_or(if self.hours == 0 { 60 } else { 0 });
        Duration::from_hours(self.hours) + Duration::from_mins(minutes)
    }

    fn is_postgres(&self) -> bool {
        self.cluster || self.place.database.is_some()
    }
}

/// Where a run takes place.
struct Site<'a> {
    executable: &'a Path,
    scratch: &'a Scratch,
    database: &'a Database,
}

pub(crate) async fn soak(options: &Options) -> anyhow::Result<()> {
    let any = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seed = options.seed.unwrap_or_else(any);
    eprintln!("seed {seed}");
    let executable = options.subject.executable()?;
    let mut scratch = Scratch::beside(&executable)?;
    let cluster = if options.cluster { Some(Cluster::make(seed)?) } else { None };
    let server =
        cluster.as_ref().map(|cluster| cluster.url().to_owned()).or_else(|| options.place.database.clone());
    let directory = scratch.directory("database")?;
    let disk = if options.is_postgres() { Disk::Limit } else { Disk::make(&directory) };
    let database = Database::make(server.as_deref(), &directory, "soak").await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let place = Site { executable: &executable, scratch: &scratch, database: &database };
    let outcome = tokio::select! {
        outcome = run(options, seed, place, cluster, disk) => outcome,
        // What was started is killed as it is dropped; the database has to be removed.
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow!("terminated")),
    };
    if outcome.as_ref().is_ok_and(|outcome| outcome.violated == 0) {
        if !options.cluster {
            database.remove().await?;
        }
    } else {
        eprintln!(
            "logs and configuration, and the database if it is not on a server, are in {}",
            scratch.keep().display()
        );
    }
    let outcome = outcome?;
    println!("{}", table::write(&outcome));
    if outcome.violated > 0 {
        bail!("{} violations", outcome.violated);
    }
    Ok(())
}

async fn run(
    options: &Options,
    seed: u64,
    place: Site<'_>,
    cluster: Option<Cluster>,
    disk: Disk,
) -> anyhow::Result<Outcome> {
    let Site { executable, scratch, database } = place;
    let about = database.describe().await?;
    let names: &[&str] = if options.is_postgres() { &["replica-0", "replica-1"] } else { &["replica-0"] };
    let library = clock::library();
    let setup = Setup {
        replicas: names.len(),
        is_postgres: options.is_postgres(),
        is_own_server: options.cluster,
        has_clock: library.is_some(),
    };
    let ground = Ground::make(Plan {
        executable,
        directories: names.iter().map(|name| scratch.directory(name)).collect::<Result<_, _>>()?,
        database_url: database.url(),
        seed,
        library,
    });
    let ground = Arc::new(ground.await?);
    for (index, replica) in ground.replicas.iter().enumerate() {
        replica.lock().await.start(&ground.configuration(index)).await?;
    }
    let duration = options.duration();
    let planned = plan::plan(&mut Random::new(seed), duration, setup);
    eprintln!("{} disturbances in {} s", planned.len(), duration.as_secs());
    let cluster = cluster.map(|cluster| Arc::new(Mutex::new(cluster)));
    let mut disturber = Disturber::new(Arc::clone(&ground), cluster, disk, !options.is_postgres());
    let (began, feed, samples) = (Instant::now(), Feed::default(), Arc::default());
    load(options, &ground, &feed, &samples, began, async {
        disturber.run(&planned, began).await?;
        sleep(duration.saturating_sub(began.elapsed())).await;
        Ok(())
    })
    .await?;
    let lasted = began.elapsed();
    eprintln!("  audit");
    let audited = audit::audit(&ground, &feed, executable, &scratch.directory("replayed")?, seed).await?;
    let samples = std::mem::take(&mut *samples.lock().unwrap_or_else(PoisonError::into_inner));
    let growth = Growth::of(&samples);
    let idle = idle(&ground).await?;
    let grown = growth.and_then(|growth| growth.violation());
    for violation in grown.into_iter().chain(growth::descriptors_violation(idle.0, idle.1)) {
        ground.ledger.violation(violation);
    }
    let mut starts = Vec::new();
    for replica in &ground.replicas {
        let mut replica = replica.lock().await;
        starts.push(replica.starts);
        if let Err(error) = replica.stop().await {
            ground.ledger.violation(format!("{error:#}"));
        }
    }
    let book = ground.ledger.open();
    if book.violated > 0 {
        disturber.disk.save_to(&scratch.file("database-at-the-end"));
    }
    Ok(Outcome {
        commit: options.subject.commit.clone(),
        seed,
        lasted,
        machine: machine::describe(),
        database: about,
        disk: disturber.disk.describe(),
        clock: setup.has_clock,
        disturbances: disturber.done,
        counts: book.counts.clone(),
        starts,
        feed_events: feed.events(),
        app: ground.app.counts(),
        audited,
        growth,
        idle: Some(idle),
        violations: book.violations.clone(),
        violated: book.violated,
    })
}

/// Keeps the load up while something runs; then sends what still waits, and waits for the events.
async fn load(
    options: &Options,
    ground: &Arc<Ground>,
    feed: &Feed,
    samples: &Arc<Mutex<Vec<Sample>>>,
    began: Instant,
    meanwhile: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut readers = JoinSet::new();
    readers.spawn(readers::look_up(Arc::clone(ground), options.rate));
    readers.spawn(readers::wait_for_new_users(Arc::clone(ground)));
    for _ in 0..STREAMS {
        readers.spawn(readers::follow(Arc::clone(ground)));
    }
    let mut observers = JoinSet::new();
    observers.spawn(feed.clone().follow(Arc::clone(ground)));
    observers.spawn(observer::watch(Arc::clone(ground), feed.clone(), began, Arc::clone(samples)));
    let webhooks = tokio::spawn(webhooks::send_all(Arc::clone(ground), options.rate));
    let done = meanwhile.await;
    ground.stop();
    readers.shutdown().await;
    webhooks.await?;
    done?;
    eprintln!("  the rest is sent, and events are waited for");
    webhooks::send_the_rest(ground).await;
    ground.app.become_reliable();
    audit::wait_for_events(ground, feed).await?;
    observers.shutdown().await;
    Ok(())
}

/// What replica 0 uses without load, and then a new process in its place.
async fn idle(ground: &Arc<Ground>) -> anyhow::Result<(Sample, Sample)> {
    let mut replica = ground.replicas[0].lock().await;
    let mut samples = Vec::new();
    for is_new in [false, true] {
        if is_new {
            replica.stop().await?;
            replica.start(&ground.configuration(0)).await?;
        }
        sleep(SETTLE).await;
        let (id, age) = replica.id().zip(replica.age()).context("replica 0 does not run")?;
        samples.push(observer::sample(0, replica.starts, id, age).context("the process cannot be watched")?);
    }
    Ok((samples[0], samples[1]))
}
