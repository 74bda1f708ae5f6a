//! Whether the key is of the instance whose webhooks came: users of another instance would all look new.

use super::client::ApiClient;
use super::error::PullError;
use crate::providers::directory::Directory;
use crate::store::Store;

/// How many of the newest deliveries are looked at.
const DELIVERIES: u64 = 50;

/// Refuses a key of another instance, where the provider's webhooks name theirs and one of them has come.
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
            "the key under [sources.api] is of the instance {of_key}, and the webhooks of `{source}` are of {of_webhooks}: \
             use the key of that instance"
        ))),
        _ => Ok(()),
    }
}
