//! Authenticates requests: an API key, a user name and password, or an access token that is renewed before it expires.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::ApiError;
use super::response::{Verdict, read};
use crate::domain::foreign_text;
use crate::providers::api::{Api, ApiCredentials, OAuthClient};
use crate::providers::directory::Answer;

/// The lifetime of a token whose provider does not report it.
const USUAL_LIFETIME: Duration = Duration::from_hours(1);
/// A token is not used longer. A provider may report a lifetime too long to calculate with.
const LONGEST_LIFETIME: Duration = Duration::from_hours(365 * 24);

/// How requests are authorised.
#[derive(Debug)]
pub(super) struct Credentials {
    api: Arc<Api>,
    /// The token of a client, used until a tenth of its lifetime is left.
    token: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    value: SecretString,
    renew_at: Instant,
}

impl Credentials {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self { api, token: Mutex::new(None) }
    }

    /// Whether a 401 can mean that the token has to be replaced.
    pub(super) fn can_be_renewed(&self) -> bool {
        matches!(self.api.authority, ApiCredentials::OAuthClient(_))
    }

    /// Forgets the token, so that the next request gets another one.
    pub(super) async fn forget(&self) {
        *self.token.lock().await = None;
    }

    /// A text of the provider without the credentials that were sent to it.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        // While a token is being requested, it was not sent yet.
        let known = self.token.try_lock().ok();
        let token = known.as_deref().and_then(Option::as_ref).map(|token| token.value.expose_secret());
        let secrets: Vec<&str> = self.api.secrets().into_iter().chain(token).collect();
        foreign_text(text, &secrets)
    }

    /// The permissions that are needed.
    pub(super) fn hint(&self) -> &'static str {
        match &self.api.authority {
            ApiCredentials::OAuthClient(client) => client.needs,
            _ => "the key needs the permission to read users",
        }
    }

    pub(super) async fn add_to(
        &self,
        request: RequestBuilder,
        http: &reqwest::Client,
    ) -> Result<RequestBuilder, ApiError> {
        Ok(match &self.api.authority {
            ApiCredentials::None => request,
            ApiCredentials::Bearer(key) => request.bearer_auth(key.expose_secret()),
            ApiCredentials::Basic { user, password } => {
                request.basic_auth(user, Some(password.expose_secret()))
            }
            ApiCredentials::OAuthClient(client) => {
                request.bearer_auth(self.token(client, http).await?.expose_secret())
            }
        })
    }

    /// The token, or a new one. Simultaneous calls wait for one request.
    async fn token(&self, client: &OAuthClient, http: &reqwest::Client) -> Result<SecretString, ApiError> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.value.clone());
        }
        let token = request_token(client, http).await?;
        *known = Some(token.clone());
        Ok(token.value)
    }
}

async fn request_token(client: &OAuthClient, http: &reqwest::Client) -> Result<Token, ApiError> {
    let mut parameters = vec![("grant_type", "client_credentials".to_owned())];
    parameters.extend(client.parameters.iter().cloned());
    let request = http.post(client.token_url.clone()).timeout(Duration::from_secs(30));
    let secret = client.secret.expose_secret();
    let request = if client.is_json {
        let mut body = json!({"client_id": client.id, "client_secret": secret});
        for (name, value) in parameters {
            body[name] = value.into();
        }
        request.json(&body)
    } else {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(parameters);
        request
            .basic_auth(&client.id, Some(secret))
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish())
    };
    let passing = |_| ApiError::Unavailable("no access token could be obtained".to_owned());
    let response = request.send().await.map_err(passing)?;
    let Answer { status, body, .. } = read(response).await.map_err(Verdict::into_error)?;
    if status == 429 || status >= 500 {
        return Err(ApiError::Unavailable(format!("{} answered {status}", client.token_url.path())));
    }
    let Some(value) = body.get("access_token").and_then(Value::as_str).filter(|_| status == 200) else {
        let why = ["error_description", "error"].iter().find_map(|name| body.get(*name)?.as_str());
        if status == 200 && why.is_none() {
            return Err(ApiError::Unexpected(format!(
                "{} answered without a token",
                client.token_url.path()
            )));
        }
        let why = foreign_text(why.unwrap_or("no reason given"), &[secret]);
        return Err(ApiError::Unauthorized(format!(
            "the provider refused an access token ({status}, {why}): check client_id and client_secret; {}",
            client.needs
        )));
    };
    if let (Some(needed), Some(granted)) = (client.scope, body.get("scope").and_then(Value::as_str))
        && !granted.split_whitespace().any(|scope| scope == needed)
    {
        return Err(ApiError::Refused(format!(
            "the client's token does not have the scope {needed}: {}",
            client.needs
        )));
    }
    let lifetime = body.get("expires_in").and_then(Value::as_u64).map_or(USUAL_LIFETIME, Duration::from_secs);
    Ok(Token { value: value.into(), renew_at: Instant::now() + lifetime.min(LONGEST_LIFETIME) * 9 / 10 })
}
