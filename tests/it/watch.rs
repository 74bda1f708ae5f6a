//! The watch in `serve`: its requests to providers, the states that it reports, and what it never does.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::backfill::{backfill, clerk, configure, number};
use crate::reconcile::reconcile;
use crate::support::binary::{MAX_STOP_TIME, ProgramFixture};
use crate::support::client::fixture::CREATED;
use crate::support::client::{answer, signed_at};
use crate::support::directory::{FakeDirectory, Fault, clerk_users, workos_users};
use crate::support::watching::{operator, until};

const WRONG_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

async fn a_source_has_these_members_in_this_order(home: &mut ProgramFixture) {
    let service = home.serve().await;
    let client = operator(home, &service).await;
    let listed = client.get_as(client.service_key(), "/v1/sources").await;
    let expected = r#"[{"name":"clerk","provider":"clerk","state":"unknown","reasons":["no_delivery_yet"],"webhookPath":"/webhooks/clerk","users":0,"lastDeliveryAt":null,"lastRefusedAt":null,"refusedSince":null,"parked":0,"lastRun":null,"drift":null}]"#;
    assert_eq!(listed.text, expected);
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    assert_eq!(client.deliver("{}").await, "200 parked");
    let source = client.source("clerk").await;
    assert_eq!((&source["state"], &source["reasons"]), (&json!("ok"), &json!([])), "{source}");
    assert_eq!((&source["users"], &source["parked"]), (&json!(1), &json!(1)), "{source}");
    assert!(source["lastDeliveryAt"].is_string(), "{source}");
    service.stop().await;
}

on_both_databases!(a_source_has_these_members_in_this_order, with ProgramFixture);

async fn only_an_admin_key_reads_the_sources_and_only_known_ones_are_checked(home: &mut ProgramFixture) {
    let service = home.serve().await;
    let (reader, operator) = (home.client(&service).await, operator(home, &service).await);
    let check = async |name: &str, key: &str| {
        let path = format!("/v1/sources/{name}/check");
        answer(operator.request(Method::POST, &path).bearer_auth(key)).await.brief()
    };
    let list = reader.get_as(reader.service_key(), "/v1/sources").await;
    assert_eq!(list.brief(), "403 insufficient_scope");
    assert_eq!(check("clerk", reader.service_key()).await, "403 insufficient_scope");
    assert_eq!(reader.get("/v1/sources").await.brief(), "401 invalid_auth_header");
    assert_eq!(check("nobody", operator.service_key()).await, "404 unknown_source");
    assert_eq!(check("clerk", operator.service_key()).await, "200 -");
    let strange = operator.get_as(operator.service_key(), "/v1/sources?x=1").await;
    assert_eq!(strange.brief(), "400 invalid_query");
    service.stop().await;
}

on_both_databases!(only_an_admin_key_reads_the_sources_and_only_known_ones_are_checked, with ProgramFixture);

async fn a_stop_does_not_wait_for_a_provider_that_is_checked(home: &mut ProgramFixture) {
    // The system accepts the connections, and nobody answers.
    let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = provider.local_addr().unwrap();
    configure(home, "clerk", &format!("[sources.api]\nsecret_key = 'sk_live_1'\nbase_url = 'http://{base}'"));
    let service = home.serve().await;
    let client = operator(home, &service).await;
    let check = client.request(Method::POST, "/v1/sources/clerk/check").bearer_auth(client.service_key());
    let checked = tokio::spawn(answer(check));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    service.stop().await;
    assert!(asked.elapsed() < MAX_STOP_TIME, "ended after {:?}", asked.elapsed());
    assert_eq!(checked.await.unwrap().brief(), "200 -");
}

on_both_databases!(a_stop_does_not_wait_for_a_provider_that_is_checked, with ProgramFixture);

