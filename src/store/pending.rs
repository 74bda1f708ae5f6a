//! The pending events of each endpoint, and which process is sending them. Everything happens in a transaction that has
//! locked the endpoint, so that two processes never do it at the same time.

use std::collections::BTreeSet;

use entity::endpoint_event::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::value::TextUuid;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement,
};
use uuid::Uuid;

use super::endpoints::StoredEndpoint;
use super::outbox::{self, event, kind_of};
use super::pairs::{TableOfUsers, is_any_of, is_of_endpoint, is_one_of};
use super::{StoreError, Tx};
use crate::domain::{LoggedEvent, Timestamp, UserKey};

/// The kind of the row that replaces events that are not kept any more.
const RESYNC: &str = "users.resync";

/// A message for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An event.
    Event(LoggedEvent),
    /// Events up to a sequence number are missing.
    Resync {
        /// The last of the missing events.
        sequence: i64,
        /// The id of the message.
        event_id: Uuid,
    },
}

impl Message {
    /// Its sequence number in the log.
    pub fn sequence(&self) -> i64 {
        match self {
            Self::Event(logged) => logged.sequence,
            Self::Resync { sequence, .. } => *sequence,
        }
    }

    /// The event; `None` for a resync, which is about no user.
    pub fn event(&self) -> Option<&LoggedEvent> {
        match self {
            Self::Event(logged) => Some(logged),
            Self::Resync { .. } => None,
        }
    }

    /// The id of the message.
    pub fn event_id(&self) -> Uuid {
        match self {
            Self::Event(logged) => logged.event_id,
            Self::Resync { event_id, .. } => *event_id,
        }
    }
}

/// A message that has not been sent to its endpoint yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The message.
    pub message: Message,
    /// How many attempts were made to send it, or an event that was merged into it.
    pub attempts: u32,
    /// The time of the next attempt.
    pub next_at: Timestamp,
    /// When it was logged.
    pub at: Timestamp,
    /// When the claim of a process on it ends.
    pub held_until: Option<Timestamp>,
}

/// The endpoint and the process that events are claimed for.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The endpoint.
    pub endpoint: &'a str,
    /// The process that will send them.
    pub holder: &'a str,
}

/// Which of the events that are due come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Sequence,
    /// Those with the fewest attempts, so that one event that the app always refuses does not block the others.
    FewestAttempts,
}

impl Tx {
    /// The oldest pending message of an endpoint.
    async fn first_pending(&self, endpoint: &str) -> Result<Option<Pending>, StoreError> {
        let first = Entity::find().filter(Column::Endpoint.eq(endpoint)).order_by_asc(Column::Sequence);
        first.one(&self.inner).await?.map(pending).transpose()
    }

