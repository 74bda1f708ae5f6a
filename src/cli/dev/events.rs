//! The events, printed as they happen.

use std::convert::Infallible;
use std::time::Duration;

use crate::events::{EventBodies, EventLog};
use crate::store::EventFilter;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(300);
/// Events read at a time.
const PAGE: u64 = 100;

/// Prints each event after a place in the log, for as long as it is not dropped.
pub(super) async fn print(log: &EventLog, mut after: i64) -> Infallible {
    loop {
        // If the database is busy, the next attempt reads again.
        if let Ok(EventBodies { events, next }) = log.read(after, &EventFilter::default(), PAGE).await {
            after = next;
            for event in events {
                say!("event {}", String::from_utf8_lossy(&event.to_json()));
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