async fn a_new_user_without_a_row_is_noticed_and_each_change_of_state_is_logged_once(
    home: &mut ProgramFixture,
) {
    let everybody = clerk_users(4);
    let directory = FakeDirectory::start(everybody[..3].to_vec());
    clerk(home, &directory);
    assert_eq!(backfill(home, &[]).await.0.code, Some(0));
    let service = home.serve().await;
    let client = operator(home, &service).await;
    let source = client.check("clerk").await;
    assert_eq!((&source["state"], &source["drift"]["canary"]), (&json!("ok"), &json!(0)), "{source}");
    assert_eq!((&source["lastRun"]["kind"], &source["lastRun"]["seen"]), (&json!("backfill"), &json!(3)));

    directory.site().users.push(everybody[3].clone());
    let source = client.check("clerk").await;
    assert_eq!((&source["state"], &source["drift"]["canary"]), (&json!("drifting"), &json!(1)), "{source}");
    assert_eq!(source["reasons"], json!(["users_missing"]), "one check with another count is not enough");
    let source = client.check("clerk").await;
    assert_eq!(source["reasons"], json!(["users_missing", "count_differs"]), "{source}");
    let page = client.get("/metrics").await.text;
    for line in [
        r#"usersync_source_drift{source="clerk",kind="canary"} 1"#,
        r#"usersync_source_drift{source="clerk",kind="count"} 1"#,
        r#"usersync_source_state{source="clerk",state="drifting"} 1"#,
        r#"usersync_source_state{source="clerk",state="ok"} 0"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert_eq!(client.get("/readyz").await.status, 200, "a provider takes no replica out of rotation");
    let doctor = home.run(&["doctor"]).await;
    assert!(doctor.stdout.contains("`clerk` is drifting: users_missing"), "{doctor:?}");
    assert!(doctor.stdout.contains("usersync backfill clerk --restart"), "{doctor:?}");

    assert_eq!(backfill(home, &["--restart"]).await.0.code, Some(0));
    let source = client.check("clerk").await;
    assert_eq!((&source["state"], &source["users"]), (&json!("ok"), &json!(4)), "{source}");
    let said = service.stop().await;
    let changes: Vec<&str> =
        said.stderr.lines().filter(|line| line.contains("the state of the source has changed")).collect();
    assert_eq!(changes.len(), 3, "ok, drifting, ok: {changes:?}");
    assert!(changes[1].contains("drifting") && changes[1].contains("users_missing"), "{changes:?}");
}

on_both_databases!(a_new_user_without_a_row_is_noticed_and_each_change_of_state_is_logged_once, with ProgramFixture);

async fn a_comparison_replaces_what_an_earlier_check_has_found(home: &mut ProgramFixture) {
    let everybody = clerk_users(40);
    let directory = FakeDirectory::start(everybody[..30].to_vec());
    clerk(home, &directory);
    assert_eq!(backfill(home, &[]).await.0.code, Some(0));
    let service = home.serve().await;
    let client = operator(home, &service).await;
    directory.site().users = everybody[1..].to_vec();
    client.check("clerk").await;
    let source = client.check("clerk").await;
    let drift = &source["drift"];
    assert_eq!((&drift["canary"], &drift["count"], &drift["missing"]), (&json!(10), &json!(9), &Value::Null));
    assert_eq!(source["state"], "drifting", "{source}");
    assert_eq!(reconcile(home, &["--repair", "--delete"]).await.0.code, Some(0));
    let source = client.source("clerk").await;
    let drift = &source["drift"];
    assert_eq!((&drift["canary"], &drift["count"]), (&Value::Null, &Value::Null), "{source}");
    for kind in ["missing", "different", "extra", "notListed"] {
        assert_eq!(drift[kind], 0, "{source}");
    }
    assert_eq!((&source["state"], &source["users"]), (&json!("ok"), &json!(39)), "{source}");
    let page = client.get("/metrics").await.text;
    let of_kind = |kind: &str| page.lines().find(|line| line.contains(&format!("kind=\"{kind}\"")));
    assert_eq!((of_kind("canary"), of_kind("count")), (None, None));
    assert_eq!(of_kind("missing"), Some(r#"usersync_source_drift{source="clerk",kind="missing"} 0"#));
    let source = client.check("clerk").await;
    let drift = &source["drift"];
    assert_eq!((&drift["canary"], &drift["count"]), (&json!(0), &json!(0)), "{source}");
    service.stop().await;
}

on_both_databases!(a_comparison_replaces_what_an_earlier_check_has_found, with ProgramFixture);

async fn a_source_whose_provider_answers_with_an_error_is_unknown(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(1));
    clerk(home, &directory);
    assert_eq!(backfill(home, &[]).await.0.code, Some(0));
    let service = home.serve().await;
    let client = operator(home, &service).await;
    until("the first check is done", async || client.source("clerk").await["state"] == "ok").await;
    for (fault, reason) in [
        (Fault::Status(401, None), "api_unauthorized"),
        (Fault::Status(403, None), "api_forbidden"),
        (Fault::Status(302, Some(("location", "https://elsewhere.example".to_owned()))), "api_misconfigured"),
        (Fault::Html, "unexpected_answer"),
        (Fault::Json(json!([])), "unexpected_answer"),
        (Fault::Status(500, None), "api_unavailable"),
        (Fault::Cut, "api_unavailable"),
    ] {
        directory.site().faults = vec![fault.clone(); 9].into();
        let source = client.check("clerk").await;
        assert_eq!(source["state"], "unknown", "{fault:?} {source}");
        assert_eq!(source["reasons"], json!([reason]), "{fault:?} {source}");
        directory.site().faults.clear();
    }
    directory.site().said_count = Some(json!("1"));
    let source = client.check("clerk").await;
    assert_eq!(source["reasons"], json!(["unexpected_answer"]), "{source}");
    assert_eq!(backfill(home, &["--restart"]).await.0.code, Some(1));
    assert_eq!(reconcile(home, &[]).await.0.code, Some(3));
    directory.site().said_count = None;
    directory.site().hangs = true;
    let source = client.check("clerk").await;
    assert_eq!(source["reasons"], json!(["api_unavailable"]), "{source}");
    assert_eq!(client.get("/readyz").await.status, 200);
    let said = service.stop().await;
    assert!(!said.stderr.contains("sk_live_1"), "{said:?}");
}

on_both_databases!(a_source_whose_provider_answers_with_an_error_is_unknown, with ProgramFixture);

async fn without_an_api_only_deliveries_are_watched(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(5));
    for api in [
        String::new(),
        format!("[sources.api]\nsecret_key = 'sk'\nbase_url = '{}'\nwatch = false", directory.url("")),
    ] {
        configure(home, "clerk", &api);
        let service = home.serve().await;
        let client = operator(home, &service).await;
        let now = chrono::Utc::now().timestamp();
        for number in 0..3 {
            let wire = signed_at(&format!("msg_{now}_{number}"), now, WRONG_SECRET, CREATED);
            assert_eq!(client.send(wire).await.brief(), "400 invalid_signature");
        }
        let source = client.check("clerk").await;
        assert_eq!(source["state"], "silent", "{source}");
        assert_eq!(source["reasons"].as_array().unwrap().last(), Some(&json!("deliveries_refused")));
        assert!(source["refusedSince"].as_str() <= source["lastRefusedAt"].as_str(), "{source}");
        assert!(client.deliver(CREATED).await.starts_with("200"));
        let source = client.source("clerk").await;
        assert_eq!((&source["state"], &source["refusedSince"]), (&json!("ok"), &Value::Null), "{source}");
        assert!(source["lastRefusedAt"].is_string() && source["drift"].is_null(), "{source}");
        let metric = r#"usersync_source_last_delivery_timestamp_seconds{source="clerk"} 1"#;
        assert!(client.get("/metrics").await.text.contains(metric));
        service.stop().await;
    }
    assert_eq!(directory.site().requests, Vec::<String>::new(), "there are no requests to the provider");
}

on_both_databases!(without_an_api_only_deliveries_are_watched, with ProgramFixture);

#[tokio::test]
async fn the_endpoint_at_the_provider_is_checked() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(workos_users(0));
    let base = directory.url("");
    configure(
        &home,
        "workos",
        &format!("[sources.api]\nsecret_key = 'sk'\nbase_url = '{base}'\nrequests_per_second = 1000"),
    );
    let service = home.serve().await;
    let client = operator(&home, &service).await;
    let endpoint = |status: &str, events: &[&str]| {
        json!({"id": "we_1", "endpoint_url": "https://a.test/webhooks/workos", "status": status,
            "secret": "SENTINEL", "events": events})
    };
    let all = ["user.created", "user.updated", "user.deleted", "connection.activated"];
    for (endpoints, reasons) in [
        (vec![], json!(["endpoint_missing"])),
        (vec![endpoint("disabled", &all)], json!(["endpoint_disabled"])),
        (vec![endpoint("enabled", &all[..2])], json!(["endpoint_events_missing"])),
        (vec![endpoint("enabled", &all)], json!([])),
    ] {
        directory.site().endpoints = endpoints;
        let source = client.check("workos").await;
        assert_eq!(source["reasons"], reasons, "{source}");
        assert_eq!(source["state"], if reasons == json!([]) { "ok" } else { "silent" });
    }
    // WorkOS has no number of users, so only the list itself shows that something else has answered.
    for (list, reasons) in [
        (json!({"data": [null, 1]}), json!(["unexpected_answer"])),
        (json!({"data": [null, {"object": "user", "id": "user_1"}]}), json!([])),
    ] {
        directory.site().faults = vec![Fault::Json(list)].into();
        let source = client.check("workos").await;
        assert_eq!(source["reasons"], reasons, "{source}");
    }
    let said = service.stop().await;
    assert!(!said.stderr.contains("SENTINEL"), "{said:?}");
    assert_eq!(number(&home, "SELECT count(*) FROM watches WHERE checks LIKE '%SENTINEL%'").await, 0);
}

