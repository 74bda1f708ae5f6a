//! A signed Clerk event makes a row, and later events change it.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement, TransactionTrait as _};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::app::{OLD_SECRET, TestApp};
use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::{
    ADA, CREATED, CREATED_GOOGLE, CREATED_PHONE_ONLY, DELETED, DELETED_EXTERNAL_ID, GRACE, UPDATED,
};
use crate::support::client::{Answer, SignedRequest, signed_at};

async fn a_created_user_makes_a_row_and_the_answer_has_the_message_id(app: &TestApp) {
    let answer = app.client.send(app.client.signed_as("msg_first", CREATED)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"outcome": "applied", "messageId": "msg_first"}));

    let rows = app.client.rows().await;
    assert_eq!(rows.len(), 1);
    let mut ada = rows[0].clone();
    let id = ada["id"].take();
    assert_eq!(id.as_str().map(str::len), Some(36));
    assert_eq!(
        ada,
        json!({
            "id": null, "source": "clerk", "externalId": ADA,
            "name": "Ada Lovelace", "givenName": "Ada", "familyName": "Lovelace", "nickname": "ada",
            "email": "ada@example.com", "emailVerified": true,
            "phoneNumber": null, "phoneNumberVerified": null,
            "pictureUrl": "https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCJ9", "metadata": {},
            "createdAt": "2026-01-01T12:00:00Z", "updatedAt": "2026-01-01T12:00:00Z",
            "syncedAt": "2026-01-04T12:00:00Z",
        })
    );
}

on_both_databases!(a_created_user_makes_a_row_and_the_answer_has_the_message_id);

async fn an_update_changes_the_row_and_keeps_its_id(app: &TestApp) {
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let before = app.client.rows().await;
    assert_eq!(app.client.deliver(UPDATED).await, "200 applied");
    let after = app.client.rows().await;
    assert_eq!(after.len(), 1);
    assert_eq!(after[0]["id"], before[0]["id"]);
    assert_eq!(after[0]["name"], "Ada King");
    assert_eq!(after[0]["email"], "ada.king@example.com", "the primary, not the first");
    assert_eq!(after[0]["metadata"], json!({"role": "admin"}));
    assert_eq!(after[0]["updatedAt"], "2026-01-02T12:00:00Z");
}

on_both_databases!(an_update_changes_the_row_and_keeps_its_id);

async fn an_update_before_its_create_inserts_a_row_and_the_late_create_is_stale(app: &TestApp) {
    assert_eq!(app.client.deliver(UPDATED).await, "200 applied");
    assert_eq!(app.client.deliver(CREATED).await, "200 stale");
    assert_eq!(app.client.rows().await[0]["name"], "Ada King");
}

on_both_databases!(an_update_before_its_create_inserts_a_row_and_the_late_create_is_stale);

async fn a_deleted_user_stays_deleted_whatever_arrives_later(app: &TestApp) {
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    assert_eq!(app.client.deliver(DELETED).await, "200 applied");
    assert!(app.client.rows().await.is_empty());
    assert_eq!(app.client.deliver(UPDATED).await, "200 stale");
    assert_eq!(app.client.deliver(CREATED).await, "200 stale");
    assert_eq!(app.client.deliver(DELETED).await, "200 stale");
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_deleted_user_stays_deleted_whatever_arrives_later);

/// What happens if a reader follows our page on Clerk and then sends the example again.
async fn the_log_shows_why_a_delivery_is_stale(home: &mut ProgramFixture) {
    let service = home.serve().await;
    let client = home.client(&service).await;
    for (body, expected) in [
        (UPDATED, "200 applied"),
        (CREATED, "200 stale"),
        (DELETED, "200 applied"),
        (CREATED, "200 stale"),
        (DELETED, "200 stale"),
    ] {
        assert_eq!(client.deliver(body).await, expected);
    }
    let log = service.stop().await.stderr;
    let stale: Vec<&str> = log.lines().filter(|line| line.contains("stale")).collect();
    let reasons = [
        "the stored data is the same or newer",
        "the user was deleted before",
        "the user was deleted before",
    ];
    assert_eq!(stale.len(), reasons.len(), "{log}");
    for (line, reason) in stale.iter().zip(reasons) {
        assert!(line.contains(reason), "{reason:?} is not in {line}");
    }
}

on_both_databases!(the_log_shows_why_a_delivery_is_stale, with ProgramFixture);

async fn the_journal_has_every_outcome_and_no_payload_of_an_ended_lifetime(app: &TestApp) {
    let entry = |id: &str, outcome: &str, payload| (id.to_owned(), outcome.to_owned(), payload);
    for (id, fixture) in [("msg_1", UPDATED), ("msg_2", CREATED)] {
        app.client.send(app.client.signed_as(id, fixture)).await;
    }
    assert_eq!(app.journal().await, [entry("msg_1", "applied", true), entry("msg_2", "stale", true)]);

    for (id, fixture) in [("msg_3", DELETED), ("msg_4", UPDATED), ("msg_4", CREATED)] {
        app.client.send(app.client.signed_as(id, fixture)).await;
    }
    assert_eq!(
        app.journal().await,
        [
            entry("msg_1", "applied", false),
            entry("msg_2", "stale", false),
            entry("msg_3", "applied", false),
            entry("msg_4", "stale", false),
        ]
    );
}

