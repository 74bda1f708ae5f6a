//! The program, in a directory and with an environment of the test's own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use tempfile::TempDir;
use usersync::internals::clock::Clock;

use super::app::SECRET;
use super::client::Client;
use super::postgres::{self, Database};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_usersync");
/// A stop that takes no longer than this feels immediate to an operator.
pub(crate) const MAX_STOP_TIME: Duration = Duration::from_secs(4);
/// Long enough for a busy machine; tests of speed have their own limits.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Where the program is run: a directory, the variables that it is given (beside `PATH`, no others), and a
/// database.
pub(crate) struct ProgramFixture {
    directory: TempDir,
    variables: BTreeMap<&'static str, String>,
    database: Option<Database>,
}

impl ProgramFixture {
    /// Nothing is configured.
    pub(crate) fn bare() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), variables: BTreeMap::new(), database: None }
    }

    /// A source `clerk`, and the database at its default place.
    pub(crate) fn on_sqlite() -> Self {
        Self::bare().with("USERSYNC_SERVER__LISTEN", "127.0.0.1:0").with("CLERK_WEBHOOK_SECRET", SECRET)
    }

    /// The same on an empty database; `None`, with a warning, if there is no PostgreSQL.
    pub(crate) async fn on_postgres() -> Option<Self> {
        let database = postgres::empty_database().await?;
        let url = database.url();
        Some(Self { database: Some(database), ..Self::on_sqlite().with("DATABASE_URL", url) })
    }

    pub(crate) fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.set(variable, value);
        self
    }

    pub(crate) fn set(&mut self, variable: &'static str, value: impl Into<String>) {
        self.variables.insert(variable, value.into());
    }

    pub(crate) fn variable(&self, name: &str) -> &str {
        &self.variables[name]
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> ProgramOutput {
        self.start(arguments).end().await
    }

    /// Runs a line as a person types it here.
    pub(crate) async fn shell(&self, script: &str) -> ProgramOutput {
        self.spawn(Command::new("sh").args(["-c", script])).end().await
    }

    /// Pastes the lines that a program printed under `# title`, and gives what they wrote on standard output.
    pub(crate) async fn paste(&self, program: &Process, title: &str) -> String {
        let said = self.shell(&program.printed(title)).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said.stdout
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        self.spawn(Command::new(PROGRAM).args(arguments))
    }

    /// `usersync serve`, as soon as it is ready.
    pub(crate) async fn serve(&self) -> Process {
        let mut process = self.start(&["serve"]);
        // The line with `ready`; other lines contain `already`.
        let ready = process.line_with("sources").await;
        let (_, port) = ready.split_once("127.0.0.1:").unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        process.address = format!("127.0.0.1:{port}");
        process
    }

    /// The program's database, which must be there.
    pub(crate) async fn database(&self) -> sea_orm::DatabaseConnection {
        let file = || format!("sqlite://{}", self.path("usersync.db").display());
        let url = self.variables.get("DATABASE_URL").cloned().unwrap_or_else(file);
        sea_orm::Database::connect(url).await.unwrap()
    }

    /// An empty database whose own SQL finds no table of ours by accident, on PostgreSQL alone.
    pub(crate) async fn with_plain_search_path() -> Option<Self> {
        let home = Self::on_postgres().await?;
        let database = home.database().await;
        let name = home.database_name();
        database.execute_unprepared(&format!("ALTER DATABASE \"{name}\" RESET search_path")).await.unwrap();
        database.close().await.unwrap();
        Some(home)
    }

    fn database_name(&self) -> &str {
        self.database.as_ref().map_or("", Database::name)
    }

    /// A new service key.
    pub(crate) async fn key(&self, name: &str) -> String {
        let said = self.run(&["keys", "create", name]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said.stdout.trim_end().to_owned()
    }

    /// A client of a running service, with a key of its own.
    pub(crate) async fn client(&self, service: &Process) -> Client {
        let key = self.key(&format!("tests of {}", service.address)).await;
        Client::new(format!("http://{}", service.address), key, Clock::system())
    }

    /// Starts another program here.
    pub(crate) fn spawn(&self, command: &mut Command) -> Process {
        let mut child = command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = CapturedStream::capture(child.stdout.take().unwrap());
        let stderr = CapturedStream::capture(child.stderr.take().unwrap());
        Process { child, stdout, stderr, address: String::new() }
    }
}

/// What a program printed, and its exit code; none if a signal killed it.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running program; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    stdout: CapturedStream,
    stderr: CapturedStream,
    /// Its address, once it is ready.
    pub(crate) address: String,
}

impl Process {
    /// Waits until the program prints this, and returns the line.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        let until = Instant::now() + TIMEOUT;
        loop {
            let ended = self.child.try_wait().unwrap();
            let said = format!("{}{}", self.stdout.text_so_far(), self.stderr.text_so_far());
            if let Some(line) = said.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(ended.is_none() && Instant::now() < until, "never said {text:?}: {ended:?}\n{said}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// It has not ended.
    pub(crate) fn assert_runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "ended: {ended:?} {}", self.stderr.text_so_far());
    }

    /// Everything in the log until now.
    pub(crate) fn log(&self) -> String {
        self.stderr.text_so_far()
    }

    /// Everything on standard output until now.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text_so_far()
    }

    /// The lines printed under `# title`, as they are pasted.
    pub(crate) fn printed(&self, title: &str) -> String {
        let output = self.stdout();
        let lines = output.lines().skip_while(|line| !line.contains(&format!("# {title}"))).skip(1);
        let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        assert!(!lines.is_empty(), "nothing under {title:?} in {output}");
        lines.join("\n")
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, such as `INT` for Ctrl-C.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let script = format!("kill -{name} \"$1\"");
        let sent = Command::new("sh").args(["-c", &script, "sh", &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Sends SIGTERM and waits for the end, with exit code 0.
    pub(crate) async fn stop(self) -> ProgramOutput {
        self.terminate();
        let said = self.end().await;
        assert_eq!(said.code, Some(0), "{said:?}");
        said
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> ProgramOutput {
        let until = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "does not end: {}", self.stderr.text_so_far());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        ProgramOutput {
            code: status.code(),
            stdout: self.stdout.full_text(),
            stderr: self.stderr.full_text(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A stream, read to its end by a thread.
struct CapturedStream {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl CapturedStream {
    fn capture(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::<Mutex<String>>::default();
        let written = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut lines = BufReader::new(stream);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text_so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn full_text(&mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        self.text_so_far()
    }
}
