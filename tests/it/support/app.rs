//! The service as in production, on a database of the test's own.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sea_orm::{ConnectionTrait as _, Statement};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use usersync::internals::app::{App, Service};
use usersync::internals::auth::service_key::ServiceKey;
use usersync::internals::clock::Clock;
use usersync::internals::config::{Algorithm, Config, Database as Settings, RuleKind, Source, TokenRule};
use usersync::internals::domain::{Scope, Scopes, Timestamp};
use usersync::internals::providers::{self, Sources};
use usersync::internals::store::{ApiKey, Store};
use usersync::internals::sync::Replay;

use super::client::Client;
use super::postgres::{Database, Template, empty_database};
use super::provider::Provider;
use super::signer::{Signer, rsa};

/// The source's secrets: the one in use, and the one that is being rotated out.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// `aud` of the tokens.
pub(crate) const APPLICATION_ID: &str = "convex";
/// 2026-01-04T12:00:00Z, some days after the fixtures' users were made.
pub(crate) const NOW: i64 = 1_767_528_000;

static TEMPLATE: Template = Template::new("migrated");

/// A running service, its provider, and a client.
pub(crate) struct TestApp {
    pub(crate) client: Client,
    pub(crate) provider: Provider,
    pub(crate) signer: Signer,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) config: Config,
    service: Service,
    expected_parked: AtomicU64,
    database_lost: AtomicBool,
    _place: Place,
}

/// Where the database is; dropped last.
enum Place {
    Sqlite { _directory: TempDir },
    Postgres { _database: Database },
}

impl TestApp {
    pub(crate) async fn on_sqlite(configure: fn(&mut Config)) -> Self {
        Self::on_prepared_sqlite(async |_| (), configure).await
    }

    /// `None`, with a warning, if there is no PostgreSQL.
    pub(crate) async fn on_postgres(configure: fn(&mut Config)) -> Option<Self> {
        let migrate = async |url: String| {
            let store = Store::connect(&Settings::at(&url)).await?;
            store.migrate().await?;
            store.close().await
        };
        let database = TEMPLATE.database(migrate).await?;
        let url = database.url();
        Some(Self::start(&url, Place::Postgres { _database: database }, configure).await)
    }

    /// On a file that `prepare` fills first, as an earlier version has.
    pub(crate) async fn on_prepared_sqlite(
        prepare: impl AsyncFnOnce(String),
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", directory.path().join("usersync.db").display());
        prepare(url.clone()).await;
        Self::start(&url, Place::Sqlite { _directory: directory }, configure).await
    }

    /// The same on an empty database; `None`, with a warning, if there is no PostgreSQL.
    pub(crate) async fn on_prepared_postgres(
        prepare: impl AsyncFnOnce(String),
        configure: impl FnOnce(&mut Config),
    ) -> Option<Self> {
        let database = empty_database().await?;
        let url = database.url();
        prepare(url.clone()).await;
        Some(Self::start(&url, Place::Postgres { _database: database }, configure).await)
    }

    async fn start(url: &str, place: Place, configure: impl FnOnce(&mut Config)) -> Self {
        let provider = Provider::start();
        let signer = rsa("key_1");
        provider.publish(&[&signer]);
        let mut config = settings(url, &provider);
        configure(&mut config);
        let clock = Clock::fixed(Timestamp::from_seconds(NOW));
        let app = App::new(&config, clock.clone()).await.unwrap();
        let store = app.store().clone();
        let service_key = new_service_key(&store, [Scope::UsersRead].into_iter().collect(), &clock).await;
        let admin = config.admin.listen.map(|address| TcpListener::bind(address).unwrap());
        let app = app.with_console(admin);
        let service = app.serve(TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
        let base = format!("http://{}", service.main.address);
        let client = Client::new(base, service_key, clock.clone());
        Self {
            client,
            provider,
            signer,
            clock,
            store,
            config,
            service,
            expected_parked: AtomicU64::new(0),
            database_lost: AtomicBool::new(false),
            _place: place,
        }
    }

    /// A service key with these scopes.
    pub(crate) async fn service_key_with(&self, scopes: Scopes) -> String {
        new_service_key(&self.store, scopes, &self.clock).await
    }

    /// The URL of the console, which the settings of the test have.
    pub(crate) fn console_url(&self) -> String {
        format!("http://{}", self.service.admin.as_ref().unwrap().address)
    }

    /// A token for a user, as the provider signs it.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.signer.token(&self.claims(subject))
    }

