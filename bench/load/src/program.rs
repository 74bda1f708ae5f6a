//! A program to be measured: how it is started, when it is ready, what it uses, how it is stopped.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::credentials::{APPLICATION_ID, Credentials, ISSUER};

/// Longer than any start and any stop.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How often a starting program is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// What a program is given to stand on.
pub(crate) struct Environment {
    pub(crate) directory: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) database_url: String,
    pub(crate) credentials: Arc<Credentials>,
}

impl Environment {
    /// With a port that was free a moment ago.
    pub(crate) fn new(
        directory: PathBuf,
        database_url: String,
        credentials: Credentials,
    ) -> anyhow::Result<Self> {
        Ok(Self { directory, address: free_address()?, database_url, credentials: Arc::new(credentials) })
    }

    /// For a replica: the same database and secrets, at another address.
    pub(crate) fn beside(&self, directory: PathBuf) -> anyhow::Result<Self> {
        let (database_url, credentials) = (self.database_url.clone(), Arc::clone(&self.credentials));
        Ok(Self { directory, address: free_address()?, database_url, credentials })
    }

    /// As a request names it.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("usersync.toml")
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Returns the arguments to start a program with in this environment.
type Prepare = Box<dyn Fn(&Environment) -> anyhow::Result<Vec<OsString>>>;

/// A program that offers the routes which are measured: see "How to add a peer" in bench/README.md.
pub(crate) struct Program {
    name: &'static str,
    version: String,
    executable: PathBuf,
    prepare: Prepare,
}

impl Program {
    /// The service of this project.
    pub(crate) fn usersync(executable: PathBuf, commit: &str) -> Self {
        let prepare = Box::new(configure_usersync);
        Self { name: "usersync", version: commit.to_owned(), executable, prepare }
    }

    /// The same, with one endpoint that is sent all events.
    pub(crate) fn usersync_with_endpoint(executable: PathBuf, commit: &str, url: String) -> Self {
        Self::usersync_with(executable, commit, move |ground| {
            let secret = ground.credentials.webhook_secret();
            format!("\n[[endpoints]]\nname = \"app\"\nurl = \"{url}\"\nsecrets = [\"{secret}\"]\n")
        })
    }

    /// The same, with a retention that no payload is older than.
    pub(crate) fn usersync_without_sweep(executable: PathBuf, commit: &str) -> Self {
        Self::usersync_with(executable, commit, |_| "\n[journal]\nretention = \"36500d\"\n".to_owned())
    }

    fn usersync_with(
        executable: PathBuf,
        commit: &str,
        settings: impl Fn(&Environment) -> String + 'static,
    ) -> Self {
        let prepare = Box::new(move |ground: &Environment| {
            let arguments = configure_usersync(ground)?;
            let mut file = File::options().append(true).open(ground.configuration())?;
            file.write_all(settings(ground).as_bytes())?;
            Ok(arguments)
        });
        Self { name: "usersync", version: commit.to_owned(), executable, prepare }
    }

    /// Another build of it, to be compared with.
    pub(crate) fn other_usersync(executable: PathBuf) -> Self {
        let prepare = Box::new(configure_usersync);
        Self { name: "other", version: "usersync".to_owned(), executable, prepare }
    }

    /// `bench/peers/fastify`.
    pub(crate) fn fastify(node: PathBuf, peers: &Path) -> Self {
        let server = peers.join("fastify/server.mjs");
        let prepare = Box::new(move |ground: &Environment| arguments_of_fastify(&server, ground));
        Self { name: "fastify", version: "on Node".to_owned(), executable: node, prepare }
    }

    /// `bench-memory`, built beside this program: it answers what is kept in this file.
    pub(crate) fn memory(answer: PathBuf) -> anyhow::Result<Self> {
        let executable = env::current_exe()?.with_file_name("bench-memory");
        let prepare = Box::new(move |ground: &Environment| {
            let port = ground.address.port().to_string();
            Ok(vec!["--port".into(), port.into(), "--answer".into(), answer.clone().into()])
        });
        Ok(Self { name: "memory", version: "on actix-web".to_owned(), executable, prepare })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Name and version.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// Starts it and waits until it is ready; returns how long that took.
    ///
    /// Its log goes to a file, as in production it goes somewhere: writing it is part of the work.
    pub(crate) fn start(&self, ground: &Environment) -> anyhow::Result<(Running, Duration)> {
        let arguments = (self.prepare)(ground)?;
        let mut command = Command::new(&self.executable);
        // Nothing of the caller's environment may turn a setting.
        command.args(arguments).env_clear().current_dir(&ground.directory);
        let log = File::create(ground.log())?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", self.executable.display()))?;
        let mut running = Running { child };
        while !is_ready(ground.address) {
            if let Some(status) = running.child.try_wait()? {
                let log = fs::read_to_string(ground.log()).unwrap_or_default();
                bail!("it ended at its start with {status}:\n{log}");
            }
            if started.elapsed() > TIMEOUT {
                bail!("it is not ready after {TIMEOUT:?}");
            }
            std::thread::sleep(ASK_EVERY);
        }
        Ok((running, started.elapsed()))
    }
}

/// A started program; it is killed if it is dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it and waits until it has ended.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.id())?), Signal::SIGTERM)?;
        let told = Instant::now();
        while told.elapsed() < TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("it stopped with {status}");
                }
                return Ok(());
            }
            std::thread::sleep(ASK_EVERY);
        }
        bail!("it does not stop")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing to kill if it has ended, and nothing to be done if it cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `/readyz` answers 200.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}

fn arguments_of_fastify(server: &Path, ground: &Environment) -> anyhow::Result<Vec<OsString>> {
    let mut arguments = vec![server.into()];
    let settings = [
        ("--port", ground.address.port().to_string()),
        ("--database", ground.database_url.clone()),
        ("--secret", ground.credentials.webhook_secret().to_owned()),
        ("--keys", ground.credentials.key_set_uri()?),
        ("--issuer", ISSUER.to_owned()),
        ("--audience", APPLICATION_ID.to_owned()),
    ];
    for (name, value) in settings {
        arguments.extend([name.into(), value.into()]);
    }
    Ok(arguments)
}

/// Every setting that is not needed is left as it comes.
fn configure_usersync(ground: &Environment) -> anyhow::Result<Vec<OsString>> {
    let file = ground.configuration();
    let configuration = format!(
        r#"
[server]
listen = "{address}"

# All of the load comes from one address.
[limits]
requests_per_second = 1000000
burst = 1000000
streams_per_client = 1000000
streams_per_user = 1000000
streams = 1000000

[database]
url = "{database}"

[[sources]]
name = "clerk"
provider = "clerk"
webhook_secrets = ["{secret}"]

[[sources.tokens]]
type = "customJwt"
issuer = "{ISSUER}"
jwks = "{keys}"
algorithm = "RS256"
applicationID = "{APPLICATION_ID}"
"#,
        address = ground.address,
        database = ground.database_url,
        secret = ground.credentials.webhook_secret(),
        keys = ground.credentials.key_set_uri()?,
    );
    fs::write(&file, configuration)?;
    Ok(vec!["--config".into(), file.into(), "serve".into()])
}
