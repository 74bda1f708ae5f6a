//! The real PgBouncer, in front of the tests' PostgreSQL.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use url::Url;

use super::binary::{Process, ProgramFixture};
use super::not_run;

/// When a client's server connection goes back to the pool, and what happens to it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Session,
    Transaction,
    /// After each transaction the server forgets prepared statements and settings.
    TransactionWithReset,
}

impl Mode {
    fn settings(self) -> &'static str {
        match self {
            Self::Session => "pool_mode = session\n",
            Self::Transaction => "pool_mode = transaction\n",
            Self::TransactionWithReset => "pool_mode = transaction\nserver_reset_query_always = 1\n",
        }
    }
}

/// A running PgBouncer; it ends with this.
pub(crate) struct PgBouncer {
    port: u16,
    process: Process,
    home: ProgramFixture,
    /// What the configuration has beside the mode.
    settings: String,
}

impl PgBouncer {
    /// In front of the server of this URL, in this mode, with this number of server connections.
    ///
    /// `None`, with a warning, if it is not installed.
    pub(crate) async fn before(url: &str, mode: Mode, pool_size: u32) -> Option<Self> {
        let places = ["pgbouncer", "/usr/sbin/pgbouncer"];
        let version = places.into_iter().find_map(|place| {
            let said = Command::new(place).arg("--version").output().ok()?;
            Some((place, String::from_utf8_lossy(&said.stdout).into_owned()))
        });
        let Some((program, version)) = version else {
            not_run("PgBouncer", "it is not installed");
            return None;
        };
        let url: Url = url.parse().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let home = ProgramFixture::bare();
        // It refuses an empty one.
        let password = url.password().map(|password| format!(" password={password}")).unwrap_or_default();
        let mut settings = format!(
            "[databases]\n* = host={} port={} user={}{password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             default_pool_size = {pool_size}\nmax_client_conn = 200\n",
            url.host_str().unwrap(),
            url.port().unwrap_or(5432),
            url.username(),
        );
        // The worst case; before 1.21 it is the only one.
        if !version.contains(" 1.1") && !version.contains(" 1.20") {
            settings.push_str("max_prepared_statements = 0\n");
        }
        home.write("pgbouncer.ini", &format!("{settings}{}", mode.settings()));
        let mut command = Command::new(program);
        command.arg("pgbouncer.ini");
        // It refuses to run as root.
        if Command::new("id").arg("-u").output().is_ok_and(|said| said.stdout == b"0\n") {
            command.args(["-u", "postgres"]);
        }
        let mut process = home.spawn(&mut command);
        process.line_with("process up").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some(Self { port, process, home, settings })
    }

    /// Changes the mode while it runs.
    pub(crate) async fn change(&mut self, mode: Mode) {
        self.home.write("pgbouncer.ini", &format!("{}{}", self.settings, mode.settings()));
        self.process.signal("HUP");
        self.process.line_with("re-reading config").await;
    }

    /// The same database through the pooler.
    pub(crate) fn url(&self, url: &str) -> String {
        let mut url: Url = url.parse().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.set_password(None).unwrap();
        url.into()
    }
}