on_both_databases!(the_journal_has_every_outcome_and_no_payload_of_an_ended_lifetime);

async fn a_deletion_that_arrives_first_leaves_a_tombstone(app: &TestApp) {
    assert_eq!(app.client.deliver(DELETED_EXTERNAL_ID).await, "200 applied");
    assert_eq!(app.client.deliver(CREATED_GOOGLE).await, "200 stale");
    assert!(app.client.rows().await.is_empty());
    let gone = app.client.get_as(&app.token(GRACE), "/v1/users/current").await;
    assert_eq!(gone.brief(), "410 user_deleted");
}

on_both_databases!(a_deletion_that_arrives_first_leaves_a_tombstone);

async fn a_repeated_message_is_a_duplicate(app: &TestApp) {
    for expected in ["200 applied", "200 duplicate", "200 duplicate"] {
        let answer = app.client.send(app.client.signed_as("msg_again", CREATED)).await;
        assert_eq!(answer.brief(), expected);
    }
    // The message id alone decides: a retry has a new signature, and may have another body.
    let answer = app.client.send(app.client.signed_as("msg_again", UPDATED)).await;
    assert_eq!(answer.brief(), "200 duplicate");
    assert_eq!(app.client.rows().await[0]["name"], "Ada Lovelace");
}

on_both_databases!(a_repeated_message_is_a_duplicate);

async fn a_message_that_is_sent_many_times_at_once_is_applied_once(app: &TestApp) {
    let sending = (0..12).map(|_| app.client.send(app.client.signed_as("msg_racing", CREATED)));
    let mut outcomes: Vec<String> =
        futures_util::future::join_all(sending).await.iter().map(Answer::brief).collect();
    outcomes.sort();
    assert_eq!(outcomes[0], "200 applied");
    assert!(outcomes[1..].iter().all(|outcome| outcome == "200 duplicate"), "{outcomes:?}");
}

on_both_databases!(a_message_that_is_sent_many_times_at_once_is_applied_once);

