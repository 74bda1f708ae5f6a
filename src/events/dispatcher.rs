//! A task for each endpoint, which sends it the pending events. Several events are in flight at the same time, never
//! two of one user. Each replica has such a task for each endpoint; an event that one of them has claimed is not sent
//! by the others.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::body::{EventBody, users_of};
use super::claims::{Claimed, EndpointQueue, Finished, Outcome};
use super::sender::Sender;
use super::status::wanted;
use crate::clock::Clock;
use crate::config::Endpoint;
use crate::domain::{EndpointState, Health};
use crate::jobs::Jobs;
use crate::store::{Pending, Store, StoreError};
use crate::sync::{AnyChange, Feed};
use crate::telemetry::Metrics;

/// How many events one process sends to one endpoint at the same time.
const MAX_IN_FLIGHT: usize = 32;
/// The least time between two transactions while events are in flight, so that each records and claims several events
/// instead of one.
const MIN_STEP: Duration = Duration::from_millis(10);
/// How often to look for events: notifications may be lost.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait at shutdown for attempts that have begun. Another process repeats those that take longer.
const END_TIMEOUT: Duration = Duration::from_secs(3);

/// What dispatching needs.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The database with the events.
    pub store: Store,
    /// The time of day.
    pub clock: Clock,
    /// Counts the attempts.
    pub metrics: Metrics,
    /// Notifies the dispatchers of changes.
    pub feed: Feed,
    /// How long events are kept.
    pub retention: Duration,
}

