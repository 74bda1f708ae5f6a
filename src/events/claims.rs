//! What an endpoint is sent next: the one transaction that records the results of attempts, copies the new events of
//! the log to the endpoint, and claims those that may be sent now.
//!
//! Attempts are recorded before their requests are sent, so nothing is lost if the process is killed in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::sender::Sent;
use crate::clock::{Clock, random_bytes};
use crate::domain::{EndpointState, Health, Timestamp, UserId, UserKey, collapse_user, retry_pause};
use crate::store::{
    Claimant, LastAttempt, Message, Order, Pending, Store, StoreError, StoredEndpoint, Tx, Wanted,
};

/// How long a claim lasts. An attempt takes at most half of that time.
const LEASE: Duration = Duration::from_secs(30);
/// How many pages of the log one transaction copies to the endpoint, at most.
const MAX_FAN_OUT_PAGES: usize = 5;
/// The pause before an event whose row could not be read is claimed again.
const UNREAD_PAUSE: Duration = Duration::from_secs(5);

/// Claims events for one endpoint, in one process.
#[derive(Debug)]
pub(super) struct EndpointQueue {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) endpoint: String,
    pub(super) wanted: Wanted,
    pub(super) retention: Duration,
    /// Who claims: a dispatcher, with a new id whenever it starts.
    pub(super) holder: String,
}

/// A claimed event whose attempt has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) sequence: i64,
    pub(super) attempts: u32,
    pub(super) outcome: Outcome,
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// It was sent, whatever the answer.
    Sent(Sent),
    /// The event is not needed any more: the user was deleted, and a later event reports the deletion.
    Obsolete,
    /// It could not be sent, for a reason that is not the endpoint's fault.
    NotSent,
}

/// The result of one transaction.
#[derive(Debug)]
pub(super) struct Claimed {
    /// The events to send now.
    pub(super) pending: Vec<Pending>,
    /// Whether there may be more that can be sent now.
    pub(super) may_be_more: bool,
    /// The endpoint's health before the transaction.
    pub(super) before: Health,
    /// The endpoint's health after it.
    pub(super) after: Health,
}

impl EndpointQueue {
    /// Records what is finished, and claims at most `limit` events. If it fails, nothing was recorded or claimed.
    pub(super) async fn next(&self, finished: &[Finished], limit: usize) -> Result<Claimed, StoreError> {
        let now = self.clock.now();
        let tx = self.store.begin().await?;
        let mut endpoint = tx.lock_endpoint(&self.endpoint, now).await?;
        let known = endpoint.clone();
        self.record(&tx, &mut endpoint, finished, now).await?;
        let (mut pending, mut may_be_more) = (Vec::new(), false);
        if endpoint.health.state != EndpointState::Disabled {
            let before = now.minus(self.retention);
            let first = tx.expire(&mut endpoint, before, || self.clock.fresh_id(), now).await?;
            if self.fan_out(&tx, &mut endpoint, now).await? {
                (pending, may_be_more) = self.claim(&tx, &endpoint, first, limit, now).await?;
            } else {
                // The newest event of each user is known only after all events of the log were copied.
                may_be_more = true;
            }
        }
        if endpoint != known {
            tx.save_endpoint(&endpoint).await?;
        }
        tx.commit().await?;
        Ok(Claimed { pending, may_be_more, before: known.health, after: endpoint.health })
    }

    fn claimant(&self) -> Claimant<'_> {
        Claimant { endpoint: &self.endpoint, holder: &self.holder }
    }

    async fn record(
        &self,
        tx: &Tx,
        endpoint: &mut StoredEndpoint,
        finished: &[Finished],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let was_healthy = endpoint.health.state == EndpointState::Healthy;
        let mut done = Vec::new();
        for Finished { sequence, attempts, outcome } in finished {
            let next_at = match outcome {
                Outcome::Obsolete => None,
                Outcome::NotSent => Some(now.plus(UNREAD_PAUSE)),
                Outcome::Sent(Sent { result, .. }) => {
                    endpoint.health = endpoint.health.after(result, now, jitter());
                    let last =
                        LastAttempt { at: result.began_at, status: result.status, latency: result.latency };
                    endpoint.last = endpoint.last.filter(|known| known.at > last.at).or(Some(last));
                    let requested = result.requested_pause().unwrap_or_default();
                    let pause = retry_pause(*attempts, jitter()).max(requested);
                    (!result.is_success()).then(|| now.plus(pause))
                }
            };
            match next_at {
                None => done.push(*sequence),
                Some(next_at) => tx.postpone(self.claimant(), *sequence, next_at).await?,
            }
        }
        tx.delete_sent(self.claimant(), done).await?;
        if !was_healthy && endpoint.health.state == EndpointState::Healthy {
            // These events have waited for the endpoint to be healthy, not only for their own next attempt.
            tx.make_due(&self.endpoint, now).await?;
        }
        Ok(())
    }

    async fn fan_out(
        &self,
        tx: &Tx,
        endpoint: &mut StoredEndpoint,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        for _ in 0..MAX_FAN_OUT_PAGES {
            if tx.fan_out(endpoint, &self.wanted, now).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `first` is the oldest message that was pending before events were copied from the log.
    async fn claim(
        &self,
        tx: &Tx,
        endpoint: &StoredEndpoint,
        first: Option<Pending>,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<Pending>, bool), StoreError> {
        let is_failing = endpoint.health.state == EndpointState::Failing;
        let in_flight = if is_failing { tx.count_held(&self.endpoint, now).await? } else { 0 };
        let in_flight = usize::try_from(in_flight).unwrap_or(usize::MAX);
        let limit = endpoint.health.capacity(in_flight, limit, now).min(limit);
        if limit == 0 {
            return Ok((Vec::new(), false));
        }
        let due = if let Some(resync @ Pending { message: Message::Resync { .. }, .. }) = first {
            // A resync is sent before everything else, and alone.
            let is_due = resync.next_at <= now && resync.held_until.is_none_or(|until| until <= now);
            if is_due { vec![resync] } else { Vec::new() }
        } else {
            let order = if is_failing { Order::FewestAttempts } else { Order::Sequence };
            tx.due(&self.endpoint, now, order, limit).await?
        };
        if due.is_empty() {
            return Ok((Vec::new(), false));
        }
        let is_full = due.len() == limit;
        let users: BTreeSet<UserKey> =
            due.iter().filter_map(|it| Some(it.message.event()?.event.user.clone())).collect();
        let waiting =
            if users.is_empty() { Vec::new() } else { tx.pending_of(&self.endpoint, &users).await? };
        let plan = Plan::of(due, waiting);
        let may_be_more = is_full || !plan.obsolete.is_empty();
        let until = now.plus(LEASE);
        tx.drop_pending(&self.endpoint, plan.obsolete).await?;
        tx.claim_unchanged(
            self.claimant(),
            plan.unchanged.iter().map(|it| it.message.sequence()).collect(),
            until,
        )
        .await?;
        tx.claim(self.claimant(), &plan.merged.iter().collect::<Vec<_>>(), until).await?;
        Ok((plan.unchanged.into_iter().chain(plan.merged).collect(), may_be_more))
    }
}

/// What to do with the events that are due.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// To be sent as they are.
    unchanged: Vec<Pending>,
    /// To be sent instead of several events.
    merged: Vec<Pending>,
    /// To be deleted: a merged event replaces them, or their user was created and deleted before anything was sent.
    obsolete: Vec<i64>,
}

