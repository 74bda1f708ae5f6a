//! A reader of the feed of events, which keeps a copy of the table by them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::ground::Ground;
use crate::call::Call;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The rows by their ids, as events describe them.
pub(super) type Rows = BTreeMap<String, Value>;

/// What was read. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Feed(Arc<Mutex<Read>>);

#[derive(Default)]
struct Read {
    rows: Rows,
    cursor: i64,
    events: u64,
}

/// Applies an event to the rows.
pub(super) fn apply(rows: &mut Rows, event: &Value) {
    let Some(id) = event["data"]["id"].as_str() else { return };
    if event["type"] == "user.deleted" {
        rows.remove(id);
    } else {
        rows.insert(id.to_owned(), event["data"].clone());
    }
}

impl Feed {
    pub(super) fn rows(&self) -> Rows {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rows.clone()
    }

    pub(super) fn cursor(&self) -> i64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).cursor
    }

    pub(super) fn events(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).events
    }

    /// Reads from one replica after the other.
    pub(super) async fn follow(self, ground: Arc<Ground>) {
        for replica in (0..ground.addresses.len()).cycle() {
            if !self.read_page(&ground, replica, 5).await {
                sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Returns whether there was an answer.
    async fn read_page(&self, ground: &Ground, replica: usize, wait: u32) -> bool {
        let path = format!("/v1/events?after={}&limit=200&wait={wait}", self.cursor());
        let call = Call::get("localhost", &path, &[("authorization", &ground.service_key)]);
        let Some(answer) = ground.request("feed", replica, &call, TIMEOUT).await else { return false };
        if let Err(wrong) = self.take(&answer.json().unwrap_or_default()) {
            ground.ledger.violation(format!("{path}: {wrong}: {answer:?}"));
        }
        true
    }

    /// Takes in a page.
    fn take(&self, page: &Value) -> Result<(), &'static str> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<i64>().ok());
        for event in page["events"].as_array().ok_or("no events")? {
            let sequence = number(&event["sequence"]).ok_or("no sequence")?;
            if sequence <= read.cursor {
                return Err("an event that is not after the cursor, or not in order");
            }
            read.cursor = sequence;
            read.events += 1;
            apply(&mut read.rows, event);
        }
        let next = number(&page["next"]).ok_or("no next")?;
        if next < read.cursor {
            return Err("the next cursor is lower than the last event");
        }
        read.cursor = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(sequences: &[u32], next: u32) -> Value {
        let event = |sequence| {
            let data = json!({"id": format!("id-{sequence}"), "externalId": "user"});
            json!({"type": "user.created", "sequence": format!("{sequence}"), "data": data})
        };
        let events: Vec<Value> = sequences.iter().map(event).collect();
        json!({"events": events, "next": format!("{next}")})
    }

    #[test]
    fn events_come_in_order_and_once() {
        let feed = Feed::default();
        feed.take(&page(&[3, 4], 6)).unwrap();
        assert_eq!((feed.cursor(), feed.events(), feed.rows().len()), (6, 2, 2));
        feed.take(&page(&[], 6)).unwrap();
        for wrong in [page(&[4], 7), page(&[9, 8], 9), page(&[10], 9), json!({})] {
            feed.take(&wrong).unwrap_err();
        }
    }

    #[test]
    fn a_deletion_removes_the_row() {
        let mut rows = Rows::new();
        apply(&mut rows, &page(&[1], 1)["events"][0]);
        assert_eq!(rows.len(), 1);
        apply(&mut rows, &json!({"type": "user.deleted", "data": {"id": "id-1"}}));
        assert!(rows.is_empty());
    }
}
