//! `usersync backfill`: existing users, from a provider's API and from its export files.

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};

use crate::support::binary::{ProgramFixture, ProgramOutput};
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::directory::{FakeDirectory, Fault, auth0_users, clerk_users, workos_users};
use crate::support::watching::operator;

/// A source of this provider whose API is the fake one.
pub(crate) fn configure(home: &ProgramFixture, provider: &str, api: &str) {
    let file = format!(
        "[[sources]]\nname = '{provider}'\nprovider = '{provider}'\nwebhook_secrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']\n{api}"
    );
    home.write("usersync.toml", &file);
}

pub(crate) fn clerk(home: &ProgramFixture, directory: &FakeDirectory) {
    let base = directory.url("");
    configure(
        home,
        "clerk",
        &format!("[sources.api]\nsecret_key = 'sk_live_1'\nbase_url = '{base}'\nrequests_per_second = 1000"),
    );
}

pub(crate) fn auth0(home: &ProgramFixture, directory: &FakeDirectory) {
    let base = directory.url("");
    let api = format!(
        "[sources.api]\ndomain = 'tenant.us.auth0.com'\nclient_id = 'id'\nclient_secret = 'secret'\nbase_url = '{base}'\nrequests_per_second = 1000"
    );
    configure(home, "auth0", &api);
}

pub(crate) async fn backfill(home: &ProgramFixture, arguments: &[&str]) -> (ProgramOutput, Value) {
    let said = home.run(&[&["backfill", "--json"], arguments].concat()).await;
    let summary = serde_json::from_str(said.stdout.lines().last().unwrap_or_default()).unwrap_or_default();
    (said, summary)
}

pub(crate) async fn number(home: &ProgramFixture, sql: &str) -> i64 {
    let database = home.database().await;
    let statement = Statement::from_string(database.get_database_backend(), sql.to_owned());
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    let number = row.try_get_by_index(0).unwrap();
    database.close().await.unwrap();
    number
}

const USERS: &str = "SELECT count(*) FROM users";
const JOURNALED: &str = "SELECT count(*) FROM journal";

async fn every_clerk_user_becomes_one_row(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(1234));
    clerk(home, &directory);
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    for (name, value) in [("seen", 1234), ("applied", 1234), ("unchanged", 0), ("parked", 0)] {
        assert_eq!(summary[name], value, "{summary}");
    }
    assert_eq!((&summary["source"], &summary["complete"]), (&json!("clerk"), &json!(true)));
    assert_eq!(number(home, USERS).await, 1234);
    assert_eq!(number(home, "SELECT count(*) FROM users WHERE email = 'user7@example.com'").await, 1);
    let private = "SELECT count(*) FROM journal WHERE payload LIKE '%SENTINEL%'";
    assert_eq!(number(home, private).await, 0, "private metadata is nowhere");

    // A finished run is not repeated; --restart reads again, and changes nothing.
    let asked = directory.site().requests.len();
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(1234)), "{said:?}");
    assert_eq!(directory.site().requests.len(), asked);
    let (_, summary) = backfill(home, &["--restart"]).await;
    assert_eq!((&summary["applied"], &summary["unchanged"]), (&json!(0), &json!(1234)));
    assert_eq!(number(home, JOURNALED).await, 1234);
    // The listed users are in the journal, so a rebuild makes the same table.
    let said = home.run(&["replay", "--rebuild"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("1234") && number(home, USERS).await == 1234, "{said:?}");
}

on_both_databases!(every_clerk_user_becomes_one_row, with ProgramFixture);

async fn a_user_whom_the_database_rejects_is_parked_alone(home: &mut ProgramFixture) {
    let mut users = clerk_users(700);
    users[151]["email_addresses"] = users[150]["email_addresses"].clone();
    let directory = FakeDirectory::start(users);
    clerk(home, &directory);
    assert_eq!(home.run(&["migrate"]).await.code, Some(0));
    let database = home.database().await;
    // The application's own index.
    database.execute_unprepared("CREATE UNIQUE INDEX one_email ON users (email)").await.unwrap();
    database.close().await.unwrap();
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    for (name, value) in [("seen", 700), ("applied", 699), ("parked", 1)] {
        assert_eq!(summary[name], value, "{summary}");
    }
    assert_eq!(number(home, USERS).await, 699);
    // What the run itself has counted, page by page.
    assert_eq!(number(home, "SELECT seen + applied * 1000 + parked * 1000000 FROM runs").await, 1_699_700);
}

