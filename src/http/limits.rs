//! Rate limits, and limits of open streams: per client, per user and in total.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, web};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;

use super::client::{Client, client_name, is_forwarded};
use super::problem::{Code, Problem};
use crate::config;
use crate::domain::UserKey;

/// After this many requests, clients without recent requests are removed. So the memory is bounded by the requests
/// that come in the time of one burst.
const EVICT_EVERY: usize = 1_000;

/// The state of all limits on this replica.
#[derive(Clone, Debug)]
pub struct Limits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: config::Limits,
    trusted_proxies: Vec<IpNet>,
    requests: RateLimiter<Client, HashMapStateStore<Client>, DefaultClock>,
    checked: AtomicUsize,
    open: Mutex<Open>,
}

/// The open streams.
#[derive(Debug, Default)]
struct Open {
    all: u32,
    by_client: HashMap<Client, u32>,
    by_user: HashMap<UserKey, u32>,
}

/// Allows one stream or one waiting request. It is returned when it is dropped.
#[derive(Debug)]
pub(super) struct StreamPermit {
    limits: Limits,
    client: Option<Client>,
    user: Option<UserKey>,
}

/// Refuses a request if its client has sent too many.
pub(super) async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let limits = request.app_data::<web::Data<Limits>>();
    let admitted = limits.map_or(Ok(()), |limits| limits.admit(request.request()));
    match admitted {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        // A response, not an error: the middleware around this adds headers only to responses.
        Err(problem) => Ok(request.error_response(problem).map_into_right_body()),
    }
}

impl Limits {
    /// Limits without any request yet.
    pub fn new(settings: config::Limits, trusted_proxies: Vec<IpNet>) -> Self {
        let quota = Quota::per_second(settings.requests_per_second).allow_burst(settings.burst);
        Self(Arc::new(Inner {
            settings,
            trusted_proxies,
            requests: RateLimiter::keyed(quota),
            checked: AtomicUsize::new(0),
            open: Mutex::default(),
        }))
    }

    pub(super) fn settings(&self) -> &config::Limits {
        &self.0.settings
    }

    /// Counts a request of a client.
    fn admit(&self, request: &HttpRequest) -> Result<(), Problem> {
        let Some(client) = self.client(request) else { return Ok(()) };
        let requests = &self.0.requests;
        if self.0.checked.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVICT_EVERY) {
            requests.retain_recent();
            requests.shrink_to_fit();
        }
        requests.check_key(&client).map_err(|_| refusal("requests_per_second", Some(client), request))
    }

    /// Takes a permit for a stream of a user, or for a request that waits for a user or for events of all users.
    ///
    /// Many users may share one address, such as those of an office. So what one user may have open is counted
    /// by user, and the limit of an address leaves room for many of them.
    pub(super) fn permit(
        &self,
        request: &HttpRequest,
        user: Option<&UserKey>,
    ) -> Result<StreamPermit, Problem> {
        let settings = &self.0.settings;
        let client = self.client(request);
        let mut open = self.open();
        let of_user = user.map_or(0, |user| count(&open.by_user, user));
        let of_client = client.map_or(0, |client| count(&open.by_client, &client));
        for (limit, highest, taken) in [
            ("streams", settings.streams, open.all),
            ("streams_per_client", settings.streams_per_client, of_client),
            ("streams_per_user", settings.streams_per_user, of_user),
        ] {
            if taken >= highest.get() {
                return Err(refusal(limit, client, request));
            }
        }
        if let Some(client) = client {
            *open.by_client.entry(client).or_default() += 1;
        }
        if let Some(user) = user {
            *open.by_user.entry(user.clone()).or_default() += 1;
        }
        open.all += 1;
        Ok(StreamPermit { limits: self.clone(), client, user: user.cloned() })
    }

    fn client(&self, request: &HttpRequest) -> Option<Client> {
        Client::of(request, &self.0.trusted_proxies)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // No change under the lock can be interrupted half-way, so the data is valid after a panic too.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.limits.open();
        open.all -= 1;
        if let Some(client) = &self.client {
            release(&mut open.by_client, client);
        }
        if let Some(user) = &self.user {
            release(&mut open.by_user, user);
        }
    }
}

fn count<K: Eq + Hash>(counts: &HashMap<K, u32>, key: &K) -> u32 {
    counts.get(key).copied().unwrap_or_default()
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    let left = counts.get_mut(key).map_or(0, |count| {
        *count -= 1;
        *count
    });
    if left == 0 {
        counts.remove(key);
    }
}

