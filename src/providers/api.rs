//! Requests to a source's provider: the address, the credentials, and the code that reads the answers.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::directory::Directory;
use super::watch::ProviderWatch;
use crate::signature;

/// How to send requests to a source's provider.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) directory: Box<dyn Directory>,
    pub(crate) watch: Box<dyn ProviderWatch>,
    pub(crate) base_url: Url,
    pub(crate) authority: ApiCredentials,
    /// Sent with every request, in addition to the credentials.
    pub(crate) headers: Vec<(String, SecretString)>,
}

impl Api {
    /// Identifies the address and the credentials. The key cannot be read from it.
    pub(crate) fn fingerprint(&self) -> String {
        let who = match &self.authority {
            ApiCredentials::None => String::new(),
            ApiCredentials::Bearer(key) => key.expose_secret().to_owned(),
            ApiCredentials::Basic { user, .. } => user.clone(),
            ApiCredentials::OAuthClient(client) => format!("{} {}", client.token_url, client.id),
        };
        let mut digest = signature::digest(format!("{} {who}", self.base_url).as_bytes());
        digest.truncate(12);
        digest
    }

    /// Every configured secret that is sent to the provider: an error message may repeat it.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let credentials = match &self.authority {
            ApiCredentials::None => None,
            ApiCredentials::Bearer(key) => Some(key),
            ApiCredentials::Basic { password, .. } => Some(password),
            ApiCredentials::OAuthClient(client) => Some(&client.secret),
        };
        let headers = self.headers.iter().map(|(_, value)| value);
        headers.chain(credentials).map(ExposeSecret::expose_secret).collect()
    }
}

/// The credentials for requests to a provider.
#[derive(Debug)]
pub(crate) enum ApiCredentials {
    None,
    Bearer(SecretString),
    Basic {
        user: String,
        password: SecretString,
    },
    /// OAuth 2.0 client credentials (RFC 6749, 4.4).
    OAuthClient(OAuthClient),
}

/// A client that requests its own access token.
#[derive(Debug)]
pub(crate) struct OAuthClient {
    pub(crate) token_url: Url,
    pub(crate) id: String,
    pub(crate) secret: SecretString,
    /// Parameters in addition to the grant: `audience`, `scope`, `resource`.
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// Whether a token is requested with JSON, as Auth0 requires, or with a form, as in the RFC.
    pub(crate) is_json: bool,
    /// The scope that a token must have, if the provider returns the token's scopes.
    pub(crate) scope: Option<&'static str>,
    /// The permissions that it needs, for an error message.
    pub(crate) needs: &'static str,
}
