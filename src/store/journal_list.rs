//! Lists of deliveries for people: newest first, in pages, without their payloads.
//!
//! Nothing here reads or counts the whole journal. A list with a filter looks through a limited number of deliveries, and
//! returns the position where it stopped.

use entity::journal::{Column, Entity};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::StoreError;
use super::error::nothing_if_rejected;
use super::in_time;
use super::journal_pages::{Journal, Position};
use super::pairs::{before, is_of_source};
use crate::domain::{DeliveryKey, Outcome, Timestamp, UserKey};

/// How many deliveries a page with a filter looks through.
const SEARCHED: u64 = 5_000;

type Time = chrono::DateTime<chrono::Utc>;

/// Which deliveries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only of this source.
    pub source: Option<String>,
    /// Only with this outcome.
    pub outcome: Option<Outcome>,
    /// Only with this type of event.
    pub event_type: Option<String>,
}

impl ListFilter {
    /// Whether a delivery is one of those.
    pub fn matches(&self, delivery: &ListedDelivery) -> bool {
        let Self { source, outcome, event_type } = self;
        source.as_ref().is_none_or(|source| *source == delivery.key.source)
            && outcome.is_none_or(|outcome| outcome.as_str() == delivery.outcome)
            && event_type.as_ref().is_none_or(|wanted| Some(wanted) == delivery.event_type.as_ref())
    }
}

/// A delivery of a list, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDelivery {
    /// Which delivery.
    pub key: DeliveryKey,
    /// When it was received.
    pub received_at: Timestamp,
    /// The provider's own name of the event, where it could be read.
    pub event_type: Option<String>,
    /// The provider's id of its user, if it could be read.
    pub external_id: Option<String>,
    /// The provider's time of the change.
    pub stamp: Option<Timestamp>,
    /// Its outcome, by name.
    pub outcome: String,
    /// Why it is parked.
    pub reason: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Newest first.
    pub deliveries: Vec<ListedDelivery>,
    /// Where to continue, if there may be more.
    pub next: Option<Position>,
}

/// Parked deliveries with the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedCause {
    /// Their source.
    pub source: String,
    /// Why they are parked.
    pub reason: Option<String>,
    /// How many of those that were looked through.
    pub count: usize,
    /// When the first of them was received.
    pub first: Timestamp,
    /// When the last of them was received.
    pub last: Timestamp,
    /// One of them.
    pub example: DeliveryKey,
}

impl ListFilter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl ListedDelivery {
    /// Its place in the list.
    pub fn position(&self) -> Position {
        Position { received_at: self.received_at, key: self.key.clone() }
    }
}

impl Journal<'_> {
    /// The newest deliveries before a position.
    pub async fn listed(
        &self,
        filter: &ListFilter,
        before: Option<&Position>,
        limit: u64,
    ) -> Result<Listed, StoreError> {
        let read = if filter.is_empty() { limit.saturating_add(1) } else { SEARCHED };
        // In the words of the index that this list has for itself.
        let all = Condition::all().add(Expr::cust("message_id >= ''"));
        let found = self.newest(all, before, read).await?;
        Ok(page(found, read, limit, |delivery| filter.matches(delivery)))
    }

    /// The newest deliveries about a user before a position. Without a source: about the users of all sources with this
    /// id.
    pub async fn of_user(
        &self,
        external_id: &str,
        source: Option<&str>,
        before: Option<&Position>,
        limit: u64,
    ) -> Result<Listed, StoreError> {
        let is_its =
            Condition::all().add(Column::ExternalId.eq(external_id)).add_option(source.map(is_of_source));
        let read = limit.saturating_add(1);
        let found = self.newest(is_its, before, read).await?;
        Ok(page(found, read, limit, |_| true))
    }

    /// The deliveries of a user that have this stamp, with their payloads.
    pub async fn of_user_with_stamp(
        &self,
        user: &UserKey,
        stamp: Timestamp,
        limit: u64,
    ) -> Result<Vec<(ListedDelivery, Option<String>)>, StoreError> {
        let select = Entity::find()
            .filter(Column::ExternalId.eq(&user.external_id))
            .filter(is_of_source(&user.source))
            .filter(Column::Stamp.eq(Time::from(stamp)))
            .limit(limit);
        Ok(in_time(select.all(self.0)).await?.into_iter().map(with_payload).collect())
    }

    /// One delivery, with its payload while that is kept.
    pub async fn find(
        &self,
        key: &DeliveryKey,
    ) -> Result<Option<(ListedDelivery, Option<String>)>, StoreError> {
        let id = (key.source.clone(), key.message_id.clone());
        let found = in_time(Entity::find_by_id(id).one(self.0)).await;
        Ok(nothing_if_rejected(found)?.map(with_payload))
    }

    /// When the newest deliveries since a time were received, and their outcomes, newest first.
    pub async fn outcomes_since(
        &self,
        since: Timestamp,
        limit: u64,
    ) -> Result<Vec<(Timestamp, String)>, StoreError> {
        let select = Entity::find()
            .select_only()
            .columns([Column::ReceivedAt, Column::Outcome])
            .filter(Expr::cust("message_id >= ''"))
            .filter(Column::ReceivedAt.gte(Time::from(since)))
            .order_by_desc(Column::ReceivedAt)
            .limit(limit)
            .into_tuple();
        let rows: Vec<(Time, String)> = in_time(select.all(self.0)).await?;
        Ok(rows.into_iter().map(|(at, outcome)| (at.into(), outcome)).collect())
    }

    /// The causes of the oldest parked deliveries, most frequent first, and how many deliveries were looked through.
    pub async fn parked_causes(&self, limit: u64) -> Result<(Vec<ParkedCause>, usize), StoreError> {
        let select = Entity::find()
            .select_only()
            .columns([Column::Source, Column::MessageId, Column::ReceivedAt, Column::Reason])
            .filter(super::journal_pages::is_parked())
            .order_by_asc(Column::ReceivedAt)
            .order_by_asc(Column::Source)
            .order_by_asc(Column::MessageId)
            .limit(limit)
            .into_tuple();
        let rows: Vec<(String, String, Time, Option<String>)> = in_time(select.all(self.0)).await?;
        let searched = rows.len();
        let mut causes: Vec<ParkedCause> = Vec::new();
        for (source, message_id, at, reason) in rows {
            match causes.iter_mut().find(|cause| cause.source == source && cause.reason == reason) {
                Some(cause) => {
                    cause.count += 1;
                    cause.last = at.into();
                }
                None => causes.push(ParkedCause {
                    example: DeliveryKey { source: source.clone(), message_id },
                    source,
                    reason,
                    count: 1,
                    first: at.into(),
                    last: at.into(),
                }),
            }
        }
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
        Ok((causes, searched))
    }

    async fn newest(
        &self,
        condition: Condition,
        before: Option<&Position>,
        limit: u64,
    ) -> Result<Vec<ListedDelivery>, StoreError> {
        let rows = in_time(select(condition, before, limit).into_tuple().all(self.0)).await;
        let rows: Vec<Row> = nothing_if_rejected(rows)?;
        Ok(rows.into_iter().map(delivery).collect())
    }
}

