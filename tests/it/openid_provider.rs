//! ID tokens of a third-party OpenID Connect provider, from its login page to the answer of usersync.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use usersync::internals::app::Service;
use usersync::internals::clock::Clock;
use usersync::internals::config::{Algorithm, RuleKind};

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::client::{Client, answer};
use crate::support::openid::OpenIdProvider;

/// The service with one rule: tokens of this provider for one application.
async fn trusting(app: &TestApp, provider: &OpenIdProvider, application_id: &str) -> (Service, Client) {
    let mut config = app.config.clone();
    let rule = &mut config.sources[0].tokens[0];
    rule.kind = RuleKind::Oidc { domain: provider.issuer().clone(), algorithms: Algorithm::ALL.to_vec() };
    rule.application_id = Some(application_id.to_owned());
    app.replica_of(&config).await
}

/// The provider uses the system's clock, and ours follows it.
fn catch_up(app: &TestApp) {
    let micros = Clock::system().now().as_micros() - app.clock.now().as_micros();
    app.clock.advance(Duration::from_micros(u64::try_from(micros).expect("the system's clock is right")));
}

async fn a_user_who_logs_in_is_authenticated(app: &TestApp) {
    let Some(provider) = OpenIdProvider::start().await else { return };
    app.client.deliver(CREATED).await;
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let client_id = format!("app-{algorithm}");
        let token = provider.log_in(ADA, &client_id).await;
        catch_up(app);
        let (service, client) = trusting(app, &provider, &client_id).await;

        let identity = client.get_as(&token, "/v1/identity").await.json();
        let issuer = provider.issuer_text();
        assert_eq!(
            identity,
            json!({
                "tokenIdentifier": format!("{issuer}|{ADA}"), "subject": ADA, "issuer": issuer,
                "name": "Ada Lovelace", "givenName": "Ada", "familyName": "Lovelace",
                "pictureUrl": "https://img.example/ada.png", "language": "en-GB",
                "email": format!("{ADA}@example.com"), "emailVerified": true,
                "phoneNumber": "+15555550100", "phoneNumberVerified": false,
                "address": "12 St James's Square\nLondon", "updatedAt": "2026-01-01T00:00:00Z",
                "nonce": "a-nonce",
            })
        );
        let user = client.get_as(&token, "/v1/users/current").await.json();
        assert_eq!(user, app.client.rows().await[0]);
        service.stop().await.unwrap();
    }
}

on_both_databases!(a_user_who_logs_in_is_authenticated);

async fn a_first_login_stores_its_user(app: &TestApp) {
    let Some(provider) = OpenIdProvider::start().await else { return };
    let (service, client) = trusting(app, &provider, "app-RS256").await;
    let token = provider.log_in(ADA, "app-RS256").await;
    catch_up(app);
    let path = "/v1/users/current";
    assert_eq!(client.get_as(&token, path).await.brief(), "404 user_not_synced");
    let stored = answer(client.request(Method::POST, path).bearer_auth(&token)).await;
    assert_eq!((stored.status, &stored.json()["externalId"]), (201, &json!(ADA)));
    assert_eq!(client.get_as(&token, path).await.json(), stored.json());
    service.stop().await.unwrap();
}

on_both_databases!(a_first_login_stores_its_user);

async fn a_token_for_another_application_of_the_provider_is_refused(app: &TestApp) {
    let Some(provider) = OpenIdProvider::start().await else { return };
    let (service, client) = trusting(app, &provider, "app-RS256").await;
    for (client_id, expected) in [("app-RS256", "404 user_not_synced"), ("app-ES256", "401 no_auth_provider")]
    {
        let token = provider.log_in(ADA, client_id).await;
        catch_up(app);
        assert_eq!(client.get_as(&token, "/v1/users/current").await.brief(), expected);
    }
    service.stop().await.unwrap();
}

on_both_databases!(a_token_for_another_application_of_the_provider_is_refused);

async fn new_keys_of_the_provider_are_used_and_old_ones_refused(app: &TestApp) {
    let Some(mut provider) = OpenIdProvider::start().await else { return };
    let (service, client) = trusting(app, &provider, "app-ES256").await;
    let before = provider.log_in(ADA, "app-ES256").await;
    catch_up(app);
    assert_eq!(client.get_as(&before, "/v1/users/current").await.brief(), "404 user_not_synced");

    provider.rotate_keys().await;
    let after = provider.log_in(ADA, "app-ES256").await;
    catch_up(app);
    assert_eq!(client.get_as(&after, "/v1/users/current").await.brief(), "404 user_not_synced");
    assert_eq!(client.get_as(&before, "/v1/users/current").await.brief(), "401 unauthenticated");
    service.stop().await.unwrap();
}

on_both_databases!(new_keys_of_the_provider_are_used_and_old_ones_refused);