on_both_databases!(a_user_whom_the_database_rejects_is_parked_alone, with ProgramFixture);

async fn temporary_faults_do_not_end_a_run(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(700));
    clerk(home, &directory);
    directory.site().faults = [
        Fault::Status(429, Some(("retry-after", "0".to_owned()))),
        Fault::Status(503, None),
        Fault::Cut,
        Fault::Status(500, None),
    ]
    .into();
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(700)), "{said:?}");
}

on_both_databases!(temporary_faults_do_not_end_a_run, with ProgramFixture);

async fn the_newer_of_a_webhook_and_a_listed_user_wins(home: &mut ProgramFixture) {
    let mut listed = clerk_users(3);
    listed[0]["id"] = json!(ADA);
    let directory = FakeDirectory::start(listed);
    let event: Value = serde_json::from_str(CREATED).unwrap();
    directory.site().instance = event["instance_id"].as_str().unwrap().to_owned();
    clerk(home, &directory);
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    let name = async || {
        client.list(&format!("?externalId={ADA}&source=clerk")).await.json()["users"][0]["name"].clone()
    };
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(3)), "{said:?}");
    assert_eq!(name().await, "Ada Lovelace", "the list is older");
    directory.site().users[0]["updated_at"] = json!("2026-02-01T12:00:00Z");
    let (said, summary) = backfill(home, &["--restart"]).await;
    assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(1)), "{said:?}");
    assert_eq!(name().await, "User 0");
    assert_eq!(client.deliver(CREATED).await, "200 stale");
    service.stop().await;
}

on_both_databases!(the_newer_of_a_webhook_and_a_listed_user_wins, with ProgramFixture);

async fn every_workos_user_becomes_a_row(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(workos_users(250));
    let base = directory.url("");
    configure(
        home,
        "workos",
        &format!("[sources.api]\nsecret_key = 'sk_1'\nbase_url = '{base}'\nrequests_per_second = 1000"),
    );
    let (said, summary) = backfill(home, &["workos"]).await;
    assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(250)), "{said:?}");
    assert_eq!(number(home, USERS).await, 250);
    assert!(directory.site().authorizations.iter().all(|one| one == "Bearer sk_1"));
}

on_both_databases!(every_workos_user_becomes_a_row, with ProgramFixture);

async fn every_auth0_user_becomes_a_row_by_an_export(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(auth0_users(1300));
    auth0(home, &directory);
    directory.site().looks = 1;
    directory.site().cut_downloads = 1;
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(1300)), "{said:?}");
    assert_eq!(number(home, USERS).await, 1300);
    assert_eq!(number(home, "SELECT count(*) FROM journal WHERE payload LIKE '%SENTINEL%'").await, 0);
    let site = directory.site();
    assert_eq!(
        (site.tokens, site.requests.iter().filter(|one| one.starts_with("POST /api/v2")).count()),
        (1, 1)
    );
    assert!(!site.requests.iter().any(|one| one.contains("/api/v2/users")), "the search is never used");
    let downloads = site.requests.iter().zip(&site.authorizations).filter(|(one, _)| one.contains("/export"));
    assert!(
        downloads.clone().count() == 2 && downloads.clone().all(|(_, sent)| sent.is_empty()),
        "no token goes to the file"
    );
}

on_both_databases!(every_auth0_user_becomes_a_row_by_an_export, with ProgramFixture);

#[tokio::test]
async fn an_answer_without_a_token_is_no_refusal_of_the_credentials() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(auth0_users(30));
    auth0(&home, &directory);
    for (fault, words) in [
        (Fault::Html, "/oauth/token answered without a token: check `base_url`"),
        (Fault::Says(200, " ".repeat(65 << 20)), "the answer is larger than 64 MiB"),
        (Fault::Status(401, None), "check client_id and client_secret"),
    ] {
        directory.site().faults = [fault].into();
        let (said, _) = backfill(&home, &[]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.stderr.contains(words), "{words}: {said:?}");
    }
    // The connection was closed in the middle of the answer: the same request may succeed.
    directory.site().faults = [Fault::Cut].into();
    let (said, summary) = backfill(&home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(30)), "{said:?}");
}

#[tokio::test]
async fn a_token_may_last_for_longer_than_can_be_calculated() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(auth0_users(30));
    auth0(&home, &directory);
    directory.site().reported_lifetime = Some(u64::MAX);
    let (said, summary) = backfill(&home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(30)), "{said:?}");
}

