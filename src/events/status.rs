//! The status of every configured endpoint, for operators.

use crate::clock::Clock;
use crate::config::Endpoint as Configured;
use crate::domain::Health;
use crate::store::{Backlog, Store, StoreError, StoredEndpoint, Wanted};

/// The status of an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointStatus {
    /// Its configured name.
    pub name: String,
    /// `None` if it is not registered yet.
    pub endpoint: Option<StoredEndpoint>,
    /// Its pending events.
    pub backlog: Backlog,
}

/// The status of these endpoints, in their order. With a limit, the pending events of each are counted up to it.
pub async fn statuses(
    store: &Store,
    endpoints: &[Configured],
    limit: Option<u64>,
) -> Result<Vec<EndpointStatus>, StoreError> {
    let mut statuses = Vec::new();
    for configured in endpoints {
        let (endpoint, wanted) = (store.endpoints().find(&configured.name).await?, wanted(configured));
        let backlog = match (&endpoint, limit) {
            (None, _) => Backlog::default(),
            (Some(endpoint), None) => store.endpoints().backlog(endpoint, &wanted).await?,
            (Some(endpoint), Some(limit)) => {
                store.endpoints().backlog_up_to(endpoint, &wanted, limit).await?
            }
        };
        statuses.push(EndpointStatus { name: configured.name.clone(), endpoint, backlog });
    }
    Ok(statuses)
}

/// Which events an endpoint is sent.
pub(super) fn wanted(endpoint: &Configured) -> Wanted {
    Wanted { kinds: endpoint.events.clone(), sources: endpoint.sources.clone() }
}

/// Enables an endpoint again: its pending events are due now. Returns its health before.
pub async fn enable(store: &Store, clock: &Clock, name: &str) -> Result<Health, StoreError> {
    let now = clock.now();
    let tx = store.begin().await?;
    let mut endpoint = tx.lock_endpoint(name, now).await?;
    let before = endpoint.health;
    endpoint.health = Health::healthy(now);
    tx.save_endpoint(&endpoint).await?;
    tx.make_due(name, now).await?;
    tx.commit().await?;
    Ok(before)
}