/// Names the limit for the log, and the likely cause if it is a proxy.
fn refusal(limit: &str, client: Option<Client>, request: &HttpRequest) -> Problem {
    let client = client_name(client);
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical().to_string());
    let hint = if is_forwarded(request) && peer.as_ref() == Some(&client) {
        "; if this is a proxy, add it to server.trusted_proxies"
    } else {
        ""
    };
    Problem::because(Code::TooManyRequests, format!("{client} has reached limits.{limit}{hint}"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use actix_web::HttpRequest;
    use actix_web::test::TestRequest;

    use super::{EVICT_EVERY, Limits};
    use crate::config;
    use crate::domain::UserKey;

    fn limits(burst: u32, streams_per_client: u32, streams: u32) -> Limits {
        let count = |number| NonZeroU32::new(number).unwrap();
        let settings = config::Limits {
            requests_per_second: count(1_000_000),
            burst: count(burst),
            streams_per_client: count(streams_per_client),
            streams_per_user: count(2),
            streams: count(streams),
            ..config::Limits::default()
        };
        Limits::new(settings, vec!["10.0.0.0/8".parse().unwrap()])
    }

    fn from(address: [u8; 4]) -> HttpRequest {
        TestRequest::default().peer_addr((address, 5000).into()).to_http_request()
    }

    #[test]
    fn permits_are_counted_per_client_and_in_total_and_freed_again() {
        let limits = limits(1, 2, 3);
        let (ada, grace, own) = (from([192, 0, 2, 1]), from([192, 0, 2, 2]), from([10, 0, 0, 1]));
        let user = |number: u8| UserKey::new("clerk", format!("user_{number}"));
        let [first, second] = [1, 2].map(|number| limits.permit(&ada, Some(&user(number))).unwrap());
        let refused = limits.permit(&ada, Some(&user(3))).unwrap_err();
        assert_eq!(refused.cause(), "192.0.2.1 has reached limits.streams_per_client");
        let third = limits.permit(&grace, Some(&user(3))).unwrap();
        let refused = limits.permit(&own, Some(&user(4))).unwrap_err();
        assert_eq!(refused.cause(), "a trusted address has reached limits.streams");
        drop(first);
        let again = limits.permit(&own, Some(&user(1))).unwrap();
        drop((second, third, again));
        let open = limits.open();
        assert_eq!((open.all, open.by_client.len(), open.by_user.len()), (0, 0, 0));
    }

    #[test]
    fn a_user_has_a_limit_of_their_own_wherever_they_are() {
        let limits = limits(1, 10, 10);
        let (office, own) = (from([192, 0, 2, 1]), from([10, 0, 0, 1]));
        let [ada, grace] = ["user_ada", "user_grace"].map(|id| UserKey::new("clerk", id));
        let [first, second] = [&office, &own].map(|request| limits.permit(request, Some(&ada)).unwrap());
        let refused = limits.permit(&office, Some(&ada)).unwrap_err();
        assert_eq!(refused.cause(), "192.0.2.1 has reached limits.streams_per_user");
        let of_another_user = limits.permit(&office, Some(&grace)).unwrap();
        drop(first);
        let again = limits.permit(&office, Some(&ada)).unwrap();
        drop((second, of_another_user, again));
    }

    #[test]
    fn clients_without_recent_requests_are_removed() {
        let limits = limits(1, 1, 1);
        for number in 0..=EVICT_EVERY * 5 {
            let [.., third, fourth] = number.to_be_bytes();
            limits.admit(&from([192, 0, third, fourth])).unwrap();
        }
        assert!(limits.0.requests.len() <= EVICT_EVERY + 10, "{}", limits.0.requests.len());
    }

    #[test]
    fn the_refusal_of_an_untrusted_proxy_names_the_setting() {
        let limits = limits(1, 1, 1);
        let request = TestRequest::default()
            .peer_addr(([172, 16, 0, 1], 5000).into())
            .insert_header(("x-forwarded-for", "192.0.2.1"))
            .to_http_request();
        let user = UserKey::new("clerk", "user_ada");
        let _permit = limits.permit(&request, Some(&user)).unwrap();
        let refused = limits.permit(&request, Some(&user)).unwrap_err();
        assert!(refused.cause().contains("server.trusted_proxies"), "{}", refused.cause());
    }
}
