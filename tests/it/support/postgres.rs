//! The PostgreSQL of the tests: one server for each test process, and one database for each test.
//!
//! The server is, in this order:
//!
//! 1. the one that `TEST_DATABASE_URL` names (13 or later; the role may create databases);
//! 2. a container, where Docker answers;
//! 3. a throw-away cluster made by the machine's own `initdb`.
//!
//! Rust does not drop statics, and nothing is dropped after SIGKILL. So a `sh` cleans up: it holds a pipe from this
//! process and acts when the pipe closes, whatever closed it.

mod admin;
mod cluster;
mod container;
mod keeper;

pub(crate) use cluster::Cluster;

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::{OnceCell, mpsc, oneshot};
use url::Url;

use super::{is_set, not_run};

/// The variable that names a server to use instead of making one.
const SERVER_VARIABLE: &str = "TEST_DATABASE_URL";

/// A server, and the thread that administers it.
pub(crate) struct Server {
    url: Url,
    run: String,
    clone_options: &'static str,
    jobs: mpsc::UnboundedSender<Job>,
    next: AtomicU64,
}

/// One administrative statement, and the channel for its result.
struct Job {
    statement: String,
    done: oneshot::Sender<Result<()>>,
}

/// The server of this process; `None`, with a warning, if there is none.
///
/// # Panics
///
/// Where there is none although one was promised: by `TEST_DATABASE_URL`, or by `CI`, where a test that did
/// not run must not look like one that passed.
pub(crate) async fn server() -> Option<&'static Server> {
    static SERVER: OnceCell<Result<Server>> = OnceCell::const_new();
    report_if_missing(SERVER.get_or_init(start).await.as_ref(), is_set(SERVER_VARIABLE) || is_set("CI"))
}

/// What was found. If there is nothing, the test prints that it is not run, or fails if a server was promised.
fn report_if_missing<T, E: Display>(found: Result<T, E>, promised: bool) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error) if promised => panic!("no PostgreSQL to test with: {error:#}"),
        Err(error) => {
            not_run("PostgreSQL", format!("{error:#}"));
            None
        }
    }
}

impl Server {
    /// The URL of `database` on this server.
    pub(crate) fn url(&self, database: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(database);
        url.into()
    }