async fn an_event_that_is_not_about_users_is_ignored(app: &TestApp) {
    for kind in ["session.created", "organization.updated", "user.invented_tomorrow"] {
        let event = json!({"type": kind, "object": "event", "timestamp": 1, "data": {"id": "x"}});
        assert_eq!(app.client.deliver(event.to_string()).await, "200 ignored", "{kind}");
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(an_event_that_is_not_about_users_is_ignored);

async fn a_user_without_email_has_none_and_no_name_is_invented(app: &TestApp) {
    assert_eq!(app.client.deliver(CREATED_PHONE_ONLY).await, "200 applied");
    let row = &app.client.rows().await[0];
    for absent in ["name", "givenName", "familyName", "nickname", "email", "emailVerified"] {
        assert_eq!(row[absent], Value::Null, "{absent}");
    }
    assert_eq!(row["phoneNumber"], "+15555550100");
    assert_eq!(row["phoneNumberVerified"], true);
}

on_both_databases!(a_user_without_email_has_none_and_no_name_is_invented);

async fn an_explicit_null_clears_a_field(app: &TestApp) {
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let mut event: Value = serde_json::from_str(UPDATED).unwrap();
    for key in ["first_name", "last_name", "username", "primary_email_address_id"] {
        event["data"][key] = Value::Null;
    }
    assert_eq!(app.client.deliver(event.to_string()).await, "200 applied");
    let row = &app.client.rows().await[0];
    for cleared in ["name", "givenName", "familyName", "nickname", "email", "emailVerified"] {
        assert_eq!(row[cleared], Value::Null, "{cleared}");
    }
}

on_both_databases!(an_explicit_null_clears_a_field);

async fn two_secrets_are_accepted_during_rotation(app: &TestApp) {
    let now = app.clock.now().as_seconds();
    let wire = signed_at("msg_old_secret", now, OLD_SECRET, CREATED);
    assert_eq!(app.client.send(wire).await.brief(), "200 applied");
    assert_eq!(app.client.deliver(UPDATED).await, "200 applied");
}

on_both_databases!(two_secrets_are_accepted_during_rotation);

async fn the_headers_of_standard_webhooks_are_accepted_like_those_of_svix(app: &TestApp) {
    let mut wire = app.client.signed(CREATED);
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    for (header, name) in wire.headers.iter_mut().zip(names) {
        header.0 = name;
    }
    assert_eq!(app.client.send(wire).await.brief(), "200 applied");
}

on_both_databases!(the_headers_of_standard_webhooks_are_accepted_like_those_of_svix);

async fn a_verified_delivery_that_cannot_be_read_is_parked(app: &TestApp) {
    let mut without_id: Value = serde_json::from_str(CREATED).unwrap();
    without_id["data"].as_object_mut().unwrap().remove("id");
    let mut impossible: Value = serde_json::from_str(CREATED).unwrap();
    impossible["data"]["first_name"] = json!(7);
    let nul = CREATED.replace(ADA, "user_\\u0000");
    let deep = format!(r#"{{"type":"user.created","data":{}1{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let bodies = [
        without_id.to_string(),
        impossible.to_string(),
        nul,
        deep,
        CREATED.replace(ADA, ""),
        CREATED.replace(ADA, &"x".repeat(10_000)),
        r#"{"type":"user.deleted","data":{"deleted":true}}"#.to_owned(),
        r#"{"type":"user.created","data":null}"#.to_owned(),
        r#"{"type":"user.created","data":{"id":"user_1","updated_at":"soon"}}"#.to_owned(),
        r#"{"type":"user.created","data":{"id":"user_1"}}"#.to_owned(),
        r#"{"data":{}}"#.to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        r#""\ud800""#.to_owned(),
    ];
    app.expect_parked(bodies.len() as u64);
    for body in bodies {
        let start: String = body.chars().take(60).collect();
        assert_eq!(app.client.deliver(body).await, "200 parked", "{start}");
    }
    assert!(app.client.rows().await.is_empty());
}

on_both_databases!(a_verified_delivery_that_cannot_be_read_is_parked);

async fn nul_characters_are_removed_from_profile_fields(app: &TestApp) {
    let body = CREATED.replace("Lovelace", "Love\\u0000lace").replace("\"theme\"", "\"th\\u0000eme\"");
    assert_eq!(app.client.deliver(body).await, "200 applied");
    assert_eq!(app.client.rows().await[0]["name"], "Ada Lovelace");
}

on_both_databases!(nul_characters_are_removed_from_profile_fields);

async fn a_delivery_is_kept_and_counted_even_if_its_sender_disconnects(app: &TestApp) {
    let SignedRequest { path, headers, body } = app.client.signed(CREATED);
    let address = app.client.url("").replace("http://", "");
    let mut sender = TcpStream::connect(&address).unwrap();
    write!(sender, "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n", body.len()).unwrap();
    for (name, value) in headers {
        write!(sender, "{name}: {value}\r\n").unwrap();
    }
    sender.write_all(&[b"\r\n", body.as_slice()].concat()).unwrap();
    drop(sender);

    let counted = r#"usersync_deliveries_total{source="clerk",outcome="applied"} 1"#;
    let started = Instant::now();
    while !app.client.get("/metrics").await.text.contains(counted) {
        assert!(started.elapsed() < Duration::from_secs(10), "it is not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(app.client.rows().await.len(), 1);
}

on_both_databases!(a_delivery_is_kept_and_counted_even_if_its_sender_disconnects);

/// A commit begins the next transaction only if deliveries are waiting.
#[tokio::test]
async fn a_batch_of_deliveries_leaves_no_transaction_open() {
    let Some(app) = TestApp::on_postgres(|_| ()).await else { return };
    let sending =
        (0..100).map(|number| app.client.deliver(CREATED_GOOGLE.replace(GRACE, &format!("user_{number}"))));
    for answer in futures_util::future::join_all(sending).await {
        assert_eq!(answer, "200 applied");
    }
    let url = app.config.database.url.expose_secret();
    let database = sea_orm::Database::connect(url).await.unwrap();
    let open = "SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let open = Statement::from_string(DbBackend::Postgres, open);
    let answered = Instant::now();
    while !database.query_all_raw(open.clone()).await.unwrap().is_empty() {
        assert!(answered.elapsed() < Duration::from_secs(5), "a transaction is still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    database.close().await.unwrap();
    app.finish().await;
}

/// A long transaction of an application holds a lock on the row.
#[tokio::test]
async fn a_user_locked_by_another_transaction_does_not_delay_other_users() {
    let Some(app) = TestApp::on_postgres(|_| ()).await else { return };
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
    let database = sea_orm::Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    let holding = database.begin().await.unwrap();
    holding.execute_unprepared("SELECT 1 FROM users FOR UPDATE").await.unwrap();
    let started = Instant::now();
    let sending = (0..40).map(|number| {
        let event = if number % 4 == 0 {
            UPDATED.to_owned()
        } else {
            CREATED_GOOGLE.replace(GRACE, &format!("user_{number}"))
        };
        app.client.deliver(event)
    });
    for (number, answer) in futures_util::future::join_all(sending).await.into_iter().enumerate() {
        assert_eq!(
            answer,
            if number % 4 == 0 { "503 database_unavailable" } else { "200 applied" },
            "{number}"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    holding.rollback().await.unwrap();
    assert_eq!(app.client.deliver(UPDATED).await, "200 applied");
    database.close().await.unwrap();
    app.finish().await;
}
