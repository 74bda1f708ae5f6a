//! One delivery: what it said, field by field, and how that compares with what is known now.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::console::access::{Admin, Post};
use crate::console::failure::Failure;
use crate::console::layout::{At, Layout, delivery_link, html, link, see, user_link};
use crate::console::mask;
use crate::console::provenance::{Origins, SaidBy};
use crate::console::send;
use crate::console::state::Console;
use crate::domain::{
    Change, ChangeKind, Content, Delivery, DeliveryKey, Fact, IdPolicy, Outcome, Rank, Record, Standing,
    UserKey,
};
use crate::store::ListedDelivery;
use crate::sync::{Replay, read_again};

#[derive(Template)]
#[template(path = "delivery.html")]
struct Page {
    layout: Layout,
    key: DeliveryKey,
    notice: Option<String>,
    received_at: At,
    stamp: Option<At>,
    event_type: String,
    user: Option<(String, String)>,
    outcome: String,
    /// Why it has this outcome.
    why: String,
    fields: Vec<FieldRow>,
    is_kept: bool,
    /// Once it was asked for.
    payload: Option<String>,
    /// The command that sends it again, with the payload.
    send: Option<String>,
}

struct FieldRow {
    name: &'static str,
    said: String,
    /// `current`, `newer` or `gone`.
    class: &'static str,
    now: String,
    /// The change that wrote the value of now.
    by: Option<SaidBy>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::console) struct Query {
    source: String,
    id: String,
    /// The outcome of a replay that has just been made.
    #[serde(default)]
    replayed: String,
}

/// A delivery of the journal, with what can be read of it now.
struct Found {
    listed: ListedDelivery,
    /// While it is kept.
    payload: Option<String>,
    /// `None` without a payload, without a configured source, or if it is not about a user.
    read: Option<Delivery>,
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Form {
    source: String,
    id: String,
    action: String,
}

pub(super) async fn show(
    console: web::Data<Console>,
    admin: Admin,
    query: web::Query<Query>,
) -> Result<HttpResponse, Failure> {
    let Query { source, id, replayed } = query.into_inner();
    let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == replayed);
    let notice = outcome.map(|outcome| format!("Replayed: {}.", outcome.as_str()));
    let found = find(&console, &DeliveryKey { source, message_id: id }).await?;
    page(&console, &admin, found, notice, false).await
}

/// Replays the delivery, or shows its payload.
pub(super) async fn act(console: web::Data<Console>, post: Post<Form>) -> Result<HttpResponse, Failure> {
    let Post { admin, form: Form { source, id, action } } = post;
    let key = DeliveryKey { source, message_id: id };
    let target = format!("{} {}", key.source, key.message_id);
    let found = find(&console, &key).await?;
    if action == "reveal" {
        if found.payload.is_some() {
            admin.audit(&console, "show a payload", Some(target)).await?;
        }
        return page(&console, &admin, found, None, true).await;
    }
    if action != "replay" {
        return Err(Failure::BadRequest("`action` is `reveal` or `replay`.".to_owned()));
    }
    let delivery = found.read.ok_or_else(|| {
        let why = "It cannot be replayed: its payload is no longer kept, its source is not configured, or it is not \
                   about a user.";
        Failure::not_done(why, &delivery_link(console.base(), &key))
    })?;
    admin.audit(&console, "replay a delivery", Some(target)).await?;
    let replayed = Replay::by(console.writer().clone()).one(delivery).await;
    // Requests of this process that wait for the user may have to look again.
    console.feed().wake_all();
    let path = format!("{}/delivery", console.base());
    let replayed = replayed?.as_str();
    Ok(see(&link(&path, &[("source", &key.source), ("id", &key.message_id), ("replayed", replayed)])))
}

async fn find(console: &Console, key: &DeliveryKey) -> Result<Found, Failure> {
    let found = console.store().journal().find(key).await?;
    let (listed, payload) = found.ok_or(Failure::NotFound("The journal has no such delivery."))?;
    let source = console.sources().get(&key.source);
    let read = source.zip(payload.clone()).and_then(|(source, payload)| {
        read_again(source, key.message_id.clone(), payload, listed.received_at)
    });
    Ok(Found { listed, payload, read })
}

