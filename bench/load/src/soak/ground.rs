//! What everything in a soak shares: the replicas and their configuration, the record, the issuer, the app.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use svix::webhooks::Webhook;

use super::app::App;
use super::http::{Answer, ask};
use super::issuer::{AUDIENCE, ISSUER, Issuer};
use super::ledger::Ledger;
use super::random::Random;
use super::replica::Replica;
use crate::call::Call;

/// How soon everything must be answered again after a disturbance.
const RECOVERY: Duration = Duration::from_secs(15);
/// So many requests to a replica may be answered 503 in a minute although nothing disturbs it: a delivery is, if the row of
/// its user is locked for a second, and that happens on a machine whose disk is busy with something else.
const MOST_UNDISTURBED: u32 = 5;
const A_MINUTE: Duration = Duration::from_mins(1);

/// Shared by all tasks.
pub(super) struct Ground {
    pub(super) replicas: Vec<tokio::sync::Mutex<Replica>>,
    pub(super) addresses: Vec<SocketAddr>,
    /// Of each replica.
    weather: Vec<Mutex<Weather>>,
    pub(super) database_url: String,
    pub(super) ledger: Ledger,
    pub(super) issuer: Issuer,
    pub(super) app: App,
    /// The webhook secrets that the replicas are configured with, and the one that signs.
    secrets: Mutex<(Vec<String>, Arc<Webhook>)>,
    /// `Bearer …` with the scopes to list users and to read events.
    pub(super) service_key: String,
    stopping: AtomicBool,
}

/// Whether requests to a replica may fail.
struct Weather {
    disturbances: u32,
    calm_since: Instant,
    /// Answers 503 without a disturbance, and since when they are counted.
    undisturbed: (u32, Instant),
}

impl Weather {
    fn calm() -> Self {
        Self { disturbances: 0, calm_since: Instant::now(), undisturbed: (0, Instant::now()) }
    }

    /// Notes a 503 without a disturbance. Returns whether there are too many.
    fn note_undisturbed(&mut self) -> bool {
        if self.undisturbed.1.elapsed() > A_MINUTE {
            self.undisturbed = (0, Instant::now());
        }
        self.undisturbed.0 += 1;
        self.undisturbed.0 > MOST_UNDISTURBED
    }
}

/// While it exists, requests to these replicas may fail, and some seconds longer.
pub(super) struct Disturbed {
    ground: Arc<Ground>,
    replicas: Vec<usize>,
}

