//! Which delivery said a fact: found by its stamp in the journal, and by reading its payload again.

use super::layout::delivery_link;
use super::state::Console;
use crate::domain::{DeliveryKey, Fact, UserKey};
use crate::store::StoreError;
use crate::sync::read_again;

/// How many deliveries with the same stamp are looked at.
const MOST: u64 = 20;

/// The origin of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SaidBy {
    pub(super) text: String,
    /// The page of the delivery.
    pub(super) href: Option<String>,
}

pub(super) async fn said_by(console: &Console, user: &UserKey, fact: &Fact) -> Result<SaidBy, StoreError> {
    let without_page = |text: &str| SaidBy { text: text.to_owned(), href: None };
    if fact.is_claim {
        return Ok(without_page("the claims of a token"));
    }
    let found = console.store().journal().of_user_with_stamp(user, fact.stamp, MOST).await?;
    let page =
        |key: &DeliveryKey, text: String| SaidBy { text, href: Some(delivery_link(console.base(), key)) };
    let mut without_payload = None;
    for (delivery, payload) in &found {
        let name = delivery.event_type.as_deref().unwrap_or("a delivery");
        let Some(payload) = payload else {
            without_payload.get_or_insert_with(|| {
                page(&delivery.key, format!("probably {name}; its payload is no longer kept"))
            });
            continue;
        };
        let Some(source) = console.sources().get(&delivery.key.source) else { continue };
        let read = read_again(source, delivery.key.message_id.clone(), payload.clone(), delivery.received_at);
        let said = read.as_ref().and_then(|read| read.change()).map(crate::domain::Change::said);
        let is_same = |said: &Fact| said.field == fact.field && said.is_of_same_change(fact);
        if said.is_some_and(|said| said.iter().any(is_same)) {
            return Ok(page(&delivery.key, name.to_owned()));
        }
    }
    Ok(without_payload.unwrap_or_else(|| without_page("a change that the journal does not have")))
}
