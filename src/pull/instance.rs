//! Checks that the key is for the instance that sends the webhooks: users of another instance would all look new.

use super::client::ApiClient;
use super::error::PullError;
use crate::providers::directory::Directory;
use crate::store::Store;

/// How many of the newest deliveries are searched.
const DELIVERIES: u64 = 50;

/// Refuses a key for another instance, if the provider's webhooks contain their instance and one was received.
pub(super) async fn check(
    client: &ApiClient,
    directory: &dyn Directory,
    store: &Store,
    source: &str,
) -> Result<(), PullError> {
    let Some(request) = directory.instance() else { return Ok(()) };
    let newest = store.journal().newest_payloads(source, DELIVERIES).await?;
    let of_webhooks = newest.iter().find_map(|payload| {
        let event = serde_json::from_str(payload).ok()?;
        directory.instance_of_event(&event)
    });
    let Some(of_webhooks) = of_webhooks else { return Ok(()) };
    let answer = client.send(&request).await?;
    match directory.read_instance(&answer) {
        Some(of_key) if of_key != of_webhooks => Err(PullError::WrongInstance(format!(
            "the key under [sources.api] is for the instance {of_key}, and the webhooks of `{source}` are from {of_webhooks}: \
             use the key for that instance"
        ))),
        _ => Ok(()),
    }
}
