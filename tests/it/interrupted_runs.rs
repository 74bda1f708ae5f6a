//! `usersync backfill` and `usersync reconcile` that are stopped: the next call continues where they stopped,
//! immediately after Ctrl-C, and after the lease has expired after a kill.

use serde_json::{Value, json};

use crate::backfill::{auth0, backfill, clerk, number};
use crate::reconcile::{matching_table, reconcile, sql};
use crate::support::binary::{Process, ProgramFixture};
use crate::support::directory::{FakeDirectory, Fault, auth0_users, clerk_users};

const USERS: &str = "SELECT count(*) FROM users";
const HELD: &str = "SELECT count(*) FROM runs WHERE holder IS NOT NULL";

/// A backfill that waits for its third page, and how many rows are written.
async fn in_the_middle(home: &ProgramFixture, directory: &FakeDirectory) -> (Process, i64) {
    clerk(home, directory);
    // The number of users, and two pages.
    directory.site().answers_left = Some(3);
    let program = home.start(&["backfill", "--json"]);
    directory.wait_for("starting_after", 2).await;
    let written = loop {
        let written = number(home, USERS).await;
        if written == 1000 {
            break written;
        }
    };
    (program, written)
}

/// Continues the run: the rest is read, and nothing that was read before.
async fn continue_run(home: &ProgramFixture, directory: &FakeDirectory) -> String {
    directory.site().answers_left = None;
    directory.site().requests.clear();
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(2600)), "{said:?}");
    assert_eq!(number(home, USERS).await, 2600);
    assert_eq!(directory.count("/users?"), 5, "1600 users, and the empty page");
    assert_eq!(directory.count("/users/count"), 0, "it does not start from the beginning");
    assert!(said.stderr.contains("continuing after 1000 users"), "{said:?}");
    said.stderr
}

async fn after_a_signal_the_next_call_continues_immediately(home: &mut ProgramFixture) {
    for signal in ["INT", "TERM"] {
        let directory = FakeDirectory::start(clerk_users(2600));
        let (program, _) = in_the_middle(home, &directory).await;
        program.signal(signal);
        let said = program.end().await;
        assert_eq!(said.code, Some(1), "{said:?}");
        let summary: Value = serde_json::from_str(said.stdout.trim()).unwrap();
        assert_eq!((&summary["complete"], &summary["seen"]), (&json!(false), &json!(1000)), "{said:?}");
        assert!(
            said.stderr.contains("interrupted") && said.stderr.contains("run the command again"),
            "{said:?}"
        );
        assert_eq!(number(home, HELD).await, 0, "the run was released");
        let stderr = continue_run(home, &directory).await;
        assert!(!stderr.contains("another process"), "{stderr}");
        sql(home, "DELETE FROM users").await;
        sql(home, "DELETE FROM journal").await;
        sql(home, "DELETE FROM runs").await;
    }
}

on_both_databases!(after_a_signal_the_next_call_continues_immediately, with ProgramFixture);

async fn after_a_kill_the_next_call_waits_for_the_lease_and_continues(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(2600));
    let (program, _) = in_the_middle(home, &directory).await;
    // It has no time to give anything back.
    drop(program);
    assert_eq!(number(home, HELD).await, 1);
    let stderr = continue_run(home, &directory).await;
    assert!(stderr.contains("another process has a lease on this source until"), "{stderr}");
}

on_both_databases!(after_a_kill_the_next_call_waits_for_the_lease_and_continues, with ProgramFixture);

async fn after_a_permanent_failure_the_next_call_continues(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(2600));
    clerk(home, &directory);
    directory.site().answers_left = Some(3);
    let program = home.start(&["backfill", "--json"]);
    directory.wait_for("starting_after", 2).await;
    // One that is not tried again.
    directory.site().faults = [Fault::Status(403, None)].into();
    directory.site().answers_left = None;
    let said = program.end().await;
    assert_eq!(said.code, Some(1), "{said:?}");
    continue_run(home, &directory).await;
}

on_both_databases!(after_a_permanent_failure_the_next_call_continues, with ProgramFixture);

async fn one_process_at_a_time_reads_a_source(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(2600));
    let (first, _) = in_the_middle(home, &directory).await;
    for command in ["backfill", "reconcile"] {
        let second = home.run(&[command]).await;
        let expected = if command == "backfill" { 1 } else { 3 };
        assert_eq!(second.code, Some(expected), "{second:?}");
        assert!(second.stderr.contains("another process is reading"), "{second:?}");
    }
    directory.site().answers_left = None;
    let first = first.end().await;
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(number(home, USERS).await, 2600);
}