impl Drop for Disturbed {
    fn drop(&mut self) {
        for replica in &self.replicas {
            let mut weather = lock(&self.ground.weather[*replica]);
            weather.disturbances -= 1;
            weather.calm_since = Instant::now();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `whsec_…`
pub(super) fn new_secret() -> anyhow::Result<String> {
    let mut secret = [0; 24];
    rand::fill(&mut secret).map_err(|_| anyhow!("the system gives no random numbers"))?;
    Ok(format!("whsec_{}", STANDARD.encode(secret)))
}

/// Addresses that no other program takes while a replica is down: below the ports that systems give to clients.
pub(super) fn lasting_addresses(random: &mut Random, count: usize) -> Vec<SocketAddr> {
    let first = 20_000 + u16::try_from(random.below(10_000)).unwrap_or(0);
    let addresses = (first..).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses.filter(|address| TcpListener::bind(address).is_ok()).take(count).collect()
}

/// What the replicas are made of.
pub(super) struct Plan<'a> {
    pub(super) executable: &'a Path,
    pub(super) directories: Vec<PathBuf>,
    pub(super) database_url: String,
    pub(super) seed: u64,
    /// libfaketime.
    pub(super) library: Option<PathBuf>,
}

impl Ground {
    pub(super) async fn make(plan: Plan<'_>) -> anyhow::Result<Self> {
        let (issuer, app) = (Issuer::start().await?, App::start(plan.seed, new_secret()?).await?);
        let ports = plan.seed ^ u64::from(std::process::id());
        let addresses = lasting_addresses(&mut Random::new(ports), plan.directories.len());
        let mut replicas = Vec::new();
        for (directory, address) in plan.directories.into_iter().zip(&addresses) {
            let library = plan.library.as_deref();
            replicas.push(Replica::new(plan.executable.to_owned(), directory, *address, library)?);
        }
        let secret = new_secret()?;
        let webhook = Arc::new(Webhook::new(&secret).context("the secret is not one of Svix")?);
        let mut ground = Self {
            weather: addresses.iter().map(|_| Mutex::new(Weather::calm())).collect(),
            replicas: replicas.into_iter().map(tokio::sync::Mutex::new).collect(),
            addresses,
            database_url: plan.database_url,
            ledger: Ledger::new(plan.seed),
            issuer,
            app,
            secrets: Mutex::new((vec![secret], webhook)),
            service_key: String::new(),
            stopping: AtomicBool::new(false),
        };
        let first = ground.replicas.first().context("there is no replica")?.lock().await;
        let scopes = ["keys", "create", "soak", "--scope", "users:read", "--scope", "events:read"];
        let key = first.run(&ground.configuration(0), &scopes)?;
        drop(first);
        ground.service_key = format!("Bearer {key}");
        Ok(ground)
    }

    /// The settings of a replica as they are now.
    pub(super) fn configuration(&self, replica: usize) -> String {
        let secrets = lock(&self.secrets).0.clone();
        let endpoint = format!(
            "\n[[endpoints]]\nname = \"app\"\nurl = \"{}\"\nsecrets = [\"{}\"]\n",
            self.app.url(),
            self.app.secret(),
        );
        settings(self.addresses[replica], &self.database_url, &secrets, &self.issuer.keys_url()) + &endpoint
    }

    /// The settings of another service on another database, with the same source and no endpoint.
    pub(super) fn configuration_of_another(&self, address: SocketAddr, database_url: &str) -> String {
        let secrets = lock(&self.secrets).0.clone();
        settings(address, database_url, &secrets, &self.issuer.keys_url())
    }

    /// Configures these secrets, from the next start of each replica.
    pub(super) fn set_secrets(&self, secrets: &[&str]) {
        lock(&self.secrets).0 = secrets.iter().map(|&secret| secret.to_owned()).collect();
    }

    pub(super) fn first_secret(&self) -> String {
        lock(&self.secrets).0.first().cloned().unwrap_or_default()
    }

    /// Signs with this secret from now on.
    pub(super) fn sign_with(&self, secret: &str) -> anyhow::Result<()> {
        lock(&self.secrets).1 = Arc::new(Webhook::new(secret)?);
        Ok(())
    }

    pub(super) fn webhook(&self) -> Arc<Webhook> {
        Arc::clone(&lock(&self.secrets).1)
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Requests to these replicas may fail while the result lives.
    pub(super) fn disturb(self: &Arc<Self>, replicas: impl IntoIterator<Item = usize>) -> Disturbed {
        let replicas: Vec<usize> = replicas.into_iter().collect();
        for replica in &replicas {
            lock(&self.weather[*replica]).disturbances += 1;
        }
        Disturbed { ground: Arc::clone(self), replicas }
    }

    /// Nothing disturbs this replica, and it has had time to recover.
    pub(super) fn is_calm(&self, replica: usize) -> bool {
        let weather = lock(&self.weather[replica]);
        weather.disturbances == 0 && weather.calm_since.elapsed() > RECOVERY
    }

    /// Sends a request to a replica, and counts what comes of it. `None` if it was not answered, or with a failure,
    /// which is a violation unless something disturbs the replica.
    pub(super) async fn request(
        &self,
        what: &'static str,
        replica: usize,
        call: &Call,
        within: Duration,
    ) -> Option<Answer> {
        let was_calm = self.is_calm(replica);
        let answer = ask(self.addresses[replica], &call.request, within).await;
        let is_calm = was_calm && self.is_calm(replica);
        let mut book = self.ledger.open();
        match answer {
            Err(error) => {
                *book.counts.unanswered.entry(what).or_default() += 1;
                if is_calm {
                    book.violation(format!("{what} at replica {replica} had no answer: {error:#}"));
                }
                None
            }
            Ok(answer) => {
                if answer.status >= 300 {
                    *book.counts.refused.entry((what, answer.status)).or_default() += 1;
                }
                if answer.status < 500 {
                    return Some(answer);
                }
                if is_calm {
                    *book.counts.others.entry("5xx without a disturbance").or_default() += 1;
                }
                let is_wrong = answer.status != 503 || !answer.has("retry-after");
                if is_wrong || (is_calm && lock(&self.weather[replica]).note_undisturbed()) {
                    book.violation(format!("{what} at replica {replica} was answered {answer:?}"));
                }
                None
            }
        }
    }
}

fn settings(address: SocketAddr, database_url: &str, secrets: &[String], keys_url: &str) -> String {
    format!(
        r#"
[server]
listen = "{address}"

# All of the load comes from one address.
[limits]
requests_per_second = 1000000
burst = 1000000

[log]
level = "warn,usersync::cli=info,usersync::http::observe=error"

[database]
url = "{database_url}"

[events]

[[sources]]
name = "clerk"
provider = "clerk"
webhook_secrets = {secrets:?}

[[sources.tokens]]
type = "customJwt"
issuer = "{ISSUER}"
jwks = "{keys_url}"
algorithm = "ES256"
applicationID = "{AUDIENCE}"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_requests_may_fail_in_a_minute() {
        let mut weather = Weather::calm();
        assert!((0..MOST_UNDISTURBED).all(|_| !weather.note_undisturbed()));
        assert!(weather.note_undisturbed());
    }
}