    /// The claims of such a token.
    pub(crate) fn claims(&self, subject: &str) -> Value {
        let now = self.clock.now().as_seconds();
        json!({
            "iss": self.provider.url(""), "sub": subject, "aud": APPLICATION_ID,
            "iat": now, "exp": now + 60, "email": "claimed@example.com",
        })
    }

    /// The journal by message id: the outcome of each delivery, and whether its payload is stored.
    pub(crate) async fn journal(&self) -> Vec<(String, String, bool)> {
        let database = sea_orm::Database::connect(self.config.database.url.expose_secret()).await.unwrap();
        let sql = "SELECT message_id, outcome, payload IS NOT NULL FROM journal ORDER BY message_id";
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let rows = database.query_all_raw(statement).await.unwrap();
        database.close().await.unwrap();
        rows.iter().map(|row| row.try_get_many_by_index().unwrap()).collect()
    }

    /// Declares that the test parks this number of deliveries on purpose.
    pub(crate) fn expect_parked(&self, count: u64) {
        self.expected_parked.store(count, Ordering::SeqCst);
    }

    /// Another process of the same service on the same database, and a client of it.
    pub(crate) async fn replica(&self) -> (Service, Client) {
        self.replica_of(&self.config).await
    }

    /// The same with settings of its own.
    pub(crate) async fn replica_of(&self, config: &Config) -> (Service, Client) {
        let app = App::new(config, self.clock.clone()).await.unwrap();
        let service = app.serve(TcpListener::bind("127.0.0.1:0").unwrap(), None).unwrap();
        let base = format!("http://{}", service.main.address);
        let client = Client::new(base, self.client.service_key().to_owned(), self.clock.clone());
        (service, client)
    }

    /// Replays as the command does.
    pub(crate) fn replay(&self) -> Replay {
        Replay::new(
            Arc::new(self.sources()),
            self.store.clone(),
            self.clock.clone(),
            self.config.logs_events(),
        )
    }

    pub(crate) fn sources(&self) -> Sources {
        Sources::new(&self.config.sources).unwrap()
    }

    /// Takes the database away from the running service, permanently.
    pub(crate) async fn lose_database(&self) {
        self.store.clone().close().await.unwrap();
        self.database_lost.store(true, Ordering::SeqCst);
    }

    /// Stops the service as SIGTERM does, having looked for deliveries left behind.
    pub(crate) async fn finish(self) {
        if !self.database_lost.into_inner() {
            let parked = self.store.journal().parked().await.unwrap();
            assert_eq!(parked, self.expected_parked.into_inner(), "parked deliveries were left behind");
        }
        self.service.stop().await.unwrap();
    }
}

async fn new_service_key(store: &Store, scopes: Scopes, clock: &Clock) -> String {
    let key = ServiceKey::generate().unwrap();
    let row = ApiKey::new("tests", key.prefix(), scopes, clock);
    store.api_keys().insert(row, key.hash()).await.unwrap();
    key.reveal().to_owned()
}

fn settings(url: &str, provider: &Provider) -> Config {
    let mut config = Config::default();
    config.database.url = SecretString::from(url);
    let kind = RuleKind::Oidc {
        domain: provider.url("").parse().unwrap(),
        algorithms: vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
    };
    let rule = TokenRule {
        kind,
        application_id: Some(APPLICATION_ID.to_owned()),
        authorized_parties: Vec::new(),
        allow_pending_sessions: false,
        subject_separator: None,
    };
    config.sources = vec![Source {
        name: "clerk".to_owned(),
        provider: providers::CLERK,
        webhook_secrets: vec![SecretString::from(SECRET), SecretString::from(OLD_SECRET)],
        bearer_tokens: Vec::new(),
        tokens: vec![rule],
        map: None,
        api: None,
        list: None,
    }];
    config
}
