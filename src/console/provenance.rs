//! Which delivery said a fact: found by its stamp in the journal, and by reading its payload again.

use super::layout::delivery_link;
use super::state::Console;
use crate::domain::{Change, Delivery, DeliveryKey, Fact, UserKey};
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

/// The origins of facts about one user.
pub(super) struct Origins<'a> {
    console: &'a Console,
    user: &'a UserKey,
    /// Most facts of a user were said by few changes, so that each is looked for once.
    known: Vec<(Fact, SaidBy)>,
}

impl<'a> Origins<'a> {
    pub(super) fn new(console: &'a Console, user: &'a UserKey) -> Self {
        Self { console, user, known: Vec::new() }
    }

    /// What said a fact.
    pub(super) async fn of(&mut self, fact: &Fact) -> Result<SaidBy, StoreError> {
        if let Some((_, by)) = self.known.iter().find(|(known, _)| known.is_of_same_change(fact)) {
            return Ok(by.clone());
        }
        let by = self.find(fact).await?;
        self.known.push((fact.clone(), by.clone()));
        Ok(by)
    }

    async fn find(&self, fact: &Fact) -> Result<SaidBy, StoreError> {
        let Self { console, user, .. } = self;
        let without_page = |text: &str| SaidBy { text: text.to_owned(), href: None };
        if fact.is_claim {
            return Ok(without_page("the claims of a token"));
        }
        let page =
            |key: &DeliveryKey, text: String| SaidBy { text, href: Some(delivery_link(console.base(), key)) };
        let mut without_payload = None;
        for (delivery, payload) in
            console.store().journal().of_user_with_stamp(user, fact.stamp, MOST).await?
        {
            let name = delivery.event_type.unwrap_or_else(|| "a delivery".to_owned());
            let Some(payload) = payload else {
                let text = format!("probably {name}; its payload is no longer kept");
                without_payload.get_or_insert_with(|| page(&delivery.key, text));
                continue;
            };
            let Some(source) = console.sources().get(&delivery.key.source) else { continue };
            let id = delivery.key.message_id.clone();
            let read = read_again(source, id, payload, delivery.received_at);
            let said = read.as_ref().and_then(Delivery::change).map(Change::said).unwrap_or_default();
            if said.iter().any(|said| said.is_of_same_change(fact)) {
                return Ok(page(&delivery.key, name));
            }
        }
        Ok(without_payload.unwrap_or_else(|| without_page("a change that the journal does not have")))
    }
}