const STANDARD: &str = "
[sources.map]
type = '/type'
upsert = ['user']
id = '/id'
updated_at = '/updated_at'
[sources.list]
url = 'BASE/pages'
query = ['per_page=50']
items = '/users'
total_header = 'X-Total-Count'
headers = ['apikey: key_1']
[sources.list.auth]
type = 'basic'
username = 'me'
password = 'secret'
[sources.list.next]
type = 'page'
to = 'page'
first = 1
[sources.list.map]
id = '/id'
created_at = '/created_at'
updated_at = '/updated_at'
[sources.list.map.profile]
email = '/email'
";

async fn every_user_of_a_configured_list_becomes_a_row(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(workos_users(120));
    configure(home, "standard", &STANDARD.replace("BASE", &directory.url("")));
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(120)), "{said:?}");
    assert_eq!(number(home, "SELECT count(*) FROM users WHERE email IS NOT NULL").await, 120);
    assert_eq!(directory.count("page="), 4, "the end is an empty page");
}

on_both_databases!(every_user_of_a_configured_list_becomes_a_row, with ProgramFixture);

async fn an_export_file_is_read_and_nothing_of_its_secrets_is_kept(home: &mut ProgramFixture) {
    configure(home, "clerk", "");
    let header = "id,first_name,last_name,username,primary_email_address,primary_phone_number,\
                  verified_email_addresses,unverified_email_addresses,verified_phone_numbers,\
                  unverified_phone_numbers,totp_secret,password_digest,password_hasher";
    let lines: Vec<String> = (0..700)
        .map(|n| format!("user_{n},User,{n},,u{n}@example.com,,u{n}@example.com,,,,SENTINEL,SENTINEL,bcrypt"))
        .collect();
    home.write("users.csv", &format!("# Clerk\r\n{header}\r\n{}\r\n", lines.join("\r\n")));
    let (said, summary) = backfill(home, &["clerk", "--file", "users.csv", "--dry-run"]).await;
    assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(700)), "{said:?}");
    assert_eq!(number(home, USERS).await, 0, "a dry run writes nothing");
    let (said, summary) = backfill(home, &["clerk", "--file", "users.csv"]).await;
    assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(700)), "{said:?}");
    assert_eq!(
        number(home, "SELECT count(*) FROM users WHERE email_verified AND family_name IS NOT NULL").await,
        700
    );
    assert_eq!(number(home, "SELECT count(*) FROM journal WHERE payload LIKE '%SENTINEL%'").await, 0);
}

on_both_databases!(an_export_file_is_read_and_nothing_of_its_secrets_is_kept, with ProgramFixture);

#[tokio::test]
async fn an_unreadable_file_is_reported_with_a_fix_and_the_users_before_it_are_kept() {
    let home = ProgramFixture::on_sqlite();
    configure(&home, "clerk", "");
    let exported =
        |ids: &[&str]| ids.iter().map(|id| json!({"id": id}).to_string()).collect::<Vec<_>>().join("\n");
    for (text, words) in [
        (exported(&["auth0|1"]), "check that this is an export of Clerk"),
        ("<!doctype html><html>".to_owned(), "HTML"),
        (format!("[{},", "{\"id\":\"user_1\"}"), "truncated"),
        ("id;name\nuser_1;Ada\n".to_owned(), "neither JSON nor CSV"),
    ] {
        home.write("file", &text);
        let (said, summary) = backfill(&home, &["clerk", "--file", "file", "--restart"]).await;
        assert_eq!((said.code, &summary["complete"]), (Some(1), &json!(false)), "{said:?}");
        assert!(said.stderr.contains(words), "{said:?}");
    }
    for arguments in [&["nobody"][..], &[], &["clerk"], &["--file", "file"], &["clerk", "--file", "missing"]]
    {
        let (said, _) = backfill(&home, arguments).await;
        assert_eq!(said.code, Some(2), "{arguments:?} {said:?}");
    }
}

#[tokio::test]
async fn a_provider_that_refuses_is_named_with_the_remedy_and_no_secret() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(clerk_users(5));
    clerk(&home, &directory);
    for (fault, words) in [
        (Fault::Status(401, None), "does not accept the credentials"),
        (Fault::Status(403, None), "lack a permission"),
        (Fault::Status(302, Some(("location", "https://elsewhere.example".to_owned()))), "redirect"),
        (Fault::Html, "base_url"),
    ] {
        // The instance is not requested before a webhook was received: the first request is for the number of users.
        directory.site().faults = [fault.clone(), fault.clone()].into();
        let (said, _) = backfill(&home, &["--restart"]).await;
        assert_eq!(said.code, Some(1), "{fault:?} {said:?}");
        assert!(said.stderr.contains(words), "{fault:?} {said:?}");
        assert!(!format!("{said:?}").contains("sk_live_1"), "{said:?}");
        assert_eq!(number(&home, USERS).await, 0);
    }
}