async fn the_table_is_compared_regularly_and_never_repaired(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(3));
    let base = directory.url("");
    let api = |every: &str| {
        format!(
            "[sources.api]\nsecret_key = 'sk'\nbase_url = '{base}'\nrequests_per_second = 1000\nreconcile_every = '{every}'"
        )
    };
    configure(home, "clerk", &api("1s"));
    let service = home.serve().await;
    let client = operator(home, &service).await;
    until("the comparison reports all users", async || client.source("clerk").await["drift"]["missing"] == 3)
        .await;
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 0);
    let metric = r#"usersync_reconcile_last_success_timestamp_seconds{source="clerk"} 1"#;
    assert!(client.get("/metrics").await.text.contains(metric));
    service.stop().await;
    let runs = number(home, "SELECT count(*) FROM runs").await;
    // A run that was interrupted by the shutdown is released.
    assert_eq!(number(home, "SELECT count(*) FROM runs WHERE holder IS NOT NULL").await, 0);
    configure(home, "clerk", &api("off"));
    let service = home.serve().await;
    let client = operator(home, &service).await;
    client.check("clerk").await;
    service.stop().await;
    assert_eq!(number(home, "SELECT count(*) FROM runs").await, runs);
}

on_both_databases!(the_table_is_compared_regularly_and_never_repaired, with ProgramFixture);
