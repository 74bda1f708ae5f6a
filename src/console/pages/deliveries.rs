//! The list of deliveries, newest first, with filters.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use crate::console::access::Admin;
use crate::console::failure::Failure;
use crate::console::layout::{
    At, Layout, PAGE, delivery_link, html, link, position, position_text, user_link,
};
use crate::console::state::Console;
use crate::domain::{DeliveryKey, Outcome, Timestamp, UserKey};
use crate::store::{ListFilter, Listed, ListedDelivery, Position};

/// The outcomes that the journal has.
const OUTCOMES: [Outcome; 3] = [Outcome::Applied, Outcome::Stale, Outcome::Parked];

#[derive(Template)]
#[template(path = "deliveries.html")]
struct Page {
    layout: Layout,
    query: Query,
    sources: Vec<String>,
    outcomes: Vec<&'static str>,
    rows: Vec<Row>,
    /// The address of the next page.
    older: Option<String>,
    /// Back to when this page has looked, if a filter left deliveries out.
    searched_to: Option<At>,
    is_live: bool,
    toggle_live: String,
    here: String,
}

/// A delivery in a list.
pub(super) struct Row {
    pub(super) href: String,
    pub(super) at: At,
    pub(super) source: String,
    pub(super) event_type: String,
    pub(super) user: Option<(String, String)>,
    pub(super) outcome: String,
    pub(super) reason: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::console) struct Query {
    #[serde(default)]
    source: String,
    #[serde(default)]
    outcome: String,
    /// The type of event.
    #[serde(default, rename = "type")]
    event_type: String,
    /// The provider's id of a user.
    #[serde(default)]
    user: String,
    /// A message id.
    #[serde(default)]
    id: String,
    /// Only what was received before this time, in UTC.
    #[serde(default)]
    until: String,
    /// The position to continue from.
    #[serde(default)]
    before: String,
    #[serde(default)]
    live: String,
}

impl Query {
    /// The address of the list with this query, with another position and liveness.
    fn address(&self, base: &str, before: &str, is_live: bool) -> String {
        let fields = [
            ("source", self.source.as_str()),
            ("outcome", &self.outcome),
            ("type", &self.event_type),
            ("user", &self.user),
            ("id", &self.id),
            ("until", &self.until),
            ("before", before),
            ("live", if is_live { "1" } else { "" }),
        ];
        let set: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        link(&format!("{base}/deliveries"), &set)
    }

    fn filter(&self) -> ListFilter {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ListFilter {
            source: text(&self.source),
            outcome: OUTCOMES.into_iter().find(|outcome| outcome.as_str() == self.outcome),
            event_type: text(self.event_type.trim()),
        }
    }

    /// Where the list begins.
    fn start(&self) -> Result<Option<Position>, Failure> {
        let unreadable = |what: &str| Failure::BadRequest(format!("{what} cannot be read."));
        if !self.before.is_empty() {
            return Ok(Some(position(&self.before).ok_or_else(|| unreadable("The position"))?));
        }
        if self.until.is_empty() {
            return Ok(None);
        }
        // A field for a time gives minutes, without a zone.
        let with_zone = format!("{}:00Z", self.until);
        let at = Timestamp::parse(&self.until).or_else(|| Timestamp::parse(&with_zone));
        let received_at = at.ok_or_else(|| unreadable("The time"))?;
        let key = DeliveryKey { source: String::new(), message_id: String::new() };
        Ok(Some(Position { received_at, key }))
    }
}

pub(super) async fn show(
    console: web::Data<Console>,
    admin: Admin,
    query: web::Query<Query>,
) -> Result<HttpResponse, Failure> {
    let query = query.into_inner();
    let start = query.start()?;
    let Listed { deliveries, next } = find(&console, &query, start.as_ref()).await?;
    let base = console.base();
    let is_live = !query.live.is_empty() && start.is_none();
    let older = next.as_ref().map(|next| query.address(base, &position_text(next), false));
    let is_full = deliveries.len() as u64 >= PAGE;
    let here = query.address(base, &query.before, is_live);
    html(&Page {
        layout: Layout::new(&console, &admin, "/deliveries", "Deliveries")
            .refreshed(is_live.then_some(5), &here),
        sources: console.sources().names().into_iter().map(str::to_owned).collect(),
        outcomes: OUTCOMES.map(Outcome::as_str).to_vec(),
        rows: deliveries.into_iter().map(|delivery| row(base, delivery)).collect(),
        searched_to: next.filter(|_| !is_full).map(|next| At(next.received_at)),
        older,
        is_live,
        toggle_live: query.address(base, "", !is_live),
        here,
        query,
    })
}

async fn find(console: &Console, query: &Query, start: Option<&Position>) -> Result<Listed, Failure> {
    let journal = console.store().journal();
    let (id, user, filter) = (query.id.trim(), query.user.trim(), query.filter());
    if !id.is_empty() {
        let mut deliveries = Vec::new();
        for source in console.sources().names() {
            let key = DeliveryKey { source: source.to_owned(), message_id: id.to_owned() };
            deliveries.extend(journal.find(&key).await?.map(|(delivery, _)| delivery));
        }
        deliveries.retain(|delivery| filter.matches(delivery));
        return Ok(Listed { deliveries, next: None });
    }
    if !user.is_empty() {
        let source = Some(query.source.as_str()).filter(|source| !source.is_empty());
        let mut listed = journal.of_user(user, source, start, PAGE).await?;
        listed.deliveries.retain(|delivery| filter.matches(delivery));
        return Ok(listed);
    }
    Ok(journal.listed(&filter, start, PAGE).await?)
}

/// A delivery as a row of a list.
pub(super) fn row(base: &str, delivery: ListedDelivery) -> Row {
    let ListedDelivery { key, received_at, event_type, external_id, outcome, reason, .. } = delivery;
    let user = external_id.map(|id| {
        let href = user_link(base, &UserKey::new(&key.source, &id));
        (id, href)
    });
    Row {
        href: delivery_link(base, &key),
        at: At(received_at),
        source: key.source,
        event_type: event_type.unwrap_or_else(|| "without a type".to_owned()),
        user,
        outcome,
        reason: reason.unwrap_or_default(),
    }
}
