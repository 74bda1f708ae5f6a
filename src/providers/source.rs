//! A configured instance of a provider: its secrets, and how its messages are verified and read.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::api::Api;
use super::file::FileUser;
use super::{NotJson, Provider, REGISTRY, ReadMessage, Registered, Unreadable, read};
use crate::config::{self, Signing};
use crate::domain::{Delivery, IdPolicy, Timestamp};
use crate::signature::{
    self, Bearer, Message, Scheme, SignatureError, StandardWebhooks, TimestampedHmac, Verified,
};

/// A configured source.
#[derive(Debug)]
pub struct Source {
    name: String,
    registered: &'static Registered,
    provider: Box<dyn Provider>,
    /// Without any, no message is accepted.
    schemes: Vec<Box<dyn Scheme>>,
    /// How its list of users is read; `None` if the settings do not say with what.
    api: Option<Arc<Api>>,
}

/// A source cannot be made from its configuration.
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
        let kind = settings.provider.name;
        let registered = REGISTRY.iter().find(|registered| registered.kind.name == kind);
        let registered = registered.ok_or_else(|| fails(format!("there is no provider `{kind}`")))?;
        Ok(Self {
            name: settings.name.clone(),
            registered,
            provider: (registered.make)(settings),
            schemes: schemes(settings).map_err(fails)?,
            api: (registered.api)(settings).map(Arc::new),
        })
    }

    /// The name in its URL and in the `source` column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its provider, as it is configured.
    pub(crate) fn provider(&self) -> &'static str {
        self.registered.kind.name
    }

    /// Where its webhooks come in.
    pub(crate) fn webhook_path(&self) -> String {
        format!("/webhooks/{}", self.name)
    }

    /// Whether it has a secret, without which no delivery is accepted.
    pub(crate) fn receives(&self) -> bool {
        !self.schemes.is_empty()
    }

    /// Whether its provider reuses the ids of deleted users.
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
        signature::verify(&self.schemes, headers, body, now)
    }

    /// The names of the checks that [`Self::verify`] makes on a message with these headers, in order.
    pub fn checks(&self, headers: &HeaderMap) -> &'static [&'static str] {
        signature::checks(&self.schemes, headers)
    }

    /// How the provider's list of users is read; `None` if the settings do not say with what.
    pub(crate) fn api(&self) -> Option<&Arc<Api>> {
        self.api.as_ref()
    }

    /// The id of a user of the provider's API, a text or a number; `None` if there is none.
    pub(crate) fn id_of<'a>(&self, user: &'a Value) -> Option<&'a Value> {
        user.pointer(self.provider.listed_id_pointer())
    }

    /// A user of the provider's API as a delivery.
    pub(crate) fn listed(&self, user: Value, received_at: Timestamp) -> Delivery {
        let user = self.provider.describe(user);
        read::listed(&self.name, &*self.provider, &user, received_at)
    }

    /// The deletion of a user who, by the provider's answer at this time of its own clock, no longer exists.
    pub(crate) fn gone(&self, external_id: &str, stamp: Timestamp, received_at: Timestamp) -> Delivery {
        read::gone(&self.name, external_id, stamp, received_at)
    }

    /// A user of one of the provider's export files as a delivery.
    pub(crate) fn listed_in_file(
        &self,
        user: FileUser,
        received_at: Timestamp,
    ) -> Result<Delivery, Unreadable> {
        self.refuse_others(&user)?;
        let user = self.provider.file_user(user)?;
        Ok(read::listed(&self.name, &*self.provider, &user, received_at))
    }

    /// An event of the provider's own log as a delivery; `None` if it is not about a user.
    pub(crate) fn logged(&self, event: &Value, received_at: Timestamp) -> Option<Delivery> {
        let message = Verified::trusted(Message { id: None, body: event.to_string().into_bytes() });
        match self.read(message, received_at) {
            Ok(ReadMessage::Delivery(delivery)) => Some(delivery),
            Ok(ReadMessage::NotAboutUsers { .. }) | Err(NotJson) => None,
        }
    }

    /// Refuses a user who can only be of another vendor. A mapped source may be of any.
    fn refuse_others(&self, user: &FileUser) -> Result<(), Unreadable> {
        if self.registered.kind.is_mapped || (self.registered.is_own)(user) {
            return Ok(());
        }
        match REGISTRY.iter().find(|other| (other.is_own)(user)) {
            Some(other) => Err(Unreadable::new(format!(
                "this is a user of {}, and the source is of {}: name the source that the file is of",
                other.name(),
                self.registered.name()
            ))),
            None => Ok(()),
        }
    }

    /// Reads a message of the source.
    pub fn read(&self, message: Verified<Message>, received_at: Timestamp) -> Result<ReadMessage, NotJson> {
        read::read(&self.name, &*self.provider, message, received_at)
    }
}

/// The signature schemes of a source: each one that it has a secret for.
fn schemes(settings: &config::Source) -> Result<Vec<Box<dyn Scheme>>, String> {
    let [secrets, tokens] = [&settings.webhook_secrets, &settings.bearer_tokens];
    let mut schemes: Vec<Box<dyn Scheme>> = Vec::new();
    if !secrets.is_empty() {
        let secrets = secrets.iter().map(ExposeSecret::expose_secret);
        schemes.push(match settings.provider.signing {
            Signing::StandardWebhooks => Box::new(
                StandardWebhooks::new(secrets).map_err(|_| "a webhook secret is not base64".to_owned())?,
            ),
            Signing::TimestampedHmac { header } => Box::new(TimestampedHmac::new(header, secrets)),
        });
    }
    if !tokens.is_empty() {
        schemes.push(Box::new(Bearer::new(tokens.iter().map(ExposeSecret::expose_secret))));
    }
    Ok(schemes)
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

    /// The names of the sources, in alphabetical order.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.0.get(name)
    }

    /// Whether the source's provider reuses the ids of deleted users. Those of a source that is no longer
    /// configured are final.
    pub fn ids(&self, name: &str) -> IdPolicy {
        self.get(name).map_or(IdPolicy::Final, Source::ids)
    }
}