/// Registers the endpoints that are new: they are sent what changes from now on.
pub async fn register(store: &Store, endpoints: &[Endpoint], clock: &Clock) -> Result<(), StoreError> {
    for endpoint in endpoints {
        if store.endpoints().find(&endpoint.name).await?.is_none() {
            let tx = store.begin().await?;
            tx.lock_endpoint(&endpoint.name, clock.now()).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

/// Starts a task for each endpoint. Must be called within a tokio runtime.
pub fn start_dispatching(
    jobs: &Jobs,
    dispatch: &Dispatch,
    endpoints: Vec<Endpoint>,
) -> Result<(), reqwest::Error> {
    for endpoint in endpoints {
        let (dispatch, sender) = (dispatch.clone(), Sender::new(dispatch.clock.clone())?);
        jobs.spawn_stoppable("dispatcher", move |stop| {
            Dispatcher::new(&dispatch, sender.clone(), endpoint.clone()).run(stop)
        });
    }
    Ok(())
}

struct Dispatcher {
    queue: EndpointQueue,
    sender: Sender,
    endpoint: Endpoint,
    metrics: Metrics,
    changes: AnyChange,
    in_flight: JoinSet<Finished>,
    /// Attempts whose results are not recorded yet.
    finished: Vec<Finished>,
    /// Whether the database was unavailable at the last attempt.
    is_database_unavailable: bool,
}

impl Dispatcher {
    fn new(dispatch: &Dispatch, sender: Sender, endpoint: Endpoint) -> Self {
        let Dispatch { store, clock, metrics, feed, retention } = dispatch.clone();
        let queue = EndpointQueue {
            store,
            endpoint: endpoint.name.clone(),
            wanted: wanted(&endpoint),
            retention,
            holder: clock.fresh_id().to_string(),
            clock,
        };
        Self {
            queue,
            sender,
            endpoint,
            metrics,
            changes: feed.subscribe_to_all(),
            in_flight: JoinSet::new(),
            finished: Vec::new(),
            is_database_unavailable: false,
        }
    }

    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let next_step_at = Instant::now() + MIN_STEP;
            let may_be_more = self.step().await;
            self.collect_until(next_step_at).await;
            let has_capacity = self.in_flight.len() < MAX_IN_FLIGHT;
            if !self.is_database_unavailable && (!self.finished.is_empty() || (may_be_more && has_capacity)) {
                continue;
            }
            tokio::select! {
                Some(finished) = self.in_flight.join_next() => self.finished.extend(finished.ok()),
                () = self.changes.changed(), if !self.is_database_unavailable && has_capacity => {}
                () = tokio::time::sleep(INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
        self.end().await;
    }

    /// Records what is finished, claims what may be sent, and begins to send it. Returns whether there may be more.
    async fn step(&mut self) -> bool {
        let stepped = self.try_step().await;
        if let Err(error) = &stepped
            && !self.is_database_unavailable
        {
            warn!(%error, endpoint = self.endpoint.name, "the database is unavailable, so events wait; the next attempt is in a second");
        }
        self.is_database_unavailable = stepped.is_err();
        stepped.unwrap_or_default()
    }

    async fn try_step(&mut self) -> Result<bool, StoreError> {
        let (name, now) = (&self.endpoint.name, self.queue.clock.now());
        let capacity = MAX_IN_FLIGHT.saturating_sub(self.in_flight.len());
        if self.finished.is_empty() && !self.queue.store.endpoints().has_work(name, now).await? {
            return Ok(false);
        }
        let Claimed { pending, may_be_more, before, after } =
            self.queue.next(&self.finished, capacity).await?;
        self.finished.clear();
        self.log_change(before, after);
        self.begin(pending).await;
        Ok(may_be_more)
    }

    /// Begins to send what was claimed, with the rows as they are now.
    async fn begin(&mut self, pending: Vec<Pending>) {
        let events = pending.iter().filter_map(|it| it.message.event());
        let mut users = match users_of(&self.queue.store, events).await {
            Ok(users) => Some(users),
            Err(error) => {
                warn!(%error, endpoint = self.endpoint.name, "the users of events cannot be read");
                None
            }
        };
        for Pending { message, attempts, .. } in pending {
            let sequence = message.sequence();
            let finished = move |outcome| Finished { sequence, attempts, outcome };
            let Some(users) = &mut users else {
                self.finished.push(finished(Outcome::NotSent));
                continue;
            };
            let user = message.event().and_then(|logged| users.remove(&logged.event.id));
            let Some(body) = EventBody::of_message(&message, user, self.queue.clock.now()) else {
                self.finished.push(finished(Outcome::Obsolete));
                continue;
            };
            let (sender, endpoint, metrics) =
                (self.sender.clone(), self.endpoint.clone(), self.metrics.clone());
            self.in_flight.spawn(async move {
                match sender.send(&endpoint, message.event_id(), &body).await {
                    Ok(sent) => {
                        metrics.event_attempt(&endpoint.name, sent.label);
                        finished(Outcome::Sent(sent))
                    }
                    // The secrets were checked at the start.
                    Err(_) => finished(Outcome::NotSent),
                }
            });
        }
    }

    /// Collects the attempts that end before a time, or until none is in flight.
    async fn collect_until(&mut self, end: Instant) {
        while let Ok(Some(finished)) = tokio::time::timeout_at(end, self.in_flight.join_next()).await {
            self.finished.extend(finished.ok());
        }
    }

    /// Waits a while for attempts that have begun, and records their results.
    async fn end(&mut self) {
        let waiting = async {
            while let Some(finished) = self.in_flight.join_next().await {
                self.finished.extend(finished.ok());
            }
        };
        tokio::time::timeout(END_TIMEOUT, waiting).await.unwrap_or_default();
        if !self.finished.is_empty()
            && let Err(error) = self.queue.next(&self.finished, 0).await
        {
            warn!(%error, endpoint = self.endpoint.name, "the results of the last attempts could not be recorded; the events are sent again");
        }
    }

    fn log_change(&self, before: Health, after: Health) {
        if before.state == after.state {
            return;
        }
        let (endpoint, state) = (&self.endpoint.name, after.state.name());
        match after.state {
            EndpointState::Healthy => info!(endpoint, state, "the endpoint accepts events again"),
            EndpointState::Failing => {
                warn!(
                    endpoint,
                    state, "the endpoint has failed several times: it is sent one event at a time"
                );
            }
            EndpointState::Disabled => warn!(
                endpoint,
                state,
                "the endpoint is disabled: nothing is sent until `usersync endpoints enable` enables it"
            ),
        }
    }
}
