//! Payloads are erased when their user is deleted or when they are older than the retention. Ids, stamps and
//! tombstones stay.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, Statement};
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;
use usersync::internals::store::{LEASE, Which};
use usersync::internals::sync::{Swept, sweep};

use crate::support::app::TestApp;
use crate::support::client::fixture::{CREATED, CREATED_GOOGLE, CREATED_PHONE_ONLY, DELETED, UPDATED};

const DAY: Duration = Duration::from_hours(24);

/// The messages whose payloads are stored.
async fn stored_payloads(app: &TestApp) -> Vec<String> {
    let journal = app.store.journal().page(&Which::default(), None, 100).await.unwrap();
    journal.into_iter().filter(|entry| entry.payload.is_some()).map(|entry| entry.key.message_id).collect()
}

/// Waits for the service's own sweep, at its start. The next one is in an hour.
async fn first_sweep_is_over(app: &TestApp) {
    let database = Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    let sql = "SELECT name FROM leases WHERE name = 'sweep' AND holder IS NULL";
    let statement = Statement::from_string(database.get_database_backend(), sql);
    while database.query_one_raw(statement.clone()).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    database.close().await.unwrap();
}

async fn sweep_once(app: &TestApp) -> Swept {
    sweep(&app.store, &app.clock, 90 * DAY, &CancellationToken::new()).await.unwrap()
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
    first_sweep_is_over(app).await;
    assert_eq!(sweep_once(app).await, Swept::Cleared(1));
    assert_eq!(stored_payloads(app).await, ["msg_1"]);
    assert_eq!(sweep_once(app).await, Swept::Cleared(0));
    let again = app.client.send(app.client.signed_as("msg_0", CREATED)).await;
    assert_eq!(again.brief(), "200 duplicate");
    assert_eq!(app.client.rows().await.len(), 2);
}

on_both_databases!(payloads_older_than_the_retention_are_erased_and_duplicates_are_still_recognised);

async fn one_process_sweeps_at_a_time_and_another_takes_over_after_a_kill(app: &TestApp) {
    first_sweep_is_over(app).await;
    for body in [CREATED, CREATED_GOOGLE, CREATED_PHONE_ONLY] {
        app.client.deliver(body).await;
        app.clock.advance(DAY);
    }
    let second_was_received_at = app.clock.now().minus(2 * DAY);
    app.clock.advance(90 * DAY);
    let leases = app.store.leases();
    let taken = leases.take("sweep", "another", app.clock.now()).await.unwrap().unwrap();
    assert_eq!(taken.position, None);
    let position = second_was_received_at.to_string();
    assert!(leases.renew("sweep", "another", Some(&position), app.clock.now()).await.unwrap());
    assert_eq!(sweep_once(app).await, Swept::HeldElsewhere);
    assert_eq!(stored_payloads(app).await.len(), 3);
    // The other one gives no sign of life.
    app.clock.advance(LEASE);
    assert_eq!(sweep_once(app).await, Swept::Cleared(2));
    assert_eq!(stored_payloads(app).await, ["msg_0"], "it went on from where the other one was");
    assert!(!leases.renew("sweep", "another", None, app.clock.now()).await.unwrap());
    // It came to the end, so the next one begins at the beginning.
    assert_eq!(sweep_once(app).await, Swept::Cleared(1));
}

on_both_databases!(one_process_sweeps_at_a_time_and_another_takes_over_after_a_kill);

async fn a_step_of_the_sweep_begins_where_the_last_one_ended(app: &TestApp) {
    for body in [CREATED, CREATED_GOOGLE, CREATED_PHONE_ONLY] {
        app.client.deliver(body).await;
        app.clock.advance(DAY);
    }
    app.clock.advance(90 * DAY);
    let before = app.clock.now().minus(90 * DAY);
    let journal = app.store.journal();
    let first = journal.erase_payloads_before(None, before, 1).await.unwrap();
    assert_eq!(stored_payloads(app).await, ["msg_1", "msg_2"]);
    // What is before that point is not looked at again.
    let second = journal.erase_payloads_before(first.latest, before, 1).await.unwrap();
    assert_eq!((first.payloads, second.payloads, second.latest > first.latest), (1, 1, true));
    assert_eq!(stored_payloads(app).await, ["msg_2"]);
    let later = second.latest.map(|latest| latest.plus(3 * DAY));
    let rest = journal.erase_payloads_before(later, before, 10).await.unwrap();
    assert_eq!((rest.payloads, rest.latest), (0, None));
}

on_both_databases!(a_step_of_the_sweep_begins_where_the_last_one_ended);
