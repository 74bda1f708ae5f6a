//! `usersync reconcile`: what differs between the table and the provider's list, its repair, and who is never deleted.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::backfill::{backfill, clerk, configure, number};
use crate::support::binary::{ProgramFixture, ProgramOutput};
use crate::support::directory::{FakeDirectory, auth0_users, clerk_users};

pub(crate) async fn reconcile(home: &ProgramFixture, arguments: &[&str]) -> (ProgramOutput, Value) {
    let said = home.run(&[&["reconcile", "--json"], arguments].concat()).await;
    let report = serde_json::from_str(said.stdout.lines().last().unwrap_or_default()).unwrap_or_default();
    (said, report)
}

pub(crate) async fn sql(home: &ProgramFixture, statement: &str) {
    let database = home.database().await;
    database.execute_unprepared(statement).await.unwrap();
    database.close().await.unwrap();
}

/// A table into which all users of the provider were imported, an hour after the last of them signed up.
pub(crate) async fn matching_table(home: &ProgramFixture, count: usize) -> FakeDirectory {
    let directory = FakeDirectory::start(clerk_users(count));
    clerk(home, &directory);
    let (said, _) = backfill(home, &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    directory
}

async fn a_matching_table_is_reported_as_matching(home: &mut ProgramFixture) {
    let _directory = matching_table(home, 700).await;
    let (said, report) = reconcile(home, &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let expected = json!({
        "source": "clerk", "complete": true, "provider": 700, "rows": 700, "missing": [], "different": [],
        "extra": [], "notListed": [], "repaired": 0, "deleted": 0, "refused": null,
        "counts": {"missing": 0, "different": 0, "extra": 0, "notListed": 0, "recent": 0},
    });
    assert_eq!(report, expected);
    assert_eq!(number(home, "SELECT count(*) FROM run_users").await, 0, "the seen ids are deleted");
}

on_both_databases!(a_matching_table_is_reported_as_matching, with ProgramFixture);

async fn every_kind_of_difference_is_reported_and_then_repaired(home: &mut ProgramFixture) {
    let directory = matching_table(home, 600).await;
    {
        let mut site = directory.site();
        // Signed up and renamed while no webhook came; one left, one is not in the list any more.
        site.users.push(clerk_users(601)[600].clone());
        site.users[3]["first_name"] = json!("Renamed");
        site.users[3]["updated_at"] = json!("2026-02-01T12:00:00Z");
        // A new time alone is not a difference.
        site.users[4]["updated_at"] = json!("2026-02-01T12:00:00Z");
        site.users.remove(10);
        let unlisted = site.users.remove(10);
        site.unlisted.push(unlisted);
        site.said_count = Some(json!(600));
    }
    // Rows were changed and removed by hand.
    sql(home, "UPDATE users SET email = 'wrong@example.com' WHERE external_id = 'user_00020'").await;
    sql(home, "DELETE FROM users WHERE external_id = 'user_00030'").await;

    let (said, report) = reconcile(home, &[]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(report["missing"], json!(["user_00030", "user_00600"]), "{report}");
    let different = json!([
        {"externalId": "user_00003", "fields": ["givenName", "name"]},
        {"externalId": "user_00020", "fields": ["email"]},
    ]);
    assert_eq!(report["different"], different, "{report}");
    assert_eq!((&report["extra"], &report["notListed"]), (&json!(["user_00010"]), &json!(["user_00011"])));
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 599, "a report changes nothing");

    let (said, report) = reconcile(home, &["--repair"]).await;
    assert_eq!((said.code, &report["repaired"]), (Some(1), &json!(4)), "{said:?}");
    let right =
        "SELECT count(*) FROM users WHERE email = 'user20@example.com' AND external_id = 'user_00020'";
    assert_eq!(number(home, right).await, 1);
    let (said, report) = reconcile(home, &["--repair", "--delete"]).await;
    assert_eq!((said.code, &report["deleted"]), (Some(0), &json!(1)), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM tombstones").await, 1);
    let (said, report) = reconcile(home, &[]).await;
    assert_eq!((said.code, &report["counts"]["extra"]), (Some(0), &json!(0)), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 600);
}

on_both_databases!(every_kind_of_difference_is_reported_and_then_repaired, with ProgramFixture);

async fn no_user_is_deleted_only_because_the_list_lacks_them(home: &mut ProgramFixture) {
    let directory = matching_table(home, 100).await;
    let everybody = directory.site().users.clone();
    let refused = async |words: &str| {
        let (said, report) = reconcile(home, &["--delete"]).await;
        assert_eq!((said.code, &report["deleted"]), (Some(3), &json!(0)), "{said:?}");
        let why = report["refused"].as_str().unwrap_or_default();
        assert!(why.contains(words), "{words}: {report}");
        assert_eq!(number(home, "SELECT count(*) FROM users").await, 100, "{words}");
    };
    // An empty list, users of another instance, an incomplete list, a proxy's 404, and too many at once.
    directory.site().users.clear();
    refused("empty").await;
    directory.site().users = clerk_users(400).split_off(300);
    refused("right instance").await;
    directory.site().users = everybody[..90].to_vec();
    directory.site().said_count = Some(json!(100));
    refused("incomplete").await;
    directory.site().said_count = None;
    directory.site().is_behind_a_proxy = true;
    refused("not found by id").await;
    directory.site().is_behind_a_proxy = false;
    directory.site().users = everybody[..80].to_vec();
    refused("--max-deletions 20").await;
    // A run that does not reach the end of the list reports nothing.
    directory.site().faults = [crate::support::directory::Fault::Status(418, None)].into();
    let (said, report) = reconcile(home, &["--delete"]).await;
    assert_eq!((said.code, &report["complete"]), (Some(3), &json!(false)), "{said:?}");

    let (said, report) = reconcile(home, &["--delete", "--max-deletions", "20"]).await;
    assert_eq!((said.code, &report["deleted"]), (Some(0), &json!(20)), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 80);
}

on_both_databases!(no_user_is_deleted_only_because_the_list_lacks_them, with ProgramFixture);

async fn a_user_who_just_signed_up_is_not_deleted(home: &mut ProgramFixture) {
    let directory = matching_table(home, 50).await;
    // A row whose user was just created at the provider, and is not in the list yet.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mut young = clerk_users(1).remove(0);
    young["id"] = json!("user_young");
    young["created_at"] = json!(u64::try_from(now).unwrap());
    young["updated_at"] = young["created_at"].clone();
    directory.site().users.push(young);
    let (said, _) = backfill(home, &["--restart"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    directory.site().users.pop();
    let (said, report) = reconcile(home, &["--delete"]).await;
    assert_eq!((said.code, &report["extra"]), (Some(0), &json!([])), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 51);
}

on_both_databases!(a_user_who_just_signed_up_is_not_deleted, with ProgramFixture);

async fn a_user_of_auth0_who_left_may_come_back_with_the_same_id(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(auth0_users(30));
    let base = directory.url("");
    let api = format!(
        "[sources.api]\ndomain = 'tenant.us.auth0.com'\nclient_id = 'id'\nclient_secret = 'secret'\nbase_url = '{base}'\nrequests_per_second = 1000"
    );
    configure(home, "auth0", &api);
    backfill(home, &[]).await;
    let left = directory.site().users.remove(7);
    let (said, report) = reconcile(home, &["--delete"]).await;
    assert_eq!((said.code, &report["deleted"]), (Some(0), &json!(1)), "{said:?}");
    // Created again after the provider answered that there was no such user: a new lifetime.
    let mut again = left;
    again["created_at"] = json!("2999-01-01T12:00:00.000Z");
    again["updated_at"] = again["created_at"].clone();
    directory.site().users.push(again);
    let (said, report) = reconcile(home, &["--repair"]).await;
    assert_eq!((said.code, &report["repaired"]), (Some(0), &json!(1)), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 30);
}

on_both_databases!(a_user_of_auth0_who_left_may_come_back_with_the_same_id, with ProgramFixture);

async fn who_is_listed_but_was_deleted_here_is_missing(home: &mut ProgramFixture) {
    let directory = matching_table(home, 20).await;
    // Deleted here by a confirmed deletion, although the user is still there.
    let user = directory.site().users.remove(3);
    let (said, _) = reconcile(home, &["--delete"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    directory.site().users.push(user);
    for arguments in [&[][..], &["--repair"]] {
        let (said, report) = reconcile(home, arguments).await;
        assert_eq!((said.code, &report["missing"]), (Some(1), &json!(["user_00003"])), "{said:?}");
        assert_eq!(report["repaired"], 0, "{report}");
    }
    let said = home.run(&["reconcile"]).await;
    assert!(said.stdout.contains("1 of the missing users were deleted here"), "{said:?}");
    assert!(said.stdout.contains("--repair does not restore them"), "{said:?}");
    // Undone as described in the documentation.
    sql(home, "DELETE FROM journal WHERE source = 'clerk' AND external_id = 'user_00003'").await;
    sql(home, "DELETE FROM tombstones WHERE source = 'clerk' AND external_id = 'user_00003'").await;
    let (said, report) = reconcile(home, &["--repair"]).await;
    assert_eq!((said.code, &report["repaired"]), (Some(0), &json!(1)), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 20);
}

on_both_databases!(who_is_listed_but_was_deleted_here_is_missing, with ProgramFixture);

#[tokio::test]
async fn the_text_output_shows_what_to_do_next() {
    let home = ProgramFixture::on_sqlite();
    let directory = matching_table(&home, 20).await;
    directory.site().users.remove(2);
    directory.site().users[0]["first_name"] = json!("Renamed");
    directory.site().users[0]["updated_at"] = json!("2026-02-01T12:00:00Z");
    let said = home.run(&["reconcile"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in [
        "1 different (row and provider differ)",
        "user_00000 (givenName, name)",
        "reconcile clerk --repair",
        "reconcile clerk --delete",
    ] {
        assert!(said.stdout.contains(words), "{words}: {said:?}");
    }
    assert!(!said.stdout.contains("@example.com"), "{said:?}");
}

async fn users_who_are_not_in_the_list_are_looked_up_a_hundred_at_a_time(home: &mut ProgramFixture) {
    let directory = matching_table(home, 900).await;
    {
        let mut site = directory.site();
        let unlisted: Vec<Value> = site.users.drain(100..350).collect();
        site.unlisted.extend(unlisted);
        site.users.drain(..4);
        site.requests.clear();
        site.said_count = Some(json!(646));
    }
    let (said, report) = reconcile(home, &["--delete"]).await;
    assert_eq!((said.code, &report["deleted"]), (Some(0), &json!(4)), "{said:?}");
    assert_eq!((&report["counts"]["notListed"], &report["counts"]["extra"]), (&json!(250), &json!(4)));
    assert_eq!(directory.count("user_id="), 3, "254 users");
    // Each of those who were not found, and one from the list.
    assert_eq!(directory.count("GET /users/user_"), 5);
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 896);
}

on_both_databases!(users_who_are_not_in_the_list_are_looked_up_a_hundred_at_a_time, with ProgramFixture);

#[tokio::test]
async fn an_id_with_control_characters_does_not_reach_the_terminal_as_it_is() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(clerk_users(1));
    clerk(&home, &directory);
    directory.site().users[0]["id"] = json!("user_\u{1b}[2J\u{202e}1");
    let said = home.run(&["reconcile"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains(r"  user_\u001b[2J\u202e1"), "{said:?}");
    let (_, report) = reconcile(&home, &[]).await;
    assert_eq!(report["missing"], json!(["user_\u{1b}[2J\u{202e}1"]), "{report}");
}

#[tokio::test]
async fn the_text_output_says_which_rows_stay_and_why() {
    let home = ProgramFixture::on_sqlite();
    let directory = matching_table(&home, 20).await;
    let unlisted = directory.site().users.remove(2);
    directory.site().unlisted.push(unlisted);
    let mut recent = clerk_users(1).remove(0);
    recent["id"] = json!("user_recent");
    recent["created_at"] = json!(chrono::Utc::now().timestamp_millis());
    recent["updated_at"] = recent["created_at"].clone();
    directory.site().users.push(recent);
    assert_eq!(backfill(&home, &["--restart"]).await.0.code, Some(0));
    directory.site().users.pop();
    for (arguments, updated) in
        [(&["--delete"][..], "--repair updates them"), (&["--delete", "--repair"], "they are up to date")]
    {
        let said = home.run(&[&["reconcile"], arguments].concat()).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        for words in [
            "1 notListed",
            "  user_00002",
            &format!("finds these users by id, so their rows stay; {updated}"),
            "1 more rows are not in the provider's list. They are too recent",
            "all other rows match the provider's list",
        ] {
            assert!(said.stdout.contains(words), "{words}: {said:?}");
        }
        assert!(!said.stdout.contains("the table matches"), "{said:?}");
    }
    let (_, report) = reconcile(&home, &[]).await;
    assert_eq!(
        report["counts"],
        json!({"missing": 0, "different": 0, "extra": 0, "notListed": 1, "recent": 1})
    );
    assert_eq!(number(&home, "SELECT count(*) FROM users").await, 21);
}

async fn rows_of_another_instance_are_neither_repaired_nor_deleted(home: &mut ProgramFixture) {
    let directory = matching_table(home, 8).await;
    // The key is now of an instance with other users.
    directory.site().users = clerk_users(40).split_off(20);
    for arguments in [&["--repair", "--delete"][..], &["--repair"], &["--delete"]] {
        let (said, report) = reconcile(home, arguments).await;
        assert_eq!(said.code, Some(3), "{arguments:?}: {said:?}");
        assert!(report["refused"].as_str().unwrap().contains("instance"), "{arguments:?}: {report}");
        assert_eq!(number(home, "SELECT count(*) FROM users").await, 8, "{arguments:?}");
    }
    let (said, _) = backfill(home, &["--restart"]).await;
    assert_ne!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains("two instances belong in two sources"), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM users").await, 8);
}

on_both_databases!(rows_of_another_instance_are_neither_repaired_nor_deleted, with ProgramFixture);

#[tokio::test]
async fn without_its_database_it_exits_with_3() {
    let home = ProgramFixture::on_sqlite().with("DATABASE_URL", "sqlite:nowhere/usersync.db");
    clerk(&home, &FakeDirectory::start(Vec::new()));
    let said = home.run(&["reconcile"]).await;
    assert_eq!(said.code, Some(3), "1 would mean that the table differs: {said:?}");
    assert!(said.stderr.contains("DATABASE_URL"), "{said:?}");
}