async fn page(
    console: &Console,
    admin: &Admin,
    Found { listed, payload, read }: Found,
    notice: Option<String>,
    is_revealed: bool,
) -> Result<HttpResponse, Failure> {
    let ListedDelivery { key, received_at, event_type, external_id, stamp, outcome, reason } = listed;
    let user = external_id.map(|id| UserKey::new(&key.source, id));
    let record = match &user {
        Some(user) => console.store().users().stored(user).await?.record,
        None => Record::default(),
    };
    let ids = console.sources().ids(&key.source);
    let change = read.as_ref().and_then(|read| read.change());
    let unreadable = read.as_ref().and_then(|read| match &read.content {
        Content::Unreadable { reason, .. } => Some(reason.clone()),
        Content::Change(_) => None,
    });
    let why = why(&outcome, reason.or(unreadable), change, &record, ids, payload.is_some());
    let mut fields = Vec::new();
    if let Some((change, user)) = change.zip(user.as_ref()) {
        let mut origins = Origins::new(console, user);
        for (said, standing) in record.standings(change, ids) {
            fields.push(field(&mut origins, &said, standing, is_revealed).await?);
        }
    }
    let revealed = payload.as_deref().filter(|_| is_revealed);
    html(&Page {
        layout: Layout::new(console, admin, "/deliveries", "Delivery"),
        notice,
        received_at: At(received_at),
        stamp: stamp.map(At),
        event_type: event_type.unwrap_or_else(|| "without a type".to_owned()),
        user: user.map(|user| (user_link(console.base(), &user), user.external_id)),
        outcome,
        why,
        fields,
        is_kept: payload.is_some(),
        send: revealed.and_then(|json| send::command(console.config(), &key, json)),
        payload: revealed.map(mask::payload),
        key,
    })
}

/// Why a delivery has its outcome, as far as that can be told now.
fn why(
    outcome: &str,
    reason: Option<String>,
    change: Option<&Change>,
    record: &Record,
    ids: IdPolicy,
    has_payload: bool,
) -> String {
    if let Some(reason) = reason {
        return format!(
            "It could not be read: {reason}. It is kept, and can be replayed once this version of usersync, or the \
             configuration, understands it."
        );
    }
    if let Some(deleted_at) = record.deleted_at
        && change.is_none_or(|change| record.has_ended(change, ids))
    {
        let at = At(deleted_at);
        return match outcome {
            "applied" => format!("The user was deleted ({at}); what belonged to that user is erased."),
            _ => format!("The user was deleted ({at}). Later events about a deleted user are not applied."),
        };
    }
    let Some(change) = change else {
        return if has_payload {
            "Its content cannot be read again.".to_owned()
        } else {
            "Its payload is no longer kept, so its fields cannot be shown.".to_owned()
        };
    };
    if record.is_of_other_lifetime(change, ids) {
        return "It belongs to another lifetime of this id: the id was given to a new user.".to_owned();
    }
    match (outcome, &change.kind) {
        ("applied", ChangeKind::Delete) => "It deleted the user.".to_owned(),
        ("applied", _) => "It changed the user. The table shows which of its facts are still current.".to_owned(),
        _ => "It contained nothing new when it arrived: each of its facts was known, or a newer one was. The table \
              shows what is known now."
            .to_owned(),
    }
}

async fn field(
    origins: &mut Origins<'_>,
    said: &Fact,
    standing: Standing,
    is_revealed: bool,
) -> Result<FieldRow, Failure> {
    let shown = |fact: &Fact| mask::shown(fact.field, &fact.value, is_revealed);
    let (class, now, by) = match standing {
        Standing::Current => ("current", "this is the current value".to_owned(), None),
        Standing::Gone => ("gone", "nothing is known".to_owned(), None),
        Standing::Outranked(other, rank) => {
            let because = match rank {
                Rank::Stamp if other.stamp > said.stamp => format!("newer, of {}", At(other.stamp)),
                Rank::Stamp => format!("older, of {}: replay this delivery", At(other.stamp)),
                Rank::EventTime => "of the same time, but of a later event".to_owned(),
                Rank::Digest => "of the same time; the digest of the content decides".to_owned(),
            };
            let same = if other.value == said.value { "the same value, " } else { "" };
            let by = origins.of(&other).await?;
            ("newer", format!("{} ({same}{because})", shown(&other)), Some(by))
        }
    };
    Ok(FieldRow { name: said.field.name(), said: shown(said), class, now, by })
}