on_both_databases!(one_process_at_a_time_reads_a_source, with ProgramFixture);

async fn of_two_that_begin_together_one_reads(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(1200));
    clerk(home, &directory);
    assert_eq!(home.run(&["migrate"]).await.code, Some(0));
    directory.site().answers_left = Some(0);
    let both = [(); 2].map(|()| home.start(&["backfill", "--json"]));
    directory.wait_for("/users", 1).await;
    // A process that waits for the lease sees that it is renewed.
    let mut both = both.map(Some);
    let refused = loop {
        match both.iter_mut().find_map(|one| one.take_if(Process::has_ended)) {
            Some(ended) => break ended.end().await,
            None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    };
    assert!(refused.stderr.contains("another process is reading"), "{refused:?}");
    directory.site().answers_left = None;
    let reader = both.into_iter().flatten().next().unwrap().end().await;
    assert_eq!(reader.code, Some(0), "{reader:?}");
    assert_eq!(number(home, "SELECT count(*) FROM runs").await, 1);
}

on_both_databases!(of_two_that_begin_together_one_reads, with ProgramFixture);

async fn a_reconciliation_continues_where_it_stopped_with_its_findings(home: &mut ProgramFixture) {
    let directory = matching_table(home, 2600).await;
    sql(home, "DELETE FROM users WHERE external_id IN ('user_00003', 'user_02003')").await;
    sql(home, "UPDATE users SET email = 'wrong@example.com' WHERE external_id = 'user_00020'").await;
    directory.site().users.retain(|user| user["id"] != "user_00030");
    let stop = async |arguments: &[&str], signal: &str| {
        directory.site().requests.clear();
        directory.site().answers_left = Some(3);
        let program = home.start(&[&["reconcile", "--json"], arguments].concat());
        directory.wait_for("starting_after", 2).await;
        while number(home, "SELECT count(*) FROM run_users").await < 1000 {}
        program.signal(signal);
        let said = program.end().await;
        assert_eq!(number(home, USERS).await, 2598, "a report changes nothing");
        directory.site().answers_left = None;
        directory.site().requests.clear();
        said
    };
    let said = stop(&[], "INT").await;
    assert_eq!(said.code, Some(3), "{said:?}");
    let (said, report) = reconcile(home, &[]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("continuing after 1000 users"), "{said:?}");
    assert_eq!(directory.count("/users?"), 5, "what was read is not read again");
    assert_eq!(report["missing"], json!(["user_00003", "user_02003"]), "{report}");
    assert_eq!(report["different"], json!([{"externalId": "user_00020", "fields": ["email"]}]));
    assert_eq!((&report["extra"], &report["provider"]), (&json!(["user_00030"]), &json!(2599)));
    assert_eq!(number(home, "SELECT count(*) FROM run_users").await, 0);

    // One that only reports is not continued by one that repairs: it would leave out what was read before.
    stop(&[], "KILL").await;
    let (said, report) = reconcile(home, &["--repair", "--delete"]).await;
    assert_eq!((said.code, &report["repaired"]), (Some(0), &json!(3)), "{said:?}");
    assert!(!said.stderr.contains("continuing"), "{said:?}");
    assert_eq!((number(home, USERS).await, &report["deleted"]), (2599, &json!(1)));
}

on_both_databases!(a_reconciliation_continues_where_it_stopped_with_its_findings, with ProgramFixture);

async fn after_a_failed_export_the_next_call_requests_another_one(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(auth0_users(30));
    auth0(home, &directory);
    directory.site().failed_jobs = 1;
    let (said, _) = backfill(home, &[]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let failed = "Auth0's export failed (no connection); the next call requests another one";
    assert!(said.stderr.contains(failed), "{said:?}");
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(30)), "{said:?}");
    let told = "auth0: Auth0's export failed (no connection); requesting another one";
    assert!(said.stderr.contains(told), "{said:?}");
    assert_eq!((number(home, USERS).await, directory.site().jobs), (30, 2));
}

on_both_databases!(after_a_failed_export_the_next_call_requests_another_one, with ProgramFixture);

#[tokio::test]
async fn an_export_that_was_deleted_is_requested_again() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(auth0_users(30));
    auth0(&home, &directory);
    directory.site().deleted_jobs = 1;
    let (said, summary) = backfill(&home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(30)), "{said:?}");
    assert!(said.stderr.contains("Auth0 no longer has the export; requesting another one"), "{said:?}");
}
