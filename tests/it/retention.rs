//! Personal data goes when its user goes, or when the retention is over; ids, stamps and tombstones stay.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use usersync::store::Which;
use usersync::sync::sweep;

use crate::support::app::TestApp;
use crate::support::client::fixture::{CREATED, CREATED_GOOGLE, DELETED, UPDATED};

const DAY: Duration = Duration::from_hours(24);

/// The messages whose payloads are kept.
async fn kept(app: &TestApp) -> Vec<String> {
    let journal = app.store.journal().page(&Which::default(), None, 100).await.unwrap();
    journal.into_iter().filter(|entry| entry.payload.is_some()).map(|entry| entry.key.message_id).collect()
}

async fn a_deletion_clears_its_users_payloads_and_no_others(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(CREATED_GOOGLE).await;
    assert_eq!(kept(app).await, ["msg_0", "msg_1"]);
    app.client.deliver(DELETED).await;
    assert_eq!(kept(app).await, ["msg_1"]);
    app.client.deliver(UPDATED).await;
    assert_eq!(kept(app).await, ["msg_1"], "what comes late about a deleted user is not kept either");
    assert_eq!(
        app.store.journal().count(&Which::default()).await.unwrap(),
        4,
        "that it came is known for good"
    );
}

on_both_databases!(a_deletion_clears_its_users_payloads_and_no_others);

async fn what_could_not_be_understood_is_forgotten_with_its_user_too(app: &TestApp) {
    let unreadable = CREATED.replace("\"Ada\"", "7");
    assert_eq!(app.client.deliver(unreadable.clone()).await, "200 parked");
    assert_eq!(kept(app).await, ["msg_0"]);
    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    assert_eq!(app.client.deliver(unreadable).await, "200 parked");
    assert!(kept(app).await.is_empty(), "before the deletion and after it");
}

on_both_databases!(what_could_not_be_understood_is_forgotten_with_its_user_too);

async fn payloads_older_than_the_retention_go_and_repetitions_are_still_known(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.clock.advance(60 * DAY);
    app.client.deliver(CREATED_GOOGLE).await;
    app.clock.advance(31 * DAY);
    let stop = CancellationToken::new();
    assert_eq!(sweep(&app.store, &app.clock, 90 * DAY, &stop).await.unwrap(), 1);
    assert_eq!(kept(app).await, ["msg_1"]);
    assert_eq!(sweep(&app.store, &app.clock, 90 * DAY, &stop).await.unwrap(), 0);
    let again = app.client.send(app.client.signed_as("msg_0", CREATED)).await;
    assert_eq!(again.brief(), "200 duplicate");
    assert_eq!(app.client.rows().await.len(), 2);
}

on_both_databases!(payloads_older_than_the_retention_go_and_repetitions_are_still_known);
