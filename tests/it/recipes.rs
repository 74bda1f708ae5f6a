//! Issuers that are not providers of users: the configuration that their pages in `docs/providers` give, as it stands
//! there.

use reqwest::Method;
use serde_json::{Value, json};
use usersync::internals::clock::Clock;

use crate::support::app::SECRET;
use crate::support::binary::{Process, ProgramFixture};
use crate::support::client::{Client, answer};
use crate::support::peers::{JOSE, OPENAUTH};
use crate::support::provider::{Page, Provider};

/// The program with the configuration of a page, and this issuer in place of the page's example.
async fn serve(page: &str, example: &str, issuer: &str) -> (ProgramFixture, Process, Client) {
    let home = ProgramFixture::bare()
        .with("USERSYNC_SERVER__LISTEN", "127.0.0.1:0")
        .with("OPENAUTH_WEBHOOK_SECRET", SECRET);
    let (_, configuration) = page.split_once("```toml\n").unwrap();
    let (configuration, _) = configuration.split_once("```").unwrap();
    assert!(configuration.contains(example), "{configuration}");
    home.write("usersync.toml", &configuration.replace(example, issuer));
    let process = home.serve().await;
    let client = Client::new(format!("http://{}", process.address), String::new(), Clock::system());
    (home, process, client)
}

async fn store(client: &Client, token: &str) -> (u16, Value) {
    let stored = answer(client.request(Method::POST, "/v1/users/current").bearer_auth(token)).await;
    (stored.status, stored.json())
}

#[tokio::test]
async fn users_of_openauth_are_sent_at_their_login() {
    let Some(mut peer) = OPENAUTH.start() else { return };
    let issuer = peer.read_line().await["issuer"].as_str().unwrap().to_owned();
    let page = include_str!("../../docs/providers/openauth.md");
    let (_home, process, client) = serve(page, "https://auth.example.com", &issuer).await;

    let usersync = format!("http://{}", process.address);
    let email = "ada@example.com";
    let login = peer.ask(&json!({"usersync": usersync, "secret": SECRET, "email": email})).await;
    assert_eq!(login["told"]["outcome"], "applied");
    let token = login["token"].as_str().unwrap();
    let user = client.get_as(token, "/v1/users/current").await.json();
    assert_eq!([&user["externalId"], &user["email"]], ["user of ada@example.com", email]);
    let identity = client.get_as(token, "/v1/identity").await.json();
    assert_eq!([&identity["issuer"], &identity["properties.email"]], [issuer.as_str(), email]);
    process.stop().await;
}

/// As `src/server/implementation/tokens.ts` of `@convex-dev/auth` makes them, and `src/cli/generateKeys.ts` the key.
#[tokio::test]
async fn sessions_of_convex_auth_are_of_one_user() {
    let Some(mut peer) = JOSE.start() else { return };
    let provider = Provider::start();
    let issuer = provider.url("");
    let page = include_str!("../../docs/providers/convex-auth.md");

    let now = Clock::system().now().as_seconds();
    let mut mint = async |sub: &str, audience: &str| {
        let claims = json!({
            "sub": sub, "iat": now, "iss": issuer, "aud": audience, "exp": now + 3_600, "name": "Ada Lovelace",
        });
        let said = peer.ask(&json!({"algorithm": "RS256", "claims": claims})).await;
        provider.page("/jwks", Page::ok(said["jwks"].to_string()));
        said["token"].as_str().unwrap().to_owned()
    };
    let first = mint("j57user|jh7first", "convex").await;
    // The issuer has its keys before the service requests them.
    let (_home, process, client) = serve(page, "https://happy-animal-123.convex.site", &issuer).await;
    let (status, user) = store(&client, &first).await;
    assert_eq!(
        (status, &user["externalId"], &user["name"]),
        (201, &json!("j57user"), &json!("Ada Lovelace"))
    );
    let second = mint("j57user|jh7second", "convex").await;
    assert_eq!(store(&client, &second).await, (200, user.clone()));
    assert_eq!(client.get_as(&second, "/v1/identity").await.json()["subject"], "j57user|jh7second");
    let other = mint("j57user|jh7third", "another-app").await;
    assert_eq!(client.get_as(&other, "/v1/users/current").await.brief(), "401 no_auth_provider");
    process.stop().await;
}
