//! Replay of event files, parked deliveries and the journal; and the rebuild of the users table.

use sea_orm::{ConnectionTrait, Database};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use usersync::internals::domain::Outcome;
use usersync::internals::store::Which;
use usersync::internals::sync::{Rebuilt, Replayed};

use crate::support::app::TestApp;
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, CREATED_PHONE_ONLY, DELETED, UPDATED};

/// Runs a statement behind the service's back.
async fn sql(app: &TestApp, statement: &str) -> u64 {
    let database = Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    let affected = database.execute_unprepared(statement).await.unwrap().rows_affected();
    database.close().await.unwrap();
    affected
}

/// How many replayed deliveries had an outcome.
fn count(replayed: &Replayed, outcome: Outcome) -> u64 {
    replayed.outcomes.get(outcome.as_str()).copied().unwrap_or_default()
}

fn parked() -> Which {
    Which { parked: true, ..Which::default() }
}

async fn an_event_file_is_processed_once(app: &TestApp) {
    let sources = app.sources();
    let clerk = sources.get("clerk").unwrap();
    let event = |body: &str| body.as_bytes().to_vec();
    assert_eq!(app.replay().event(clerk, event(CREATED)).await.unwrap(), Outcome::Applied);
    assert_eq!(app.replay().event(clerk, event(CREATED)).await.unwrap(), Outcome::Duplicate);
    assert_eq!(app.replay().event(clerk, event(UPDATED)).await.unwrap(), Outcome::Applied);
    assert_eq!(
        app.replay().event(clerk, event(r#"{"type":"session.created"}"#)).await.unwrap(),
        Outcome::Ignored
    );
    assert!(app.replay().event(clerk, event("{")).await.is_err());
    assert_eq!(app.client.rows().await[0]["name"], "Ada King");
}

on_both_databases!(an_event_file_is_processed_once);

async fn a_parked_delivery_is_applied_once_it_can_be_read(app: &TestApp) {
    app.client.deliver(r#"{"type":"user.created","data":{}}"#).await;
    app.client.deliver(r#"{"type":"user.created","data":{"id":""}}"#).await;
    app.client.deliver(CREATED_GOOGLE).await;
    let replayed = app.replay().journal(&parked(), |_| ()).await.unwrap();
    assert_eq!(count(&replayed, Outcome::Parked), 2, "they still cannot be read");
    // As if a later version could read one of them: its payload is replaced by a readable event.
    let readable = CREATED.replace('\'', "''");
    let changed =
        sql(app, &format!("UPDATE journal SET payload = '{readable}' WHERE message_id = 'msg_0'")).await;
    assert_eq!(changed, 1);
    let replayed = app.replay().journal(&parked(), |_| ()).await.unwrap();
    assert_eq!((count(&replayed, Outcome::Applied), count(&replayed, Outcome::Parked)), (1, 1));
    assert_eq!(app.client.rows().await.len(), 2);
    assert_eq!(app.store.journal().count(&parked()).await.unwrap(), 1);
    let entry = app.store.journal().page(&parked(), None, 10).await.unwrap().remove(0);
    assert_eq!(
        entry.reason.as_deref(),
        Some("the event has no time: neither `data.updated_at` nor `timestamp` is set")
    );
    app.expect_parked(1);
}

on_both_databases!(a_parked_delivery_is_applied_once_it_can_be_read);

async fn replaying_the_journal_changes_no_correct_row(app: &TestApp) {
    for body in [CREATED, UPDATED, CREATED_GOOGLE, CREATED_PHONE_ONLY] {
        app.client.deliver(body).await;
    }
    let before = app.client.rows().await;
    let replayed = app.replay().journal(&Which::default(), |_| ()).await.unwrap();
    assert_eq!(count(&replayed, Outcome::Stale), 4);
    assert_eq!(app.client.rows().await, before);
    let later =
        Which { since: Some(app.clock.now().plus(std::time::Duration::from_secs(1))), ..Which::default() };
    assert_eq!(app.replay().journal(&later, |_| ()).await.unwrap().outcomes.len(), 0);
}

on_both_databases!(replaying_the_journal_changes_no_correct_row);

async fn a_rebuild_of_a_correct_table_changes_nothing(app: &TestApp) {
    for body in [CREATED, UPDATED, CREATED_GOOGLE, CREATED_PHONE_ONLY] {
        app.client.deliver(body).await;
    }
    let before = app.client.rows().await;
    app.clock.advance(std::time::Duration::from_mins(1));
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!(rebuilt, Rebuilt { same: 3, corrected: 0, incomplete: 0 });
    assert_eq!(app.client.rows().await, before, "not even syncedAt");
}

on_both_databases!(a_rebuild_of_a_correct_table_changes_nothing);

async fn a_rebuild_corrects_a_row_and_keeps_its_id(app: &TestApp) {
    app.client.deliver(CREATED).await;
    let id = app.client.rows().await[0]["id"].clone();
    // As if another version of the program had applied only the first of two deliveries.
    let record: Value =
        json!({"provider": {"created_at": null, "updated_at": "1970-01-01T00:00:00Z", "facts": {}}});
    assert_eq!(sql(app, &format!("UPDATE users SET name = 'Wrong', record = '{record}'")).await, 1);
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!(rebuilt, Rebuilt { same: 0, corrected: 1, incomplete: 0 });
    let row = &app.client.rows().await[0];
    assert_eq!((&row["id"], &row["name"]), (&id, &json!("Ada Lovelace")));
}

on_both_databases!(a_rebuild_corrects_a_row_and_keeps_its_id);

async fn a_rebuild_restores_a_lost_row_and_keeps_a_deleted_user_deleted(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(CREATED_GOOGLE).await;
    app.client.deliver(DELETED).await;
    assert_eq!(sql(app, "DELETE FROM users").await, 1);
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!(rebuilt, Rebuilt { same: 1, corrected: 1, incomplete: 0 });
    let rows = app.client.rows().await;
    assert_eq!((rows.len(), &rows[0]["name"]), (1, &json!("Grace Hopper")));
    let gone = app.client.get_as(&app.token(ADA), "/v1/users/current").await;
    assert_eq!(gone.brief(), "410 user_deleted");
}

on_both_databases!(a_rebuild_restores_a_lost_row_and_keeps_a_deleted_user_deleted);

async fn a_rebuild_skips_a_user_whose_journal_is_incomplete(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(UPDATED).await;
    assert_eq!(sql(app, "UPDATE journal SET payload = NULL WHERE message_id = 'msg_1'").await, 1);
    let before = app.client.rows().await;
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!(rebuilt, Rebuilt { same: 0, corrected: 0, incomplete: 1 });
    assert_eq!(app.client.rows().await, before);
}

on_both_databases!(a_rebuild_skips_a_user_whose_journal_is_incomplete);

async fn a_rebuild_corrects_a_row_that_was_changed_by_hand(app: &TestApp) {
    app.client.deliver(CREATED).await;
    app.client.deliver(CREATED_GOOGLE).await;
    let before = app.client.rows().await;
    let changed =
        sql(app, "UPDATE users SET name = 'Nobody', email = NULL WHERE name = 'Ada Lovelace'").await;
    assert_eq!(changed, 1);
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!((rebuilt.same, rebuilt.corrected), (1, 1));
    let after = app.client.rows().await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(
            (&before["id"], &before["name"], &before["email"]),
            (&after["id"], &after["name"], &after["email"])
        );
    }
    let again = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!((again.same, again.corrected), (2, 0));
}

on_both_databases!(a_rebuild_corrects_a_row_that_was_changed_by_hand);

/// A sequence is not rolled back, so each of these rows fails the given number of times, as if another transaction had
/// won.
const CONFLICTS: &str = "
    CREATE SEQUENCE conflicts;
    CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('conflicts') % 3 <> 0 THEN
            RAISE EXCEPTION 'as told' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER meet BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION meet();";

#[tokio::test]
async fn a_delivery_a_tokens_claims_and_a_rebuild_are_tried_again_where_they_meet_another_transaction() {
    let Some(app) = TestApp::on_postgres(|_| ()).await else { return };
    sql(&app, CONFLICTS).await;
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let stored = app.client.request(reqwest::Method::POST, "/v1/users/current");
    let stored = stored.bearer_auth(app.token("user_claimed")).send().await.unwrap();
    assert_eq!(stored.status(), 201);
    assert_eq!(sql(&app, "UPDATE users SET name = 'Wrong' WHERE name = 'Ada Lovelace'").await, 1);
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!(rebuilt, Rebuilt { same: 0, corrected: 1, incomplete: 0 });
    assert_eq!(app.client.rows().await[0]["name"], "Ada Lovelace");
    app.finish().await;
}
