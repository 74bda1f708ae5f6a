//! Carries out the plan.
#![expect(clippy::print_stderr, reason = "it reports what it does")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use sea_orm::ConnectionTrait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout};

use super::cluster::Cluster;
use super::disk::Disk;
use super::ground::{Ground, new_secret};
use super::history::user_id;
use super::observer::connect;
use super::plan::{Disturbance, What};

/// A header must arrive within 5 s and a body within 15 s; then the service closes.
const SLOWEST: Duration = Duration::from_secs(25);
/// While both webhook secrets are valid, until the old one is not used any more.
const BOTH_SECRETS: Duration = Duration::from_secs(22);

/// What is disturbed.
pub(super) struct Disturber {
    ground: Arc<Ground>,
    cluster: Option<Arc<Mutex<Cluster>>>,
    pub(super) disk: Disk,
    /// On PostgreSQL a replica has nothing on its disk but its log.
    has_database_on_disk: bool,
    /// How often each was.
    pub(super) done: BTreeMap<&'static str, u64>,
}

impl Disturber {
    pub(super) fn new(
        ground: Arc<Ground>,
        cluster: Option<Arc<Mutex<Cluster>>>,
        disk: Disk,
        has_database_on_disk: bool,
    ) -> Self {
        Self { ground, cluster, disk, has_database_on_disk, done: BTreeMap::new() }
    }

    pub(super) async fn run(&mut self, plan: &[Disturbance], began: Instant) -> anyhow::Result<()> {
        for disturbance in plan {
            sleep_until((began + disturbance.at).into()).await;
            eprintln!("  {:>6} s  {disturbance}", began.elapsed().as_secs());
            let done = self.disturb(disturbance).await;
            done.with_context(|| format!("{disturbance}, {} s after the start", began.elapsed().as_secs()))?;
            *self.done.entry(disturbance.what.name()).or_default() += 1;
        }
        Ok(())
    }

    async fn disturb(&mut self, disturbance: &Disturbance) -> anyhow::Result<()> {
        let &Disturbance { what, replica, lasts, seconds, .. } = disturbance;
        let ground = Arc::clone(&self.ground);
        match what {
            What::Kill => {
                let _disturbed = ground.disturb([replica]);
                let mut process = ground.replicas[replica].lock().await;
                process.kill()?;
                sleep(lasts / 4).await;
                process.start(&ground.configuration(replica)).await
            }
            What::Restart => restart(&ground, replica).await,
            What::NewSigningKey => ground.issuer.rotate(),
            What::NewWebhookSecret => change_webhook_secret(&ground).await,
            What::StopDatabase => self.without_database("stop", lasts).await,
            What::KillDatabase => self.without_database("kill", lasts).await,
            What::EndConnections => {
                let _disturbed = ground.disturb(0..ground.addresses.len());
                let database = connect(&ground.database_url).await?;
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE datname = current_database() AND application_name = 'usersync'";
                database.execute_unprepared(sql).await?;
                Ok(database.close().await?)
            }
            What::FullDisk => self.full_disk(replica, lasts).await,
            What::ClockStep => {
                let step = async |seconds: i64| match &ground.replicas[replica].lock().await.clock {
                    Some(clock) => clock.step_to(seconds),
                    None => Ok(()),
                };
                step(seconds).await?;
                sleep(2 * lasts).await;
                step(0).await
            }
            What::SlowClients => slow_clients(&ground, replica).await,
            What::AppOut => {
                ground.app.set_out(true);
                sleep(2 * lasts).await;
                ground.app.set_out(false);
                Ok(())
            }
        }
    }

    async fn without_database(&self, how: &'static str, lasts: Duration) -> anyhow::Result<()> {
        let _disturbed = self.ground.disturb(0..self.ground.addresses.len());
        let cluster = self.cluster.as_ref().context("the server is not the soak's own")?;
        let order = async |order| {
            let cluster = Arc::clone(cluster);
            let ordered = move || cluster.lock().unwrap_or_else(PoisonError::into_inner).order(order);
            tokio::task::spawn_blocking(ordered).await?
        };
        order(how).await?;
        sleep(lasts).await;
        order("start").await
    }

    async fn full_disk(&self, replica: usize, lasts: Duration) -> anyhow::Result<()> {
        let _disturbed = self.has_database_on_disk.then(|| self.ground.disturb([replica]));
        let id = async || self.ground.replicas[replica].lock().await.id();
        if let Some(process) = id().await {
            self.disk.fill(process)?;
            sleep(2 * lasts).await;
            self.disk.make_space(id().await)?;
        }
        Ok(())
    }
}

async fn restart(ground: &Arc<Ground>, replica: usize) -> anyhow::Result<()> {
    let _disturbed = ground.disturb([replica]);
    let mut process = ground.replicas[replica].lock().await;
    process.stop().await?;
    process.start(&ground.configuration(replica)).await
}

/// As the documentation says: add the new one, change it at the provider, remove the old one.
async fn change_webhook_secret(ground: &Arc<Ground>) -> anyhow::Result<()> {
    let (old, new) = (ground.first_secret(), new_secret()?);
    ground.set_secrets(&[&new, &old]);
    for replica in 0..ground.addresses.len() {
        restart(ground, replica).await?;
    }
    ground.sign_with(&new)?;
    sleep(BOTH_SECRETS).await;
    ground.set_secrets(&[&new]);
    for replica in 0..ground.addresses.len() {
        restart(ground, replica).await?;
    }
    Ok(())
}

/// Half of a head, half of a webhook, and a stream that nobody reads.
async fn slow_clients(ground: &Arc<Ground>, replica: usize) -> anyhow::Result<()> {
    let head = "POST /webhooks/clerk HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let body = format!("{head}content-length: 1000\r\n\r\n{{\"type\":\"user.up");
    let address = ground.addresses[replica];
    let user = ground.ledger.open().history.born().saturating_sub(1);
    let bearer = ground.issuer.bearer(&user_id(user))?;
    let stream = format!(
        "GET /v1/users/current/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\n\r\n"
    );
    let mut unread = Vec::new();
    for _ in 0..5 {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(stream.as_bytes()).await?;
        unread.push(connection);
    }
    let half = [head, head, &body, &body, &body].map(|bytes| cut_off(address, bytes.to_owned()));
    for half in half.map(tokio::spawn) {
        if !half.await?? {
            ground.ledger.violation(format!("half a request was not cut off within {SLOWEST:?}"));
        }
    }
    drop(unread);
    Ok(())
}

/// Sends this and no more. Returns whether the service ends the connection, with an answer or without one.
async fn cut_off(address: std::net::SocketAddr, bytes: String) -> anyhow::Result<bool> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(bytes.as_bytes()).await?;
    let mut answer = Vec::new();
    Ok(timeout(SLOWEST, connection.read_to_end(&mut answer)).await.is_ok())
}
