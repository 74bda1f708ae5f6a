//! Payloads are erased when their user is deleted or when they are older than the retention. Ids, stamps and
//! tombstones stay.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use usersync::internals::store::Which;
use usersync::internals::sync::sweep;

use crate::support::app::TestApp;
use crate::support::client::fixture::{CREATED, CREATED_GOOGLE, DELETED, UPDATED};

const DAY: Duration = Duration::from_hours(24);

/// The messages whose payloads are stored.
async fn stored_payloads(app: &TestApp) -> Vec<String> {
    let journal = app.store.journal().page(&Which::default(), None, 100).await.unwrap();
    journal.into_iter().filter(|entry| entry.payload.is_some()).map(|entry| entry.key.message_id).collect()
}

async fn a_deletion_erases_the_payloads_of_its_user_and_no_others(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(CREATED_GOOGLE).await;
    assert_eq!(stored_payloads(app).await, ["msg_0", "msg_1"]);
    app.client.deliver(DELETED).await;
    assert_eq!(stored_payloads(app).await, ["msg_1"]);
    app.client.deliver(UPDATED).await;
    assert_eq!(stored_payloads(app).await, ["msg_1"], "a late update of a deleted user is not stored either");
    assert_eq!(
        app.store.journal().count(&Which::default()).await.unwrap(),
        4,
        "the journal keeps the rows without payload"
    );
}

on_both_databases!(a_deletion_erases_the_payloads_of_its_user_and_no_others);

async fn a_parked_payload_is_erased_with_its_user_too(app: &TestApp) {
    let unreadable = CREATED.replace("\"Ada\"", "7");
    assert_eq!(app.client.deliver(unreadable.clone()).await, "200 parked");
    assert_eq!(stored_payloads(app).await, ["msg_0"]);
    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    assert_eq!(app.client.deliver(unreadable).await, "200 parked");
    assert!(stored_payloads(app).await.is_empty(), "before the deletion and after it");
}

on_both_databases!(a_parked_payload_is_erased_with_its_user_too);

async fn payloads_older_than_the_retention_are_erased_and_duplicates_are_still_recognised(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.clock.advance(60 * DAY);
    app.client.deliver(CREATED_GOOGLE).await;
    app.clock.advance(31 * DAY);
    let stop = CancellationToken::new();
    assert_eq!(sweep(&app.store, &app.clock, 90 * DAY, &stop).await.unwrap(), 1);
    assert_eq!(stored_payloads(app).await, ["msg_1"]);
    assert_eq!(sweep(&app.store, &app.clock, 90 * DAY, &stop).await.unwrap(), 0);
    let again = app.client.send(app.client.signed_as("msg_0", CREATED)).await;
    assert_eq!(again.brief(), "200 duplicate");
    assert_eq!(app.client.rows().await.len(), 2);
}

on_both_databases!(payloads_older_than_the_retention_are_erased_and_duplicates_are_still_recognised);
