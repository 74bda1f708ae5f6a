//! `bench/backfill`: how fast users are read in, how much memory that takes, and what webhooks notice of it.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::print_stderr, reason = "a long measurement prints its progress")]

mod clerk;
mod limit;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio::time::sleep;

use self::clerk::Users;
use crate::credentials::Credentials;
use crate::database::Database;
use crate::deliveries::{Deliveries, KNOWN_USERS};
use crate::load::{Load, drive};
use crate::machine::{self, Memory};
use crate::measure::{ENOUGH, succeeded};
use crate::options::{Place, Subject};
use crate::program::{Environment, Program};
use crate::scratch::Scratch;

/// How often the memory of a process is read.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The small file whose memory the large one's is compared with.
const FEW: u32 = 1000;
/// The handwritten script is slow: so many users tell how slow.
const MOST_FOR_SCRIPT: u32 = 20_000;
/// Webhooks that are sent at the same time, without being the limit themselves.
const CONNECTIONS: u32 = 4;
/// More than can be answered in the measured time.
const DELIVERIES: u32 = 60_000;

/// How fast a list of users is read in, and what it costs
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    place: Place,
    /// How many users the provider has
    #[arg(long, default_value_t = 1_000_000)]
    users: u32,
    /// How long webhooks are sent beside a backfill, and without one
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The handwritten script, on PostgreSQL only
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Node, for the script
    #[arg(long, default_value = "node")]
    node: PathBuf,
}

/// A process that has ended well.
struct Run {
    elapsed: Duration,
    /// The most memory that it had after half of the time, and in all.
    halfway: u64,
    highest: u64,
}

pub(crate) async fn backfill(options: &Options) -> anyhow::Result<()> {
    let executable = options.subject.executable()?;
    let scratch = Scratch::beside(&executable)?;
    let directory = scratch.directory("backfill")?;
    let database = Database::make(options.place.database.as_deref(), &directory, "backfill").await?;
    let bench = Bench { options, executable, directory, database: database.url() };
    let measured = tokio::select! {
        measured = bench.measure() => measured,
        // What was started is killed as it is dropped; the database has to be removed.
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    let about = database.describe().await;
    database.remove().await?;
    println!("{}\n\n{}; {}", measured?, machine::describe(), about?);
    Ok(())
}

struct Bench<'a> {
    options: &'a Options,
    executable: PathBuf,
    directory: PathBuf,
    database: String,
}