#[tokio::test]
async fn a_key_of_another_instance_than_the_webhooks_is_refused() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(clerk_users(5));
    clerk(&home, &directory);
    let service = home.serve().await;
    let client = home.client(&service).await;
    let mut event: Value = serde_json::from_str(CREATED).unwrap();
    event["instance_id"] = json!("ins_other");
    assert!(client.deliver(event.to_string()).await.starts_with("200"));
    service.stop().await;
    let (said, _) = backfill(&home, &[]).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("ins_other") && said.stderr.contains("ins_1"), "{said:?}");
    directory.site().instance = "ins_other".to_owned();
    let (said, _) = backfill(&home, &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

async fn what_a_provider_says_is_shown_without_secrets_and_control_characters(home: &mut ProgramFixture) {
    for status in [400, 401, 403] {
        let directory = FakeDirectory::start(clerk_users(1));
        clerk(home, &directory);
        let words = "the key sk_live_1 and Bearer opaque123 of ada@example.com\r\n\u{1b}[2Jare refused";
        directory.site().faults = vec![Fault::Says(status, format!("{words}{}", " x".repeat(5000)))].into();
        let (said, _) = backfill(home, &["--restart"]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        let shown = "the key [secret] and Bearer [secret] of [e-mail]  [2Jare refused x";
        assert!(said.stderr.contains(shown), "{status}: {said:?}");
        for hidden in ["sk_live_1", "opaque123", "@example.com", "\u{1b}", &" x".repeat(200)] {
            assert!(!said.stderr.contains(hidden) && !said.stdout.contains(hidden), "{hidden:?}: {said:?}");
        }
        let stored = "SELECT count(*) FROM runs WHERE error LIKE '%opaque123%' OR error LIKE '%example.com%'";
        assert_eq!(number(home, stored).await, 0);
    }
}

on_both_databases!(what_a_provider_says_is_shown_without_secrets_and_control_characters, with ProgramFixture);

/// A token rule whose issuer is at the fake provider's own address.
pub(crate) fn with_issuer(directory: &FakeDirectory) -> String {
    let base = directory.url("");
    format!(
        "[sources.api]\nsecret_key = 'sk_live_1'\nbase_url = '{base}'\nrequests_per_second = 1000\n\
         [[sources.tokens]]\ntype = 'oidc'\ndomain = '{base}'\napplicationID = 'app'\n"
    )
}

async fn a_key_of_another_instance_than_the_tokens_is_refused(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(3));
    configure(home, "clerk", &with_issuer(&directory));
    directory.site().signing_keys = vec!["of_the_key"];
    directory.site().issuer_keys = vec!["of_the_issuer", "older"];
    let words = "signing keys are not among those of the issuer";
    let (said, _) = backfill(home, &[]).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains(words), "{said:?}");
    let said = home.run(&["reconcile", "--repair"]).await;
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains(words), "{said:?}");
    assert_eq!(number(home, USERS).await, 0);
    let service = home.serve().await;
    let client = operator(home, &service).await;
    let source = client.check("clerk").await;
    assert_eq!(source["reasons"], json!(["wrong_instance"]), "{source}");
    service.stop().await;
    // One key in common is enough: keys are rotated. What cannot be fetched refuses nothing.
    directory.site().issuer_keys = vec!["of_the_issuer", "of_the_key"];
    assert_eq!(backfill(home, &[]).await.0.code, Some(0));
    directory.site().issuer_keys = Vec::new();
    assert_eq!(backfill(home, &["--restart"]).await.0.code, Some(0));
    // Keys of a rule for somebody else's tokens refuse nothing either.
    directory.site().issuer_keys = vec!["of_the_issuer"];
    let gateway = "[[sources.tokens]]\ntype = 'customJwt'\nissuer = 'https://gateway.example'\n\
                   jwks = 'https://gateway.example/keys'\nalgorithm = 'RS256'\napplicationID = 'app'\n";
    configure(home, "clerk", &(with_issuer(&directory) + gateway));
    assert_eq!(backfill(home, &["--restart"]).await.0.code, Some(0));
    assert_eq!(number(home, USERS).await, 3);
}

on_both_databases!(a_key_of_another_instance_than_the_tokens_is_refused, with ProgramFixture);