type Row = (String, String, Time, Option<String>, Option<String>, Option<Time>, String, Option<String>);

fn select(condition: Condition, position: Option<&Position>, limit: u64) -> Select<Entity> {
    let before = position.map(|Position { received_at, key: DeliveryKey { source, message_id } }| {
        let at: Time = (*received_at).into();
        before([
            (Column::ReceivedAt, at.into()),
            (Column::Source, source.into()),
            (Column::MessageId, message_id.into()),
        ])
    });
    Entity::find()
        .select_only()
        .columns([
            Column::Source,
            Column::MessageId,
            Column::ReceivedAt,
            Column::EventType,
            Column::ExternalId,
            Column::Stamp,
            Column::Outcome,
            Column::Reason,
        ])
        .filter(condition.add_option(before))
        .order_by_desc(Column::ReceivedAt)
        .order_by_desc(Column::Source)
        .order_by_desc(Column::MessageId)
        .limit(limit)
}

/// The first `limit` of the deliveries that were read and are wanted. `read` is how many were asked for.
fn page(
    found: Vec<ListedDelivery>,
    read: u64,
    limit: u64,
    is_wanted: impl Fn(&ListedDelivery) -> bool,
) -> Listed {
    let [read, limit] = [read, limit].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    let is_last = found.len() < read;
    let searched = found.last().map(ListedDelivery::position);
    let mut wanted: Vec<ListedDelivery> = found.into_iter().filter(is_wanted).collect();
    if wanted.len() > limit {
        wanted.truncate(limit);
        let next = wanted.last().map(ListedDelivery::position);
        return Listed { deliveries: wanted, next };
    }
    Listed { deliveries: wanted, next: searched.filter(|_| !is_last) }
}

fn delivery(
    (source, message_id, received_at, event_type, external_id, stamp, outcome, reason): Row,
) -> ListedDelivery {
    ListedDelivery {
        key: DeliveryKey { source, message_id },
        received_at: received_at.into(),
        event_type,
        external_id,
        stamp: stamp.map(Timestamp::from),
        outcome,
        reason,
    }
}

fn with_payload(row: entity::journal::Model) -> (ListedDelivery, Option<String>) {
    let entity::journal::Model {
        source,
        message_id,
        received_at,
        event_type,
        external_id,
        stamp,
        lifetime: _,
        outcome,
        reason,
        payload,
    } = row;
    let columns = (source, message_id, received_at, event_type, external_id, stamp, outcome, reason);
    (delivery(columns), payload)
}

#[cfg(test)]
mod tests {
    use super::{ListedDelivery, page};
    use crate::domain::{DeliveryKey, Timestamp};

    fn found(count: i64) -> Vec<ListedDelivery> {
        let one = |number: i64| ListedDelivery {
            key: DeliveryKey { source: "clerk".to_owned(), message_id: format!("msg_{number}") },
            received_at: Timestamp::from_seconds(number),
            event_type: None,
            external_id: None,
            stamp: None,
            outcome: if number % 10 == 0 { "stale" } else { "applied" }.to_owned(),
            reason: None,
        };
        (0..count).rev().map(one).collect()
    }

    #[test]
    fn a_page_continues_after_what_it_shows_or_after_what_it_looked_through() {
        let stale = |delivery: &ListedDelivery| delivery.outcome == "stale";
        let at = |listed: &super::Listed| listed.next.as_ref().map(|next| next.received_at.as_seconds());
        let full = page(found(101), 101, 100, |_| true);
        assert_eq!((full.deliveries.len(), at(&full)), (100, Some(1)));
        let last = page(found(100), 101, 100, |_| true);
        assert_eq!((last.deliveries.len(), at(&last)), (100, None));
        let few = page(found(50), 50, 10, stale);
        assert_eq!((few.deliveries.len(), at(&few)), (5, Some(0)), "more may follow what was looked through");
        let many = page(found(500), 500, 10, stale);
        assert_eq!((many.deliveries.len(), at(&many)), (10, Some(400)));
    }
}
