//! What each endpoint still has to be told, and which process is telling it. All of it happens in a transaction that has
//! locked the endpoint, so that no two processes do it at the same time.

use std::collections::BTreeSet;

use entity::endpoint_event::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::value::TextUuid;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement,
};
use uuid::Uuid;

use super::endpoints::Endpoint;
use super::outbox::{self, event, kind_of};
use super::pairs::is_among;
use super::{StoreError, Tx};
use crate::domain::{LoggedEvent, Timestamp, UserKey};

/// The kind of the row that stands for events that are not kept any more.
const RESYNC: &str = "users.resync";

/// Something that an endpoint has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// An event.
    Event(LoggedEvent),
    /// That events up to a place in the log are missing.
    Resync {
        /// The last of them.
        sequence: i64,
        /// The id of the message.
        event_id: Uuid,
    },
}

impl Message {
    /// Its place in the log.
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

/// Something that waits for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What the endpoint has to be told.
    pub message: Message,
    /// How often it was attempted, or an event that it stands for.
    pub attempts: u32,
    /// Not before this.
    pub next_at: Timestamp,
    /// When it was logged.
    pub at: Timestamp,
    /// Until when a process has it for itself.
    pub held_until: Option<Timestamp>,
}

/// For whom events are claimed.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The endpoint.
    pub endpoint: &'a str,
    /// The process that will tell them.
    pub holder: &'a str,
}

/// Which of the events that are due come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Sequence,
    /// Those that were attempted least: one that an app never takes must not stand for all.
    FewestAttempts,
}

impl Tx {
    /// The oldest that waits for an endpoint.
    pub async fn first_pending(&self, endpoint: &str) -> Result<Option<Pending>, StoreError> {
        let first = Entity::find().filter(Column::Endpoint.eq(endpoint)).order_by_asc(Column::Sequence);
        first.one(&self.inner).await?.map(pending).transpose()
    }

    /// What may be told now: of each user the oldest event, if it is due and nobody is telling it.
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
             AND NOT EXISTS (SELECT 1 FROM \"usersync\".endpoint_events AS q WHERE q.endpoint = p.endpoint \
             AND q.source = p.source AND q.external_id = p.external_id AND q.sequence < p.sequence) \
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

    /// Everything that waits for an endpoint about these users, in the order of the log.
    pub async fn pending_of(
        &self,
        endpoint: &str,
        users: &BTreeSet<UserKey>,
    ) -> Result<Vec<Pending>, StoreError> {
        let rows = Entity::find()
            .filter(Column::Endpoint.eq(endpoint))
            .filter(is_among(&self.inner, users.iter()))
            .order_by_asc(Column::Sequence);
        rows.all(&self.inner).await?.into_iter().map(pending).collect()
    }

    /// How many are being told to an endpoint now, by any process.
    pub async fn count_held(&self, endpoint: &str, now: Timestamp) -> Result<u64, StoreError> {
        let now: chrono::DateTime<chrono::Utc> = now.into();
        let held = Entity::find().filter(Column::Endpoint.eq(endpoint)).filter(Column::HeldUntil.gt(now));
        Ok(held.count(&self.inner).await?)
    }

    /// Gives these to a process for a while, and counts the attempt that it will make. Their rows are those of the
    /// messages' places; what a message says may have changed.
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

    /// The same for many whose messages are as they were: one statement.
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
            .filter(Column::Sequence.is_in(sequences))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    /// Deletes what others stand for.
    pub async fn drop_pending(&self, endpoint: &str, sequences: Vec<i64>) -> Result<(), StoreError> {
        if !sequences.is_empty() {
            Entity::delete_many()
                .filter(Column::Endpoint.eq(endpoint))
                .filter(Column::Sequence.is_in(sequences))
                .exec(&self.inner)
                .await?;
        }
        Ok(())
    }

    /// Deletes what a process has sent.
    pub async fn delete_sent(&self, claimant: Claimant<'_>, sequences: Vec<i64>) -> Result<(), StoreError> {
        if !sequences.is_empty() {
            Entity::delete_many().filter(held_by(claimant, sequences)).exec(&self.inner).await?;
        }
        Ok(())
    }

    /// Gives back what a process could not tell, until a moment.
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
            .filter(held_by(claimant, vec![sequence]))
            .exec(&self.inner)
            .await?;
        Ok(())
    }

    /// Makes everything due that waits for its next attempt, or what waits for one at all.
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

    /// Deletes what was logged before a moment, given to the endpoint or not, and puts `users.resync` in its place.
    /// `event_id` is called if there was anything.
    pub async fn expire(
        &self,
        endpoint: &mut Endpoint,
        before: Timestamp,
        event_id: impl FnOnce() -> Uuid + Send,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let oldest: chrono::DateTime<chrono::Utc> = before.into();
        let given = self.first_pending(&endpoint.name).await?.is_some_and(|first| first.at < before);
        let not_given = outbox::expired_after(&self.inner, endpoint.position, before).await?;
        if !given && not_given.is_none() {
            return Ok(());
        }
        let expired = Entity::find()
            .select_only()
            .column(Column::Sequence)
            .filter(Column::Endpoint.eq(&endpoint.name))
            .filter(Column::At.lt(oldest))
            .order_by_desc(Column::Sequence)
            .limit(1);
        let expired: Option<i64> = expired.into_tuple().one(&self.inner).await?;
        let Some(last) = Ord::max(expired, not_given) else { return Ok(()) };
        endpoint.position = Ord::max(endpoint.position, last);
        Entity::delete_many()
            .filter(Column::Endpoint.eq(&endpoint.name))
            .filter(Column::Sequence.lte(last))
            .exec(&self.inner)
            .await?;
        self.add_resync(&endpoint.name, last, event_id(), now).await
    }

    /// Has an endpoint told that events up to a place in the log are missing.
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

fn held_by(Claimant { endpoint, holder }: Claimant<'_>, sequences: Vec<i64>) -> Condition {
    Condition::all()
        .add(Column::Endpoint.eq(endpoint))
        .add(Column::Holder.eq(holder))
        .add(Column::Sequence.is_in(sequences))
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