impl Plan {
    /// `waiting` contains all pending events of the users whose events are due, in the order of the log.
    ///
    /// Events of one row become one, with the number of attempts of the oldest, and the sequence number and id of the
    /// newest: a receiver that has seen the older id must not take the event for a repetition.
    fn of(due: Vec<Pending>, waiting: Vec<Pending>) -> Self {
        let mut rows: BTreeMap<UserId, Vec<Pending>> = BTreeMap::new();
        for pending in waiting {
            if let Some(logged) = pending.message.event() {
                rows.entry(logged.event.id).or_default().push(pending);
            }
        }
        let mut plan = Self::default();
        for first in due {
            let attempts = first.attempts.saturating_add(1);
            let row =
                first.message.event().and_then(|logged| rows.remove(&logged.event.id)).unwrap_or_default();
            if row.len() < 2 {
                plan.unchanged.push(Pending { attempts, ..first });
                continue;
            }
            let events = row.iter().filter_map(|it| Some((it.message.event()?.clone(), it.attempts > 0)));
            let merged = collapse_user(events);
            let kept = merged.as_ref().map(|merged| merged.sequence);
            let others = row.iter().map(|it| it.message.sequence());
            plan.obsolete.extend(others.filter(|sequence| Some(*sequence) != kept));
            if let Some(merged) = merged {
                plan.merged.push(Pending { message: Message::Event(merged), attempts, ..first });
            }
        }
        plan
    }
}

/// A random number from -1 to 1.
fn jitter() -> f64 {
    let [random] = random_bytes().unwrap_or([128]);
    f64::from(random) / 127.5 - 1.0
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Plan;
    use crate::domain::{Event, EventKind, LoggedEvent, Timestamp, UserId, UserKey};
    use crate::store::{Message, Pending};

    fn pending(sequence: i64, row: u128, kind: EventKind, attempts: u32) -> Pending {
        let at = Timestamp::from_seconds(sequence);
        let (user, id) = (UserKey::new("clerk", format!("user {row}")), UserId(Uuid::from_u128(row)));
        let event = Event { user, id, kind, changed: Vec::new(), stamp: at };
        let event_id = Uuid::from_u128(sequence.unsigned_abs().into());
        let message = Message::Event(LoggedEvent { sequence, event_id, event, at });
        Pending { message, attempts, next_at: at, at, held_until: None }
    }

    fn sequences(pending: &[Pending]) -> Vec<(i64, u32)> {
        pending.iter().map(|it| (it.message.sequence(), it.attempts)).collect()
    }

    #[test]
    fn pending_events_of_a_user_are_merged_with_the_newest_id_and_the_attempts_of_the_oldest() {
        use EventKind::{Created, Deleted, Updated};
        let waiting = vec![
            pending(1, 1, Created, 2),
            pending(2, 2, Created, 0),
            pending(3, 1, Updated, 0),
            pending(4, 3, Updated, 0),
            pending(5, 2, Deleted, 0),
            pending(6, 1, Updated, 0),
        ];
        let due = [0, 1, 3].map(|index: usize| waiting[index].clone()).to_vec();
        let Plan { unchanged, merged, obsolete } = Plan::of(due, waiting);
        assert_eq!(sequences(&unchanged), [(4, 1)]);
        assert_eq!(sequences(&merged), [(6, 3)]);
        assert_eq!(obsolete, [1, 3, 2, 5], "nothing is sent about the user who was created and deleted");
    }

    #[test]
    fn a_resync_is_sent_unchanged() {
        let at = Timestamp::from_seconds(1);
        let message = Message::Resync { sequence: 7, event_id: Uuid::nil() };
        let resync = Pending { message, attempts: 0, next_at: at, at, held_until: None };
        assert_eq!(sequences(&Plan::of(vec![resync], Vec::new()).unchanged), [(7, 1)]);
    }
}
