//! What all pages have in common.

use std::fmt;

use actix_web::HttpResponse;
use askama::Template;
use url::form_urlencoded::Serializer;

use super::access::{Admin, POLL};
use super::assets;
use super::failure::Failure;
use super::state::{Access, Console};
use crate::domain::{DeliveryKey, Timestamp, UserKey};
use crate::store::Position;

/// How many rows a page has.
pub(super) const PAGE: u64 = 50;

/// The frame of a page.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) base: &'static str,
    pub(super) title: String,
    /// The path of the entry of the menu that the page belongs to.
    pub(super) section: &'static str,
    pub(super) actor: String,
    pub(super) token: String,
    pub(super) is_open: bool,
    /// Without a script the page reloads itself: after how many seconds, and at which address.
    pub(super) refresh: Option<(u32, String)>,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) htmx: &'static str,
    pub(super) menu: &'static [(&'static str, &'static str)],
}

/// The menu: paths and names.
pub(super) const MENU: [(&str, &str); 10] = [
    ("/", "Overview"),
    ("/deliveries", "Deliveries"),
    ("/parked", "Parked"),
    ("/users", "Users"),
    ("/sources", "Sources"),
    ("/endpoints", "Endpoints"),
    ("/token", "Token debugger"),
    ("/webhook", "Webhook debugger"),
    ("/keys", "Keys"),
    ("/audit", "Audit"),
];

impl Layout {
    pub(super) fn new(
        console: &Console,
        admin: &Admin,
        section: &'static str,
        title: impl Into<String>,
    ) -> Self {
        Self {
            base: console.base(),
            title: title.into(),
            section,
            actor: admin.actor.clone(),
            token: admin.form_token.clone(),
            is_open: console.access() == Access::Open,
            refresh: None,
            style: assets::style(),
            script: assets::script(),
            htmx: assets::htmx(),
            menu: &MENU,
        }
    }

    /// The same for a page at this address that changes while it is looked at.
    pub(super) fn refreshed(self, seconds: Option<u32>, address: &str) -> Self {
        let separator = if address.contains('?') { '&' } else { '?' };
        Self { refresh: seconds.map(|seconds| (seconds, format!("{address}{separator}{POLL}"))), ..self }
    }

    /// The address of the first page, or of an entry of the menu.
    pub(super) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// A rendered page.
pub(super) fn html(page: &impl Template) -> Result<HttpResponse, Failure> {
    let html = page.render().map_err(|error| Failure::Unavailable(error.to_string()))?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}

/// The answer to a form: another page.
pub(super) fn see(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header(("location", address)).finish()
}

/// An address with a query.
pub(super) fn link(path: &str, query: &[(&str, &str)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", Serializer::new(String::new()).extend_pairs(query).finish())
}

/// The page of a delivery.
pub(super) fn delivery_link(base: &str, key: &DeliveryKey) -> String {
    link(&format!("{base}/delivery"), &[("source", &key.source), ("id", &key.message_id)])
}

/// The page of a user.
pub(super) fn user_link(base: &str, key: &UserKey) -> String {
    link(&format!("{base}/user"), &[("source", &key.source), ("id", &key.external_id)])
}

/// A position in a list of deliveries, for an address.
pub(super) fn position_text(position: &Position) -> String {
    let Position { received_at, key: DeliveryKey { source, message_id } } = position;
    format!("{}.{source}.{message_id}", received_at.as_micros())
}

/// Reads such a position. The name of a source has no dot.
pub(super) fn position(text: &str) -> Option<Position> {
    // No delivery has such an id, and PostgreSQL cannot compare with it.
    if text.contains('\0') {
        return None;
    }
    let mut parts = text.splitn(3, '.');
    let received_at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    let (source, message_id) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    Some(Position { received_at, key: DeliveryKey { source, message_id } })
}

/// A time, to the second, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(pub(super) Timestamp);

impl At {
    /// For programs; empty without a date.
    pub(super) fn iso(self) -> String {
        if self.0.is_date() { self.0.to_string() } else { String::new() }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_date() {
            return f.write_str("no date");
        }
        let text = self.0.to_string();
        let seconds = text.get(..19).unwrap_or(&text).replace('T', " ");
        write!(f, "{seconds} UTC")
    }
}

/// How long ago something was, in words.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.since(at).as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A count that may be only the first part of a larger one.
pub(super) fn at_most(count: usize, limit: usize) -> String {
    if count >= limit { format!("{limit} or more") } else { count.to_string() }
}

#[cfg(test)]
mod tests {
    use super::{At, ago, position, position_text};
    use crate::domain::{DeliveryKey, Timestamp};
    use crate::store::Position;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let key = DeliveryKey { source: "clerk".to_owned(), message_id: "list:a.b.c".to_owned() };
        let written = Position { received_at: Timestamp::from_micros(1_767_528_000_000_001), key };
        assert_eq!(position(&position_text(&written)), Some(written));
        for wrong in ["", "1", "1.clerk", "x.clerk.msg", "1.clerk.\0"] {
            assert_eq!(position(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_shown_to_the_second() {
        let at = Timestamp::from_seconds(1_767_528_000);
        assert_eq!(At(at).to_string(), "2026-01-04 12:00:00 UTC");
        assert_eq!(
            (At(Timestamp::EPOCH).to_string(), At(Timestamp::EPOCH).iso()),
            ("no date".to_owned(), String::new())
        );
        assert_eq!(ago(at, Timestamp::from_seconds(1_767_528_090)), "1 min ago");
    }
}
