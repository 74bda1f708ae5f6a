//! A server in a container, where Docker answers.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testcontainers::core::{IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};
use url::Url;

use super::keeper::CleanupProcess;
use super::{ServerGuard, TestServer, admin};

const IMAGE: (&str, &str) = ("postgres", "17-alpine");

/// How long a container engine may take to answer. A client without one must not delay the tests.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(5);

/// Includes pulling the image.
const START_TIMEOUT: Duration = Duration::from_mins(3);

/// Prints that it is ready, waits for the pipe to close, and removes the container.
const SCRIPT: &str =
    r#"trap "" HUP INT TERM PIPE; echo ready; exec >/dev/null; cat; docker rm --force --volumes "$1""#;

/// Nothing in the container has to survive a power failure.
const SERVER: [&str; 9] = [
    "postgres",
    "-c",
    "fsync=off",
    "-c",
    "synchronous_commit=off",
    "-c",
    "full_page_writes=off",
    "-c",
    "max_connections=200",
];

/// The container; removed when it is dropped, which for a `static` is never: hence the keeper.
pub(super) type Container = ContainerAsync<GenericImage>;

pub(super) async fn start(run: &str) -> Result<TestServer> {
    ensure!(engine_answers(), "Docker does not answer");
    // Before the container, so that it is watched from its start.
    let (keeper, _) = CleanupProcess::start(SCRIPT, &[run], "")?;
    let password = uuid::Uuid::now_v7().simple().to_string();
    let (image, tag) = IMAGE;
    let container = GenericImage::new(image, tag)
        .with_exposed_port(5432.tcp())
        // The server that answers before this line is the one of the initialisation.
        .with_wait_for(WaitFor::message_on_stdout("PostgreSQL init process complete"))
        .with_container_name(run)
        .with_env_var("POSTGRES_PASSWORD", &password)
        .with_cmd(SERVER)
        .with_startup_timeout(START_TIMEOUT)
        .start()
        .await
        .with_context(|| format!("Docker answers, but does not run {image}:{tag}"))?;
    let host = container.get_host().await?;
    let port = container.get_host_port_ipv4(5432).await?;
    let url = Url::parse(&format!("postgres://postgres:{password}@{host}:{port}/postgres?sslmode=disable"))?;
    let admin = admin::Connection::open_when_ready(&url, run, Duration::from_mins(1)).await?;
    let held = ServerGuard::Container { _container: Box::new(container), _keeper: keeper };
    Ok(TestServer { url, admin, _held: Some(held) })
}

/// Whether there is an engine behind the client. The client is used to find out, because the keeper needs it too.
fn engine_answers() -> bool {
    let client = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut client) = client else { return false };
    let until = Instant::now() + ENGINE_TIMEOUT;
    while Instant::now() < until {
        match client.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => return false,
        }
    }
    client.kill().ok();
    client.wait().ok();
    false
}
