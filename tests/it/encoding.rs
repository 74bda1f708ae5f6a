//! A database whose encoding is not UTF8 and lacks letters of people's names.

use std::cell::Cell;

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use usersync::internals::clock::Clock;

use crate::support::app::APPLICATION_ID;
use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::{ADA, CREATED, DELETED};
use crate::support::client::{Answer, Client, answer};
use crate::support::provider::Provider;
use crate::support::signer::rsa;

/// A database in LATIN1 beside the home's own, and the connection and the statement that drop it.
struct Latin {
    home: ProgramFixture,
    owner: DatabaseConnection,
    drop: String,
}

impl Latin {
    async fn create() -> Option<Self> {
        let mut home = ProgramFixture::on_postgres().await?;
        let owner = home.database().await;
        let sql = "SELECT current_database() || '_latin'";
        let row = owner.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        let name: String = row.unwrap().try_get_by_index(0).unwrap();
        let create = format!(
            "CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        owner.execute_unprepared(&create).await.unwrap();
        let mut url: url::Url = home.variable("DATABASE_URL").parse().unwrap();
        url.set_path(&name);
        home.set("DATABASE_URL", url.to_string());
        Some(Self { home, owner, drop: format!("DROP DATABASE \"{name}\" WITH (FORCE)") })
    }

    async fn drop(self) {
        self.owner.execute_unprepared(&self.drop).await.unwrap();
        self.owner.close().await.unwrap();
    }
}

#[tokio::test]
async fn in_latin1_a_delivery_is_parked_and_a_lookup_finds_no_user() {
    let Some(latin) = Latin::create().await else { return };
    let home = &latin.home;
    let said = home.run(&["migrate"]).await;
    assert!(said.code == Some(0) && said.stderr.contains("LATIN1"), "{said:?}");
    assert!(home.run(&["doctor"]).await.stdout.contains("LATIN1"));
    let service = home.serve().await;
    let client = home.client(&service).await;
    for event in [
        CREATED.replace("\"Ada\"", "\"Łukasz 🎉\""),
        CREATED.replace(ADA, "user_Łukasz"),
        DELETED.replace(ADA, "user_Łukasz"),
    ] {
        assert_eq!(client.deliver(event.clone()).await, "200 parked");
    }
    // What the encoding has is stored as ever, beside those.
    assert_eq!(client.deliver(CREATED.replace("\"Ada\"", "\"Zoë\"")).await, "200 applied");
    assert_eq!(client.rows().await[0]["givenName"], "Zoë");
    for query in ["?source=clerk&externalId=user_%C5%81ukasz", "?email=%C5%81%40example.com"] {
        let found = client.list(query).await;
        assert_eq!((found.status, found.json()["users"].as_array().unwrap().len()), (200, 0), "{found:?}");
    }
    service.stop().await;
    let listed = home.run(&["replay", "--parked", "--list"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    latin.drop().await;
}

/// A provider of tokens, and the client that sends them.
struct Claiming {
    provider: Provider,
    client: Client,
    /// When the next token is issued: later than the one before, so that its claims are newer.
    issued_at: Cell<i64>,
}

impl Claiming {
    /// Sends a token with these claims, to be stored or to be looked up.
    async fn send(&self, method: Method, claims: Value) -> Answer {
        let iat = self.issued_at.get();
        self.issued_at.set(iat + 1);
        let mut all = json!({
            "iss": self.provider.url(""), "aud": APPLICATION_ID, "iat": iat, "exp": iat + 600,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let token = rsa("key_1").token(&all);
        answer(self.client.request(method, "/v1/users/current").bearer_auth(token)).await
    }
}

#[tokio::test]
async fn in_latin1_claims_are_stored_without_what_the_encoding_lacks() {
    let Some(latin) = Latin::create().await else { return };
    let home = &latin.home;
    let provider = Provider::start();
    provider.publish(&[&rsa("key_1")]);
    home.write(
        "usersync.toml",
        &format!(
            "[[sources]]\nname = 'app'\nprovider = 'clerk'\n[[sources.tokens]]\ntype = 'oidc'\ndomain = '{}'\n\
             applicationID = '{APPLICATION_ID}'\n",
            provider.url("")
        ),
    );
    let service = home.serve().await;
    let client = home.client(&service).await;
    let issued_at = Cell::new(Clock::system().now().as_seconds() - 100);
    let claiming = Claiming { provider, client, issued_at };
    let shown = |answer: &Answer| [answer.json()["name"].clone(), answer.json()["email"].clone()];

    for (claims, status, stored) in [
        (
            json!({"sub": "user_name", "name": "Łukasz", "email": "name@example.com"}),
            201,
            [json!(null), json!("name@example.com")],
        ),
        // Only ASCII is certain: this name alone would be stored.
        (
            json!({"sub": "user_email", "name": "Zoë", "email": "łukasz@example.com"}),
            201,
            [json!(null), json!(null)],
        ),
        (
            json!({"sub": "user_email", "name": "Zoe", "email": "łukasz@example.com"}),
            200,
            [json!("Zoe"), json!(null)],
        ),
        // All of it is there in this encoding.
        (
            json!({"sub": "user_Zoë", "name": "Zoë", "email": "zoe@example.com"}),
            201,
            [json!("Zoë"), json!("zoe@example.com")],
        ),
        (
            json!({"sub": "user_Noë", "name": "Noë 🎉", "email": "noe@example.com"}),
            201,
            [json!(null), json!("noe@example.com")],
        ),
    ] {
        let posted = claiming.send(Method::POST, claims.clone()).await;
        assert_eq!((posted.status, shown(&posted)), (status, stored.clone()), "{claims} {posted:?}");
        let read = claiming.send(Method::GET, claims.clone()).await;
        assert_eq!((read.status, shown(&read)), (200, stored), "{claims} {read:?}");
    }
    // A user whose id the encoding lacks can have no row.
    for method in [Method::POST, Method::GET] {
        let claims = json!({"sub": "user_Łukasz", "name": "Ada", "email": "ada@example.com"});
        assert_eq!(claiming.send(method, claims).await.brief(), "404 user_not_synced");
    }
    assert_eq!(claiming.client.rows().await.len(), 4);

    let log = service.stop().await.stderr;
    assert!(log.contains("the database rejected some token claims") && log.contains("22P05"), "{log}");
    for private in ["@example.com", "Zoe", "\"Łukasz", "Noë 🎉"] {
        assert!(!log.contains(private), "{private:?} is in {log}");
    }
    latin.drop().await;
}
