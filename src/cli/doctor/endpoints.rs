//! The endpoints: whether they accept events.

use super::Finding;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::EndpointState;
use crate::events::{EndpointStatus, statuses};
use crate::store::{Store, StoreError};

pub(super) async fn check(config: &Config, store: &Store) -> Result<Vec<Finding>, StoreError> {
    let now = Clock::system().now();
    let statuses = statuses(store, &config.endpoints, None).await?;
    Ok(statuses
        .into_iter()
        .map(|EndpointStatus { name, endpoint, backlog }| {
            let waiting = backlog.events;
            let Some(health) = endpoint.map(|endpoint| endpoint.health) else {
                return Finding::ok(format!(
                    "endpoint {name} will be registered when the service starts next"
                ));
            };
            let hours = now.since(health.failing_since.unwrap_or(health.changed_at)).as_secs() / 3600;
            let retention = config.event_retention().as_secs() / 86_400;
            match health.state {
                EndpointState::Healthy => {
                    Finding::ok(format!("endpoint {name} is healthy, {waiting} events wait"))
                }
                EndpointState::Failing => Finding::warning(
                    format!("endpoint {name} has been failing for {hours} h, {waiting} events wait"),
                    "it is sent one event at a time, and disabled after five days",
                    format!("`usersync endpoints test {name}` shows what it answers"),
                ),
                EndpointState::Disabled => Finding::error(
                    format!("endpoint {name} has been disabled for {hours} h, {waiting} events wait"),
                    format!("nothing is sent to it; events are kept for {retention} days"),
                    format!("fix the app, then run `usersync endpoints enable {name}`"),
                ),
            }
        })
        .collect())
}
