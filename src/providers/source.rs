//! A configured instance of a provider: the webhook URL, its secrets, and how its messages are read.

use std::collections::BTreeMap;

use http::HeaderMap;
use secrecy::ExposeSecret;

use super::clerk::Clerk;
use super::{NotJson, Provider, Read, read};
use crate::config;
use crate::domain::{IdPolicy, Timestamp};
use crate::signature::{self, Message, Scheme, SignatureError, StandardWebhooks, Verified};

/// A configured source.
#[derive(Debug)]
pub struct Source {
    name: String,
    provider: Box<dyn Provider>,
    scheme: Box<dyn Scheme>,
}

/// A source that cannot be made of its configuration.
#[derive(Debug, thiserror::Error)]
#[error("source `{name}`: {reason}")]
pub struct SourceError {
    name: String,
    reason: String,
}

impl Source {
    /// The source that the configuration describes.
    pub fn new(settings: &config::Source) -> Result<Self, SourceError> {
        let fails = |reason: String| SourceError { name: settings.name.clone(), reason };
        let svix = || {
            let secrets = settings.webhook_secrets.iter().map(ExposeSecret::expose_secret);
            StandardWebhooks::new(secrets).map_err(|_| fails("a webhook secret is no base64".to_owned()))
        };
        let (provider, scheme) = match settings.provider {
            config::ProviderKind::Clerk => (Box::new(Clerk), Box::new(svix()?)),
            other => {
                let name = other.name();
                let remedy = "leave the source out, or unset the variables that make it";
                return Err(fails(format!("the provider `{name}` is not in this version yet; {remedy}")));
            }
        };
        Ok(Self { name: settings.name.clone(), provider, scheme })
    }

    /// The name in its URL and in the `source` column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its provider gives ids of deleted users again.
    pub fn ids(&self) -> IdPolicy {
        self.provider.ids()
    }

    /// Checks that a message comes from the source.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<Verified<Message>, SignatureError> {
        signature::verify(&*self.scheme, headers, body, now)
    }

    /// The names of the checks by which [`Self::verify`] judges a message with these headers, in order.
    pub fn checks(&self, headers: &HeaderMap) -> &'static [&'static str] {
        self.scheme.checks(headers)
    }

    /// Reads a message of the source.
    pub fn read(&self, message: Verified<Message>, received_at: Timestamp) -> Result<Read, NotJson> {
        read::read(&self.name, &*self.provider, message, received_at)
    }
}

/// The configured sources, by name.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, Source>);

impl Sources {
    /// The sources that the configuration describes.
    pub fn new(settings: &[config::Source]) -> Result<Self, SourceError> {
        let named = |source: Source| (source.name.clone(), source);
        Ok(Self(settings.iter().map(|one| Source::new(one).map(named)).collect::<Result<_, _>>()?))
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }

    /// Whether the source's provider gives ids of deleted users again; a source that is configured no more keeps them.
    pub fn ids(&self, name: &str) -> IdPolicy {
        self.get(name).map_or(IdPolicy::Final, Source::ids)
    }
}
