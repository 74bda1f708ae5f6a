//! Replay: an endpoint is sent a new event for every user who changed.

use crate::clock::Clock;
use crate::domain::{LoggedEvent, Timestamp, collapse_user};
use crate::store::{Store, StoreError};

/// Users in one transaction.
const BATCH: u64 = 200;

/// Logs, for one endpoint alone, a new event for each user who changed at or after a moment; returns how many.
///
/// It is unknown which events the endpoint has received, so a user who was created and deleted meanwhile has a deletion
/// event.
pub async fn replay_changes(
    store: &Store,
    clock: &Clock,
    endpoint: &str,
    since: Timestamp,
) -> Result<u64, StoreError> {
    let up_to = store.outbox().end().await?;
    let mut after = None;
    let mut logged = 0;
    loop {
        let page = store.outbox().of_users(after.as_ref(), since, up_to, BATCH).await?;
        let Some(last) = page.last() else { return Ok(logged) };
        after = Some(last.event.user.clone());
        let events: Vec<_> = of_rows(page).into_iter().map(|it| (clock.fresh_id(), it.event)).collect();
        logged += events.len() as u64;
        let tx = store.begin().await?;
        tx.log_events(&events, Some(endpoint), clock.now()).await?;
        tx.commit().await?;
    }
}

/// One event for each row, in the order of the log within each user. `page` has the events of each user together.
fn of_rows(page: Vec<LoggedEvent>) -> Vec<LoggedEvent> {
    let mut of_row: Vec<Vec<LoggedEvent>> = Vec::new();
    for logged in page {
        match of_row.iter_mut().rev().find(|row| row.iter().any(|it| it.event.id == logged.event.id)) {
            Some(row) => row.push(logged),
            None => of_row.push(vec![logged]),
        }
    }
    let collapsed = of_row.into_iter().filter_map(|row| collapse_user(row.into_iter().map(|it| (it, true))));
    collapsed.collect()
}