impl Bench<'_> {
    async fn measure(&self) -> anyhow::Result<String> {
        let count = self.options.users;
        let clerk = clerk::serve(Users::new(count, "listed")?)?;
        let config = self.configure(clerk)?;
        let mut lines = vec!["| | |".to_owned(), "|---|---:|".to_owned()];

        eprintln!("backfill: {count} users");
        let all = self.read(&config, &["backfill", "clerk", "--json"]).await?;
        let rate = per_second(count, all.elapsed);
        lines.push(format!("| backfill of {count} users, users/s | {rate:.0} |"));
        lines.push(format!(
            "| memory halfway, at most, MiB | {}, {} |",
            mebibytes(all.halfway),
            mebibytes(all.highest)
        ));

        eprintln!("the same rows in bulk");
        let bulk = per_second(count, limit::copy(&self.database, &self.directory)?);
        lines.push(format!("| the same rows in bulk, users/s | {bulk:.0} |"));
        lines.push(format!("| ratio to bulk | {:.2} |", rate / bulk));
        if let Some(script) = &self.options.script {
            let few = count.min(MOST_FOR_SCRIPT);
            eprintln!("the script: {few} users");
            let api = clerk::serve(Users::new(few, "listed")?)?;
            let by_script = per_second(few, self.run_script(script, api).await?.elapsed);
            lines.push(format!("| handwritten script, users/s | {by_script:.0} |"));
            lines.push(format!("| ratio to the script | {:.1} |", rate / by_script));
        }

        let mut highest = Vec::new();
        for count in [FEW, count] {
            eprintln!("a file of {count} users");
            let file = self.write_file(count)?;
            let arguments =
                ["backfill", "clerk", "--restart", "--json", "--file", &file.display().to_string()];
            highest.push(self.read(&config, &arguments).await?.highest);
            fs::remove_file(file)?;
        }
        let more = highest[1].saturating_sub(highest[0]);
        lines.push(format!(
            "| a file of {count} users instead of {FEW}: more memory, MiB | {} |",
            mebibytes(more)
        ));

        let [alone, beside] = self.webhooks().await?;
        for (what, load) in [("without", &alone), ("beside", &beside)] {
            let [p50, p99] = [50, 99].map(|percent| load.percentile(percent).as_secs_f64() * 1000.0);
            lines.push(format!("| webhooks {what} a backfill, p50 and p99 in ms | {p50:.1}, {p99:.1} |"));
        }
        let ratio = beside.percentile(99).as_secs_f64() / alone.percentile(99).as_secs_f64();
        lines.push(format!("| ratio of the p99 | {ratio:.1} |"));
        Ok(lines.join("\n"))
    }

    fn configure(&self, clerk: SocketAddr) -> anyhow::Result<PathBuf> {
        let file = self.directory.join("backfill.toml");
        let database = &self.database;
        let text = format!(
            "[database]\nurl = \"{database}\"\n[[sources]]\nname = \"clerk\"\nprovider = \"clerk\"\n\
             webhook_secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n[sources.api]\nsecret_key = \"sk_live_bench\"\n\
             base_url = \"http://{clerk}\"\nrequests_per_second = 100000\n"
        );
        fs::write(&file, text)?;
        Ok(file)
    }

    fn command(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg("--config").arg(config).args(arguments).env_clear().current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    async fn read(&self, config: &Path, arguments: &[&str]) -> anyhow::Result<Run> {
        watch(&mut self.command(config, arguments)).await
    }

    async fn run_script(&self, script: &Path, api: SocketAddr) -> anyhow::Result<Run> {
        let mut command = Command::new(&self.options.node);
        command.arg(script).args(["--database", &self.database, "--api", &format!("http://{api}")]);
        watch(command.stdin(Stdio::null())).await
    }

    fn write_file(&self, count: u32) -> anyhow::Result<PathBuf> {
        let path = self.directory.join("users.ndjson");
        let users = Users::new(count, "listed")?;
        let mut file = BufWriter::new(File::create(&path)?);
        for number in 0..count {
            writeln!(file, "{}", users.user(number))?;
        }
        file.flush()?;
        Ok(path)
    }

    /// Webhooks alone, and while a backfill runs.
    async fn webhooks(&self) -> anyhow::Result<[Load; 2]> {
        let directory = self.directory.join("serve");
        fs::create_dir(&directory)?;
        let ground = Environment::new(directory, self.database.clone(), Credentials::generate()?)?;
        let program = Program::usersync(self.executable.clone(), &self.options.subject.commit);
        let (running, _) = program.start(&ground)?;
        let mut deliveries = Deliveries::new(ground.credentials.webhook()?, ground.host())?;
        let known = deliveries.sign(KNOWN_USERS)?;
        succeeded(drive(ground.address, CONNECTIONS, ENOUGH, known.into_iter()).await?)?;

        let mut loads = Vec::new();
        for is_beside in [false, true] {
            eprintln!("webhooks, {} a backfill", if is_beside { "beside" } else { "without" });
            let calls = deliveries.sign(DELIVERIES)?;
            // Everybody is new.
            let other = self.configure(clerk::serve(Users::new(self.options.users, "beside")?)?)?;
            let reading =
                is_beside.then(|| self.command(&other, &["backfill", "clerk", "--restart"]).spawn());
            let reading = reading.transpose()?.map(Killed);
            let seconds = Duration::from_secs(self.options.seconds);
            loads.push(succeeded(drive(ground.address, CONNECTIONS, seconds, calls.into_iter()).await?)?);
            if let Some(mut reading) = reading
                && reading.0.try_wait()?.is_some()
            {
                bail!("the backfill was over before the webhooks were: more --users, or fewer --seconds");
            }
        }
        running.stop()?;
        loads.try_into().map_err(|_| anyhow!("two loads were measured"))
    }
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Nothing to kill if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it to its end and looks at its memory meanwhile.
async fn watch(command: &mut Command) -> anyhow::Result<Run> {
    let started = Instant::now();
    let mut child = Killed(command.spawn().context("it cannot be started")?);
    let mut looks = Vec::new();
    let status = loop {
        if let Some(status) = child.0.try_wait()? {
            break status;
        }
        looks.extend(Memory::of(child.0.id()).map(|memory| memory.highest));
        sleep(LOOK_EVERY).await;
    };
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().display());
    }
    let halfway = looks.get(looks.len() / 2).copied().unwrap_or_default();
    Ok(Run { elapsed: started.elapsed(), halfway, highest: looks.last().copied().unwrap_or_default() })
}

fn per_second(count: u32, elapsed: Duration) -> f64 {
    f64::from(count) / elapsed.as_secs_f64()
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}