    /// A name that no other test, in this process or another, gives to a database of its own.
    pub(crate) fn unique_name(&self) -> String {
        format!("{}_{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Creates `name`, empty or as a clone of `template`, to which no client may be connected.
    pub(crate) async fn create_database(&self, name: &str, template: Option<&str>) -> Result<()> {
        // `template0` rather than the default: no client can be connected to it, and it has no local additions.
        let template = template.unwrap_or("template0");
        self.execute(format!(r#"CREATE DATABASE "{name}" TEMPLATE "{template}" {}"#, self.clone_options))
            .await?;
        // For the tests' own SQL. The service names the schema in each statement.
        self.execute(format!(r#"ALTER DATABASE "{name}" SET search_path TO usersync, public"#)).await
    }

    /// Drops `name` if it exists, also while clients are connected to it.
    pub(crate) async fn drop_database(&self, name: &str) -> Result<()> {
        self.execute(drop_statement(name)).await
    }

    async fn execute(&self, statement: String) -> Result<()> {
        let (done, result) = oneshot::channel();
        self.jobs.send(Job { statement, done }).ok();
        result.await.context("the thread that administers PostgreSQL is gone")?
    }
}

/// A database that is prepared once for each process and cloned for every test, which is much faster than migrating
/// each.
pub(crate) struct Template {
    label: &'static str,
    prepared: OnceCell<()>,
}

impl Template {
    /// A template to be kept in a `static`; `label` distinguishes it from the others of the process.
    pub(crate) const fn new(label: &'static str) -> Self {
        Self { label, prepared: OnceCell::const_new() }
    }

    /// A database of the caller's own. The first caller of the process prepares the template: `prepare` is
    /// given its URL and closes the connections that it opens. `None` as for [`server`].
    ///
    /// # Panics
    ///
    /// When the server refuses, or `prepare` fails.
    pub(crate) async fn database<Prepare, Prepared, Error>(&self, prepare: Prepare) -> Option<Database>
    where
        Prepare: FnOnce(String) -> Prepared,
        Prepared: Future<Output = Result<(), Error>>,
        Error: Display,
    {
        let server = server().await?;
        let template = format!("{}_template_{}", server.run, self.label);
        assert!(template.len() <= 63, "PostgreSQL would cut the name {template} short");
        self.prepared
            .get_or_init(async || {
                // A first attempt that was cut short, say by a test's time limit, leaves a half-prepared one.
                server.drop_database(&template).await.expect("the old template is dropped");
                server.create_database(&template, None).await.expect("the template is created");
                if let Err(error) = prepare(server.url(&template)).await {
                    panic!("the template {} could not be prepared: {error}", self.label);
                }
            })
            .await;
        let name = server.unique_name();
        server.create_database(&name, Some(&template)).await.expect("the template is cloned");
        Some(Database { server, name })
    }
}

/// An empty database of the caller's own. `None` as for [`server`].
///
/// # Panics
///
/// When the server refuses.
pub(crate) async fn empty_database() -> Option<Database> {
    let server = server().await?;
    let name = server.unique_name();
    server.create_database(&name, None).await.expect("the database is created");
    Some(Database { server, name })
}

/// A test's own database; dropping this drops it.
pub(crate) struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The result is not waited for: the test is over.
        let (done, _) = oneshot::channel();
        self.server.jobs.send(Job { statement: drop_statement(&self.name), done }).ok();
    }
}

fn drop_statement(name: &str) -> String {
    format!(r#"DROP DATABASE IF EXISTS "{name}" WITH (FORCE)"#)
}

/// Starts the thread that finds, administers and keeps the server. It has a runtime of its own because a
/// connection dies with the runtime that opened it, and each test has one; and it does one statement at a
/// time because two clones of a template at once block each other.
async fn start() -> Result<Server> {
    let (started, server) = oneshot::channel();
    thread::Builder::new().name("test-postgres".into()).spawn(move || {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(administer(started)),
            Err(error) => drop(started.send(Err(error.into()))),
        }
    })?;
    server.await.context("the thread that starts PostgreSQL is gone")?
}

async fn administer(started: oneshot::Sender<Result<Server>>) {
    let run = admin::new_run();
    let found = async {
        let found = find(&run).await?;
        let clone_options = found.admin.clone_options().await?;
        anyhow::Ok((found, clone_options))
    };
    let (found, clone_options) = match found.await {
        Ok(found) => found,
        Err(error) => return drop(started.send(Err(error))),
    };
    let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
    let server = Server { url: found.url, run, clone_options, jobs, next: AtomicU64::new(0) };
    started.send(Ok(server)).ok();
    while let Some(Job { statement, done }) = queue.recv().await {
        done.send(found.admin.execute(&statement).await).ok();
    }
}

/// A server that was found, and what must be kept for as long as it is needed.
struct TestServer {
    url: Url,
    admin: admin::Connection,
    _held: Option<ServerGuard>,
}

/// What ends a server when it is dropped.
enum ServerGuard {
    Container { _container: Box<container::Container>, _keeper: keeper::CleanupProcess },
    Cluster { _keeper: keeper::CleanupProcess },
}

async fn find(run: &str) -> Result<TestServer> {
    if is_set(SERVER_VARIABLE) {
        let url = std::env::var(SERVER_VARIABLE).context(SERVER_VARIABLE)?;
        let url = Url::parse(&url).with_context(|| format!("{SERVER_VARIABLE} is no URL"))?;
        let admin = admin::Connection::open(&url, run).await.context(SERVER_VARIABLE)?;
        admin.sweep().await?;
        return Ok(TestServer { url, admin, _held: None });
    }
    let no_container = match container::start(run).await {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    cluster::start(run).await.map_err(|no_cluster| {
        anyhow!("{SERVER_VARIABLE} is not set; no container: {no_container:#}; no cluster: {no_cluster:#}")
    })
}