    /// What may be sent now: the oldest event of each user, if it is due and no process is sending it.
    ///
    /// Earlier events are looked for user by user, by the index of the users alone: a join would be planned for the
    /// table as it was when the statement was prepared, and would compare each event with all others.
    pub async fn due(
        &self,
        endpoint: &str,
        now: Timestamp,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        let order = match order {
            Order::Sequence => "p.sequence",
            Order::FewestAttempts => "p.attempts, p.sequence",
        };
        let sql = format!(
            "SELECT p.* FROM \"usersync\".endpoint_events AS p \
             WHERE p.endpoint = $1 AND p.next_at <= $2 AND (p.held_until IS NULL OR p.held_until <= $2) \
             AND NOT EXISTS (SELECT 1 FROM \"usersync\".endpoint_events AS q \
             WHERE q.external_id = p.external_id AND q.source = p.source \
             AND NULLIF(q.endpoint, '') = p.endpoint AND q.sequence + 0 < p.sequence LIMIT 1 OFFSET 0) \
             ORDER BY {order} LIMIT $3"
        );
        let now: chrono::DateTime<chrono::Utc> = now.into();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let backend = self.inner.get_database_backend();
        let values = [endpoint.into(), now.into(), limit.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = Entity::find().from_raw_sql(statement).all(&self.inner).await?;
        rows.into_iter().map(pending).collect()
    }

    /// All pending events of these users for an endpoint, in the order of the log.
    pub async fn pending_of(
        &self,
        endpoint: &str,
        users: &BTreeSet<UserKey>,
    ) -> Result<Vec<Pending>, StoreError> {
        let rows = Entity::find()
            .filter(is_of_endpoint(endpoint))
            .filter(is_one_of(&self.inner, TableOfUsers::EndpointEvents, users.iter()))
            .order_by_asc(Column::Sequence);
        rows.all(&self.inner).await?.into_iter().map(pending).collect()
    }

    /// How many messages any process is sending to an endpoint now.
    pub async fn count_held(&self, endpoint: &str, now: Timestamp) -> Result<u64, StoreError> {
        let now: chrono::DateTime<chrono::Utc> = now.into();
        let held = Entity::find().filter(Column::Endpoint.eq(endpoint)).filter(Column::HeldUntil.gt(now));
        Ok(held.count(&self.inner).await?)
    }

    /// Claims these messages for a process until a time, and counts the attempt that it will make. The rows are found
    /// by the messages' sequence numbers; the kind and the changed fields of an event are updated.
    pub async fn claim(
        &self,
        claimant: Claimant<'_>,
        messages: &[&Pending],
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let until: chrono::DateTime<chrono::Utc> = until.into();
        for Pending { message, attempts, .. } in messages {
            let mut update = Entity::update_many()
                .col_expr(Column::Attempts, Expr::value(i32::try_from(*attempts).unwrap_or(i32::MAX)))
                .col_expr(Column::Holder, Expr::value(claimant.holder))
                .col_expr(Column::HeldUntil, Expr::value(until))
                .filter(Column::Endpoint.eq(claimant.endpoint))
                .filter(Column::Sequence.eq(message.sequence()));
            if let Message::Event(logged) = message {
                update = update
                    .col_expr(Column::Kind, Expr::value(logged.event.kind.name()))
                    .col_expr(Column::Changed, Expr::value(logged.event.changed.join(",")));
            }
            update.exec(&self.inner).await?;
        }
        Ok(())
    }

    /// The same for messages that have not changed, in one statement.
    pub async fn claim_unchanged(
        &self,
        claimant: Claimant<'_>,
        sequences: Vec<i64>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        if sequences.is_empty() {
            return Ok(());
        }
        let until: chrono::DateTime<chrono::Utc> = until.into();
        Entity::update_many()
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .col_expr(Column::Holder, Expr::value(claimant.holder))
            .col_expr(Column::HeldUntil, Expr::value(until))
            .filter(Column::Endpoint.eq(claimant.endpoint))
            .filter(is_any_of(&self.inner, Column::Sequence, sequences))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    /// Deletes messages that are not needed any more, because others have replaced them.
    pub async fn drop_pending(&self, endpoint: &str, sequences: Vec<i64>) -> Result<(), StoreError> {
        if !sequences.is_empty() {
            Entity::delete_many()
                .filter(Column::Endpoint.eq(endpoint))
                .filter(is_any_of(&self.inner, Column::Sequence, sequences))
                .exec(&self.inner)
                .await?;
        }
        Ok(())
    }

    /// Deletes messages that a process has sent.
    pub async fn delete_sent(&self, claimant: Claimant<'_>, sequences: Vec<i64>) -> Result<(), StoreError> {
        if !sequences.is_empty() {
            let sent = is_any_of(&self.inner, Column::Sequence, sequences);
            Entity::delete_many().filter(held_by(claimant)).filter(sent).exec(&self.inner).await?;
        }
        Ok(())
    }

    /// Releases a message that a process could not send, until the next attempt.
    pub async fn postpone(
        &self,
        claimant: Claimant<'_>,
        sequence: i64,
        next_at: Timestamp,
    ) -> Result<(), StoreError> {
        let next_at: chrono::DateTime<chrono::Utc> = next_at.into();
        Entity::update_many()
            .col_expr(Column::NextAt, Expr::value(next_at))
            .col_expr(Column::Holder, Expr::value(Option::<String>::None))
            .col_expr(Column::HeldUntil, Expr::value(Option::<chrono::DateTime<chrono::Utc>>::None))
            .filter(held_by(claimant))
            .filter(Column::Sequence.eq(sequence))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    /// Makes all pending messages of an endpoint due now.
    pub async fn make_due(&self, endpoint: &str, now: Timestamp) -> Result<(), StoreError> {
        let now: chrono::DateTime<chrono::Utc> = now.into();
        Entity::update_many()
            .col_expr(Column::NextAt, Expr::value(now))
            .filter(Column::Endpoint.eq(endpoint))
            .filter(Column::NextAt.gt(now))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    /// Replaces what was logged before a time, copied to the endpoint or not, by `users.resync`. `event_id` is called
    /// only if there was something. Returns the oldest pending message after that.
    pub async fn expire(
        &self,
        endpoint: &mut StoredEndpoint,
        before: Timestamp,
        event_id: impl FnOnce() -> Uuid + Send,
        now: Timestamp,
    ) -> Result<Option<Pending>, StoreError> {
        let oldest: chrono::DateTime<chrono::Utc> = before.into();
        let first = self.first_pending(&endpoint.name).await?;
        let has_copied = first.as_ref().is_some_and(|first| first.at < before);
        let not_copied = outbox::expired_after(&self.inner, endpoint.position, before).await?;
        if !has_copied && not_copied.is_none() {
            return Ok(first);
        }
        let expired = Entity::find()
            .select_only()
            .column(Column::Sequence)
            .filter(Column::Endpoint.eq(&endpoint.name))
            .filter(Column::At.lt(oldest))
            .order_by_desc(Column::Sequence)
            .limit(1);
        let expired: Option<i64> = expired.into_tuple().one(&self.inner).await?;
        let Some(last) = Ord::max(expired, not_copied) else { return Ok(first) };
        endpoint.position = Ord::max(endpoint.position, last);
        Entity::delete_many()
            .filter(Column::Endpoint.eq(&endpoint.name))
            .filter(Column::Sequence.lte(last))
            .exec(&self.inner)
            .await?;
        self.add_resync(&endpoint.name, last, event_id(), now).await?;
        self.first_pending(&endpoint.name).await
    }

    /// Adds a message to the endpoint that events up to a sequence number are missing.
    async fn add_resync(
        &self,
        endpoint: &str,
        sequence: i64,
        event_id: Uuid,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = ActiveModel {
            endpoint: Set(endpoint.to_owned()),
            sequence: Set(sequence),
            event_id: Set(TextUuid(event_id)),
            user_id: Set(TextUuid(Uuid::nil())),
            source: Set(String::new()),
            external_id: Set(String::new()),
            kind: Set(RESYNC.to_owned()),
            changed: Set(String::new()),
            stamp: Set(now.into()),
            at: Set(now.into()),
            attempts: Set(0),
            next_at: Set(now.into()),
            holder: Set(None),
            held_until: Set(None),
        };
        Entity::insert(row).exec_without_returning(&self.inner).await?;
        Ok(())
    }
}

fn held_by(Claimant { endpoint, holder }: Claimant<'_>) -> Condition {
    Condition::all().add(Column::Endpoint.eq(endpoint)).add(Column::Holder.eq(holder))
}

fn pending(row: Model) -> Result<Pending, StoreError> {
    let Model {
        endpoint: _,
        sequence,
        event_id,
        user_id,
        source,
        external_id,
        kind,
        changed,
        stamp,
        at,
        attempts,
        next_at,
        holder: _,
        held_until,
    } = row;
    let message = if kind == RESYNC {
        Message::Resync { sequence, event_id: event_id.0 }
    } else {
        let event = event(UserKey { source, external_id }, user_id, kind_of(&kind)?, &changed, stamp);
        Message::Event(LoggedEvent { sequence, event_id: event_id.0, event, at: at.into() })
    };
    Ok(Pending {
        message,
        attempts: u32::try_from(attempts).unwrap_or_default(),
        next_at: next_at.into(),
        at: at.into(),
        held_until: held_until.map(Timestamp::from),
    })
}
