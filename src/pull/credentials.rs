//! Who asks: a key, a name with a password, or a token that is got for them and renewed in time.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::ApiError;
use crate::providers::api::{Api, Authority, Client};

/// How requests are authorised.
#[derive(Debug)]
pub(super) struct Credentials {
    api: Arc<Api>,
    /// Of a client: kept until a tenth of its life is left.
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

    /// Whether a 401 may come from a token that another one can replace.
    pub(super) fn can_be_renewed(&self) -> bool {
        matches!(self.api.authority, Authority::Client(_))
    }

    /// Forgets the token, so that the next request gets another one.
    pub(super) async fn forget(&self) {
        *self.token.lock().await = None;
    }

    /// What has to be granted.
    pub(super) fn hint(&self) -> &'static str {
        match &self.api.authority {
            Authority::Client(client) => client.needs,
            _ => "the key needs to read users",
        }
    }

    pub(super) async fn add_to(
        &self,
        request: RequestBuilder,
        http: &reqwest::Client,
    ) -> Result<RequestBuilder, ApiError> {
        Ok(match &self.api.authority {
            Authority::None => request,
            Authority::Bearer(key) => request.bearer_auth(key.expose_secret()),
            Authority::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
            Authority::Client(client) => request.bearer_auth(self.token(client, http).await?.expose_secret()),
        })
    }

    /// The token, or a new one. Those who ask at the same time wait for one request.
    async fn token(&self, client: &Client, http: &reqwest::Client) -> Result<SecretString, ApiError> {
        let mut known = self.token.lock().await;
        if let Some(token) = known.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.value.clone());
        }
        let token = ask(client, http).await?;
        *known = Some(token.clone());
        Ok(token.value)
    }
}

async fn ask(client: &Client, http: &reqwest::Client) -> Result<Token, ApiError> {
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
    let passing = |_| ApiError::Unavailable("no token can be got".to_owned());
    let response = request.send().await.map_err(passing)?;
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap_or_default();
    if status == 429 || status >= 500 {
        return Err(ApiError::Unavailable(format!("{} answered {status}", client.token_url.path())));
    }
    let Some(value) = body.get("access_token").and_then(Value::as_str).filter(|_| status == 200) else {
        let why = ["error_description", "error"].iter().find_map(|name| body.get(*name)?.as_str());
        let why = why.unwrap_or("it does not say why");
        return Err(ApiError::Unauthorized(format!(
            "the provider gives no token for the client ({status}, {why}): check its id and secret; {}",
            client.needs
        )));
    };
    if let (Some(needed), Some(granted)) = (client.scope, body.get("scope").and_then(Value::as_str))
        && !granted.split_whitespace().any(|scope| scope == needed)
    {
        return Err(ApiError::Refused(format!(
            "the client's token is not good for {needed}: {}",
            client.needs
        )));
    }
    // An hour, where the provider does not say how long.
    let seconds = body.get("expires_in").and_then(Value::as_u64).unwrap_or(3600);
    Ok(Token { value: value.into(), renew_at: Instant::now() + Duration::from_secs(seconds) * 9 / 10 })
}
