//! `usersync dev`: try the service on this machine, without an account at a provider.

pub(super) mod development;
mod directory;
mod events;
mod round_trip;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, bail};
use clap::Args;
use secrecy::SecretString;
use strum::VariantArray as _;
use tracing::level_filters::LevelFilter;
use url::Url;

use self::development::{APPLICATION_ID, DIRECTORY, Development, SOURCE};
use self::round_trip::RoundTrip;
use super::serve::{bind, run_until_stopped};
use super::system::StopSignals;
use super::{Usage, quoted};
use crate::app::App;
use crate::auth::service_key;
use crate::clock::Clock;
use crate::config::{
    Algorithm, Config, Endpoint, Events, RuleKind, Source, SourceApi, TokenRule, is_loopback,
};
use crate::domain::{EventKind, Scope, UserKey};
use crate::providers;
use crate::store::{ApiKey, Store, UserLookup};

/// The service requests its own keys as soon as it starts, and answers that request only once it listens. On a busy
/// machine this takes longer than the usual time limit for a provider's answer.
const KEYS_TIMEOUT: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Loopback address to listen on
    #[arg(long, default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8787)))]
    listen: SocketAddr,
    /// Directory for the database, the keys and the sample events
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    directory: PathBuf,
    /// URL of your app on this machine: every event is sent there, signed, and again until it is accepted
    #[arg(long, value_name = "URL")]
    forward_to: Option<Url>,
}

impl Dev {
    pub(super) async fn run(self, clock: Clock) -> anyhow::Result<()> {
        if !self.listen.ip().is_loopback() {
            bail!(Usage(format!(
                "{} is not a loopback address; anyone who can reach the development issuer can get a token for any user, so listen on 127.0.0.1",
                self.listen
            )));
        }
        if let Some(url) = self.forward_to.as_ref().filter(|url| !is_loopback(url)) {
            bail!(Usage(format!(
                "--forward-to {url} is not on this machine; write http://127.0.0.1:PORT/PATH, or configure [[endpoints]] for `usersync serve`"
            )));
        }
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("cannot create the directory {}", self.directory.display()))?;
        let mut stop = StopSignals::install()?;
        let listener = bind(self.listen, "--listen 127.0.0.1:8788")?;
        let base = format!("http://{}", listener.local_addr()?);
        let mut development = match Development::load(&self.directory)? {
            Some(existing) => existing,
            None => Development::generate()?,
        };
        development.issuer = format!("{base}/{SOURCE}");

        let config = self.config(&base, &development)?;
        super::start_logs(&config.log)?;
        let traces = super::start_traces()?;
        let app = App::new(&config, clock.clone()).await.context("the service cannot start")?;
        prepare(app.store(), &mut development, &clock).await?;
        development.save(&self.directory)?;
        let settings = directory::write_settings(&self.directory, &base, &development)?;
        let store = app.store().clone();
        let log = app.events().clone();
        let before = log.store.outbox().end().await?;
        let provider = development.public(clock.clone())?;
        let app = app.with_development_provider(provider).with_open_console()?;
        let service = app.serve_without_watch(listener, None)?;

