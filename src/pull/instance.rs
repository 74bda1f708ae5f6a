//! Checks that the key is for the instance that sends the webhooks, or else for the one that signs the tokens: users of
//! another instance would all look new.

use std::collections::BTreeSet;
use std::fmt;

use futures_util::future::BoxFuture;

use super::Puller;
use super::client::ApiClient;
use super::error::PullError;
use crate::domain::foreign_text;
use crate::providers::Source;
use crate::providers::directory::Directory;
use crate::store::StoreError;

/// How many of the newest deliveries are searched.
const DELIVERIES: u64 = 50;

/// The signing keys of the issuers that the token rules trust.
pub(crate) trait IssuerKeys: fmt::Debug + Send + Sync {
    /// The ids of the keys of a source's issuers, or `None` if they are not known.
    fn key_ids<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Option<BTreeSet<String>>>;
}

impl Puller {
    /// Refuses a key for another instance. The webhooks contain theirs. If none was received yet, the issuer of the
    /// source's tokens must have one of the key's signing keys.
    pub(super) async fn check_instance(&self, client: &ApiClient, source: &Source) -> Result<(), PullError> {
        let directory = client.directory();
        match self.instance_of_webhooks(directory, source).await? {
            Some(of_webhooks) => check_name(client, source, of_webhooks).await,
            None => self.check_signing_keys(client, source).await,
        }
    }

    async fn instance_of_webhooks(
        &self,
        directory: &dyn Directory,
        source: &Source,
    ) -> Result<Option<String>, StoreError> {
        if directory.instance().is_none() {
            return Ok(None);
        }
        let newest = self.writer.store.journal().newest_payloads(source.name(), DELIVERIES).await?;
        Ok(newest.iter().find_map(|payload| {
            let event = serde_json::from_str(payload).ok()?;
            directory.instance_of_event(&event)
        }))
    }

    /// If the issuer's keys cannot be fetched, nothing is refused.
    async fn check_signing_keys(&self, client: &ApiClient, source: &Source) -> Result<(), PullError> {
        let directory = client.directory();
        let (Some(request), Some(issuer_keys)) = (directory.signing_keys(), &self.issuer_keys) else {
            return Ok(());
        };
        let Some(of_issuer) = issuer_keys.key_ids(source.name()).await else { return Ok(()) };
        let of_key = directory.read_signing_keys(&client.send_for_any_answer(&request).await?);
        if of_key.is_empty() || of_key.iter().any(|id| of_issuer.contains(id)) {
            return Ok(());
        }
        Err(PullError::WrongInstance(format!(
            "the key under [sources.api] is for an instance whose signing keys are not among those of the issuer in \
             [[sources.tokens]] of `{}`: use the key for the instance of that issuer",
            source.name()
        )))
    }
}

async fn check_name(client: &ApiClient, source: &Source, of_webhooks: String) -> Result<(), PullError> {
    let Some(request) = client.directory().instance() else { return Ok(()) };
    let answer = client.send(&request).await?;
    match client.directory().read_instance(&answer) {
        Some(of_key) if of_key != of_webhooks => {
            let [of_key, of_webhooks] = [of_key, of_webhooks].map(|instance| foreign_text(&instance, &[]));
            Err(PullError::WrongInstance(format!(
                "the key under [sources.api] is for the instance {of_key}, and the webhooks of `{}` are from \
                 {of_webhooks}: use the key for that instance",
                source.name()
            )))
        }
        _ => Ok(()),
    }
}
