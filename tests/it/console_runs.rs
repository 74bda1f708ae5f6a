//! Runs that are started in the console.

use std::time::Duration;

use serde_json::Value;

use crate::backfill::clerk;
use crate::reconcile::sql;
use crate::support::binary::{Process, ProgramFixture};
use crate::support::console::Visitor;
use crate::support::directory::{FakeDirectory, clerk_users};

/// Logged in to the console of a running program.
pub(crate) async fn visitor(home: &ProgramFixture, service: &Process) -> Visitor {
    let log = service.log();
    let (_, address) = log.split_once("console=").unwrap();
    let visitor = Visitor::new(format!("http://{}", address.split_whitespace().next().unwrap()));
    let key = home.run(&["keys", "create", "operator", "--scope", "admin"]).await.stdout;
    assert_eq!(visitor.log_in(key.trim_end()).await.status, 303);
    visitor
}

/// Logged in to the console of a program whose source is a Clerk with these users.
async fn with_clerk(home: &mut ProgramFixture, users: &[Value]) -> (FakeDirectory, Process, Visitor) {
    let directory = FakeDirectory::start(users.to_vec());
    clerk(home, &directory);
    home.set("USERSYNC_ADMIN__LISTEN", "127.0.0.1:0");
    let service = home.serve().await;
    let visitor = visitor(home, &service).await;
    (directory, service, visitor)
}

async fn until(visitor: &Visitor, text: &str) -> String {
    for _ in 0..1_200 {
        let page = visitor.page("/source?name=clerk").await;
        if page.contains(text) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{text:?} does not come: {}", visitor.page("/source?name=clerk").await);
}

async fn a_backfill_and_a_comparison_are_started_and_watched(home: &mut ProgramFixture) {
    let everybody = clerk_users(4);
    let (directory, service, visitor) = with_clerk(home, &everybody[..3]).await;
    let start = async |kind: &str, option: (&str, &str)| {
        let started = visitor.post("/source/run", &[("name", "clerk"), ("kind", kind), option]).await;
        assert_eq!((started.status, started.header("location")), (303, "/source?name=clerk"));
    };
    start("backfill", ("restart", "")).await;
    let done = until(&visitor, "The backfill is complete.").await;
    assert!(done.contains("<td class=\"number\">3"), "{done}");
    let again = visitor.post("/source/run", &[("name", "clerk"), ("kind", "backfill")]).await;
    assert_eq!(again.status, 409);
    assert!(again.text.contains("The last backfill is complete."), "{}", again.text);
    let audit = visitor.page("/audit").await;
    assert_eq!(audit.matches("<td>start a backfill</td>").count(), 1, "{audit}");
    start("backfill", ("restart", "1")).await;
    until(&visitor, "The backfill is complete.").await;

    directory.site().users.push(everybody[3].clone());
    start("reconcile", ("repair", "")).await;
    let compared = until(&visitor, "The reconciliation is complete.").await;
    assert!(compared.contains("1 at the provider, but no row here"), "{compared}");
    assert!(compared.contains(everybody[3]["id"].as_str().unwrap()), "{compared}");
    start("reconcile", ("repair", "1")).await;
    until(&visitor, "The reconciliation is complete.").await;
    assert_eq!(visitor.get("/source?name=nobody").await.status, 404);
    let audit = visitor.page("/audit").await;
    for said in ["start a backfill", "start a reconciliation", "start a reconciliation with repair"] {
        assert!(audit.contains(&format!("<td>{said}</td>")), "{audit}");
    }
    service.stop().await;
}

on_both_databases!(a_backfill_and_a_comparison_are_started_and_watched, with ProgramFixture);

async fn a_second_run_of_a_source_is_refused_and_not_in_the_audit(home: &mut ProgramFixture) {
    let (directory, service, visitor) = with_clerk(home, &clerk_users(3)).await;
    directory.site().answers_left = Some(0);
    let start = async || visitor.post("/source/run", &[("name", "clerk"), ("kind", "backfill")]).await;
    let of_another_process = home.start(&["backfill"]);
    until(&visitor, ">running</span>").await;
    let refused = start().await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("A run of this source is in progress"), "{}", refused.text);
    assert!(refused.text.contains("href=\"/source?name=clerk\""), "{}", refused.text);
    of_another_process.terminate();
    of_another_process.end().await;

    let stopped = until(&visitor, ">unfinished</span>").await;
    assert!(stopped.contains("interrupted"), "{stopped}");
    assert_eq!(start().await.status, 303);
    assert_eq!(start().await.status, 409);
    let continued = until(&visitor, ">running</span>").await;
    assert!(!continued.contains("interrupted"), "{continued}");
    let audit = visitor.page("/audit").await;
    assert_eq!(audit.matches("<td>start a backfill</td>").count(), 1, "{audit}");
    service.stop().await;
}

on_both_databases!(a_second_run_of_a_source_is_refused_and_not_in_the_audit, with ProgramFixture);

async fn a_run_that_cannot_be_written_to_the_audit_is_not_started(home: &mut ProgramFixture) {
    let (_directory, service, visitor) = with_clerk(home, &clerk_users(3)).await;
    sql(home, "ALTER TABLE admin_audit RENAME TO admin_audit_elsewhere").await;
    let start = async || visitor.post("/source/run", &[("name", "clerk"), ("kind", "backfill")]).await;
    assert_eq!(start().await.status, 503);
    let page = visitor.page("/source?name=clerk").await;
    assert!(!page.contains("stopped before its end"), "{page}");
    sql(home, "ALTER TABLE admin_audit_elsewhere RENAME TO admin_audit").await;
    assert_eq!(start().await.status, 303);
    until(&visitor, "The backfill is complete.").await;
    service.stop().await;
}

on_both_databases!(a_run_that_cannot_be_written_to_the_audit_is_not_started, with ProgramFixture);
