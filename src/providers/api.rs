//! How a source's provider is asked: its address, the credentials, and who reads the answers.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::directory::Directory;
use super::watch::Watch;
use crate::signature;

/// How a source's provider is asked.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) directory: Box<dyn Directory>,
    pub(crate) watch: Box<dyn Watch>,
    pub(crate) base_url: Url,
    pub(crate) authority: Authority,
    /// Beside the credentials, in every request.
    pub(crate) headers: Vec<(String, SecretString)>,
}

impl Api {
    /// Tells whom and as whom it asks from any other. Nobody can tell the key from it.
    pub(crate) fn fingerprint(&self) -> String {
        let who = match &self.authority {
            Authority::None => String::new(),
            Authority::Bearer(key) => key.expose_secret().to_owned(),
            Authority::Basic { user, .. } => user.clone(),
            Authority::Client(client) => format!("{} {}", client.token_url, client.id),
        };
        let mut digest = signature::digest(format!("{} {who}", self.base_url).as_bytes());
        digest.truncate(12);
        digest
    }
}

/// With what a provider is asked.
#[derive(Debug)]
pub(crate) enum Authority {
    None,
    Bearer(SecretString),
    Basic {
        user: String,
        password: SecretString,
    },
    /// OAuth 2.0 client credentials (RFC 6749, 4.4).
    Client(Client),
}

/// A client that gets a token for itself.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) token_url: Url,
    pub(crate) id: String,
    pub(crate) secret: SecretString,
    /// Beside the grant: `audience`, `scope`, `resource`.
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// Whether a token is asked for with JSON, as Auth0 wants it, or with a form, as the RFC does.
    pub(crate) is_json: bool,
    /// What a token must be good for, where the provider says what it is good for.
    pub(crate) scope: Option<&'static str>,
    /// What has to be granted to it, for whoever set it up.
    pub(crate) needs: &'static str,
}