        say!("usersync dev at {base}, SQLite in {}\n", self.database().display());
        let round_trip = RoundTrip::new(&base, &self.directory, &development, &clock)?;
        round_trip.run().await.context("the round trip failed")?;
        directory::read_in(&config, &store, &clock).await?;
        // Only now: users without a row would be a warning.
        service.start_watch();
        self.print_commands(&base, &development);
        self.print_reading(&settings);
        print_samples(&base, &development, round_trip.samples());
        self.print_events(&development);
        say!(
            "Press Ctrl-C to stop; delete {} to start from scratch. Look at everything in your browser: {base}/console",
            self.directory.display()
        );
        tokio::select! {
            ended = run_until_stopped(service, &mut stop) => {
                traces.stop().await;
                ended
            }
            never = events::print(&log, before) => match never {},
        }
    }

    fn database(&self) -> PathBuf {
        self.directory.join("dev.db")
    }

    fn database_url(&self) -> String {
        let file =
            self.database().display().to_string().replace('%', "%25").replace('?', "%3F").replace(' ', "%20");
        format!("sqlite://{file}?mode=rwc")
    }

    /// Built-in settings: neither a configuration file nor `DATABASE_URL` can connect the development source
    /// to a real database.
    fn config(&self, base: &str, development: &Development) -> anyhow::Result<Config> {
        let mut config = Config::default();
        // The round trip prints what happens; the log shows only problems, unless RUST_LOG is set.
        config.log.level = LevelFilter::WARN.to_string();
        config.server.listen = self.listen;
        config.tokens.fetch_timeout = KEYS_TIMEOUT;
        config.database.url = SecretString::from(self.database_url());
        let kind =
            RuleKind::Oidc { domain: Url::parse(&development.issuer)?, algorithms: vec![Algorithm::Es256] };
        config.sources = vec![Source {
            name: SOURCE.to_owned(),
            provider: providers::CLERK,
            webhook_secrets: vec![SecretString::from(development.secret.clone())],
            bearer_tokens: Vec::new(),
            tokens: vec![TokenRule {
                kind,
                application_id: Some(APPLICATION_ID.to_owned()),
                authorized_parties: Vec::new(),
                allow_pending_sessions: false,
                subject_separator: None,
            }],
            map: None,
            api: Some(SourceApi {
                secret_key: Some(SecretString::from(development.directory_key.clone())),
                base_url: Some(Url::parse(&format!("{base}/dev/api"))?),
                ..SourceApi::default()
            }),
            list: None,
        }];
        config.events = Some(Events::default());
        config.endpoints = self.forward_to.iter().map(|url| forwarding(url, development)).collect();
        Ok(config)
    }

    fn print_commands(&self, base: &str, development: &Development) {
        let Development { service_key, subject, .. } = development;
        let usersync = program();
        let directory = if self.directory == Path::new(DIRECTORY) {
            String::new()
        } else {
            format!(" --directory {}", quoted(&self.directory.display().to_string()))
        };
        say!("Now try it yourself, from another terminal in this directory:\n");
        say!("  # ask which user a token belongs to");
        say!("  TOKEN=$({usersync} token --sub {subject}{directory})");
        say!("  curl -i -H \"Authorization: Bearer $TOKEN\" {base}/v1/users/current\n");
        say!("  # list the users");
        say!("  curl -H 'Authorization: Bearer {service_key}' '{base}/v1/users'\n");
        say!("  # read what changed");
        say!("  curl -H 'Authorization: Bearer {service_key}' '{base}/v1/events'\n");
    }

    /// The commands that read the provider's list. The database is named in them: a `DATABASE_URL` of that terminal
    /// would win over a file.
    fn print_reading(&self, settings: &Path) {
        let database = quoted(&self.database_url());
        let usersync = format!(
            "USERSYNC_DATABASE__URL={database} {} --config {}",
            program(),
            quoted(&settings.display().to_string())
        );
        say!("  # import the users who existed before, once more; nothing changes");
        say!("  {usersync} backfill {SOURCE} --restart\n");
        say!("  # compare the table with the provider's list");
        say!("  {usersync} reconcile {SOURCE}\n");
    }

    fn print_events(&self, development: &Development) {
        if let Some(url) = &self.forward_to {
            say!("Events are sent to {url}, signed with {}", development.endpoint_secret);
        }
        say!("Each event is printed below, as an endpoint is sent it.");
    }
}

/// The commands that send the sample events.
fn print_samples(base: &str, development: &Development, samples: &[PathBuf]) {
    let (usersync, secret) = (program(), &development.secret);
    for (what, sample) in
        ["change the user's name", "delete the user for good; the token stops working at once"]
            .iter()
            .zip(&samples[1..])
    {
        say!("  # {what}");
        say!(
            "  {usersync} send {} --to {base}/webhooks/{SOURCE} --secret {secret}\n",
            quoted(&sample.display().to_string())
        );
    }
}

/// The app that events are sent to.
fn forwarding(url: &Url, development: &Development) -> Endpoint {
    Endpoint {
        name: "forward-to".to_owned(),
        url: url.clone(),
        secrets: vec![SecretString::from(development.endpoint_secret.clone())],
        events: EventKind::VARIANTS.to_vec(),
        sources: Vec::new(),
    }
}

/// Gives the sample user a new id if it was deleted in an earlier run, and stores the service key.
async fn prepare(store: &Store, development: &mut Development, clock: &Clock) -> anyhow::Result<()> {
    let key = UserKey::new(SOURCE, &development.subject);
    let mut found = store.users().look_up(&BTreeSet::from([&key])).await?;
    if let Some(UserLookup { deleted_at: Some(_), .. }) = found.remove(&key).transpose()? {
        development.subject = format!("user_ada_{}", clock.now().as_micros());
    }
    let hash = service_key::hash(&development.service_key);
    if store.api_keys().find(&hash).await?.is_none() {
        let prefix: String = development.service_key.chars().take(service_key::PREFIX_LENGTH).collect();
        let scopes = [Scope::UsersRead, Scope::EventsRead].into_iter().collect();
        let row = ApiKey::new(SOURCE, prefix, scopes, clock);
        store.api_keys().insert(row, hash).await?;
    }
    Ok(())
}

/// The path of this program, relative to the working directory where possible.
fn program() -> String {
    let Ok(path) = env::current_exe() else { return "usersync".to_owned() };
    let directory = env::current_dir().unwrap_or_default();
    let path =
        path.strip_prefix(directory).map_or_else(|_| path.clone(), |inside| Path::new(".").join(inside));
    quoted(&path.display().to_string())
}
