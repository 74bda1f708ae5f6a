//! What the watch requests from a provider in addition to its list of users: the newest users, the webhook's endpoints,
//! and the log of events. As in `directory`, nothing here does any I/O.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::directory::{Answer, ListError, Request};
use super::event_log::ProviderLog;
use crate::domain::{Reason, Timestamp};

/// The events that a webhook's endpoint needs.
pub(crate) const USER_EVENTS: [&str; 3] = ["user.created", "user.updated", "user.deleted"];

/// What can be checked at one provider.
pub(crate) trait ProviderWatch: fmt::Debug + Send + Sync {
    /// The request for the users who signed up last.
    fn newest(&self) -> Option<Request> {
        None
    }

    /// Reads the answer to [`Self::newest`].
    fn read_newest(&self, _answer: &Answer) -> Result<Newest, ListError> {
        Ok(Newest::default())
    }

    /// How long after the sign-up a user has a row at the latest, if webhooks arrive.
    fn row_expected_after(&self) -> Duration {
        Duration::from_mins(2)
    }

    /// The request for the webhook's endpoints.
    fn endpoints(&self) -> Option<Request> {
        None
    }

    /// The endpoints in the answer to [`Self::endpoints`].
    fn read_endpoints(&self, _answer: &Answer) -> Result<Vec<ProviderEndpoint>, ListError> {
        Ok(Vec::new())
    }

    /// The request for the deliveries to an endpoint that failed since a time.
    fn failed_deliveries(&self, _endpoint: &ProviderEndpoint, _since: Timestamp) -> Option<Request> {
        None
    }

    /// Whether the answer to [`Self::failed_deliveries`] contains any.
    fn has_failed_deliveries(&self, _answer: &Answer) -> bool {
        false
    }

    /// The provider's log of events.
    fn event_log(&self) -> Option<&dyn ProviderLog> {
        None
    }
}

/// The users who signed up last.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Newest {
    /// The users in the provider's format.
    pub(crate) users: Vec<Value>,
    /// The total number of users, if the answer contains it.
    pub(crate) total: Option<u64>,
}

/// An endpoint to which a provider sends its webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderEndpoint {
    /// Its id at the provider.
    pub(crate) id: String,
    /// `None` if it is code at the provider, which may send anywhere.
    pub(crate) url: Option<String>,
    pub(crate) is_enabled: bool,
    /// The events that are sent to it.
    pub(crate) events: Vec<String>,
}

impl ProviderEndpoint {
    /// Whether its URL ends with this path.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        let url = self.url.as_deref().and_then(|url| url::Url::parse(url).ok());
        url.is_some_and(|url| url.path().trim_end_matches('/').ends_with(path))
    }
}

/// The problems of the endpoints of a source whose webhooks are received at this path.
pub(crate) fn endpoint_problems(endpoints: &[ProviderEndpoint], path: &str) -> Vec<Reason> {
    let ours: Vec<&ProviderEndpoint> = endpoints.iter().filter(|endpoint| endpoint.is_at(path)).collect();
    if ours.is_empty() {
        let may_be_elsewhere = endpoints.iter().any(|endpoint| endpoint.is_enabled && endpoint.url.is_none());
        return if may_be_elsewhere { Vec::new() } else { vec![Reason::EndpointMissing] };
    }
    let enabled: Vec<&&ProviderEndpoint> = ours.iter().filter(|endpoint| endpoint.is_enabled).collect();
    if enabled.is_empty() {
        return vec![Reason::EndpointDisabled];
    }
    let is_subscribed =
        |event: &&str| enabled.iter().any(|endpoint| endpoint.events.iter().any(|known| known == event));
    if USER_EVENTS.iter().all(is_subscribed) { Vec::new() } else { vec![Reason::EndpointEventsMissing] }
}

#[cfg(test)]
mod tests {
    use super::{ProviderEndpoint, USER_EVENTS, endpoint_problems};
    use crate::domain::Reason;

    fn endpoint(url: Option<&str>, is_enabled: bool, events: &[&str]) -> ProviderEndpoint {
        ProviderEndpoint {
            id: "we_1".to_owned(),
            url: url.map(str::to_owned),
            is_enabled,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        }
    }

    #[test]
    fn an_endpoint_is_found_by_its_path_and_needs_every_event() {
        let ours = |is_enabled, events: &[&str]| {
            endpoint(Some("https://users.example.com/webhooks/workos/"), is_enabled, events)
        };
        let other = endpoint(Some("https://users.example.com/webhooks/other"), true, &USER_EVENTS);
        let code = endpoint(None, true, &USER_EVENTS);
        for (endpoints, expected) in [
            (vec![ours(true, &USER_EVENTS)], vec![]),
            (vec![other.clone(), ours(true, &USER_EVENTS)], vec![]),
            (vec![ours(true, &USER_EVENTS[..1]), ours(true, &USER_EVENTS[1..])], vec![]),
            (vec![ours(true, &USER_EVENTS[..2])], vec![Reason::EndpointEventsMissing]),
            (vec![ours(false, &USER_EVENTS)], vec![Reason::EndpointDisabled]),
            (vec![ours(false, &USER_EVENTS), ours(true, &USER_EVENTS)], vec![]),
            (vec![other.clone()], vec![Reason::EndpointMissing]),
            (vec![], vec![Reason::EndpointMissing]),
            (vec![other, code], vec![]),
            (vec![endpoint(Some("not a URL"), true, &USER_EVENTS)], vec![Reason::EndpointMissing]),
        ] {
            assert_eq!(endpoint_problems(&endpoints, "/webhooks/workos"), expected, "{endpoints:?}");
        }
    }
}
