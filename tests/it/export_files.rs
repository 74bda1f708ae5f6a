//! `usersync backfill --file`: every form of export that the providers give, and files that are something else.

use std::io::Write as _;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::backfill::{backfill, configure, number};
use crate::support::binary::{PROGRAM, ProgramFixture};
use crate::support::directory::{auth0_users, clerk_users, workos_users};

const STANDARD: &str = "[sources.map]
type = '/type'
upsert = ['user']
id = '/id'
updated_at = '/updated_at'
[sources.list]
url = 'https://auth.example.com/users'
next = { type = 'link' }
map = { id = '/id', updated_at = '/updated_at', profile = { email = '/email' } }
";

const CLERK_CSV: &str = "\u{feff}# from the dashboard\r\n\
id,first_name,last_name,username,primary_email_address,primary_phone_number,verified_email_addresses,unverified_email_addresses,verified_phone_numbers,unverified_phone_numbers,totp_secret,password_digest,password_hasher\r\n\
user_1,Ada,Lovelace,ada,ada@example.com,,\"old@example.com,ada@example.com\",,,,SENTINEL,SENTINEL,bcrypt\r\n\
user_2,\"Grace\r\nB.\",,,,,,,,,,,\r\n";

const CLERK_SUPPORT: &str = r#"[
{"id":"user_1","first_name":"Ada","primary_email_address":"ada@example.com","verified_email_addresses":["ada@example.com"],"totp_secret":"SENTINEL"},
{"id":"user_2","first_name":"Grace","email_addresses":["grace@example.com"],"password_digest":"SENTINEL"}]"#;

const AUTH0_TITLED: &str = "Id,Given Name,Family Name,Nickname,Name,Email,Email Verified,Connection,Created At,Updated At\n\
\"'auth0|1\",\"'Ada\",,,\"'Ada Lovelace\",\"'ada@example.com\",true,Username-Password-Authentication,2026-01-01T12:00:00.000Z,2026-01-02T12:00:00.000Z\n\
auth0|2,Grace,,,Grace,grace@example.com,false,,2026-01-01T12:00:00.000Z,2026-01-02T12:00:00.000Z\n";

const AUTH0_NAMED: &str = "user_id,email,email_verified,given_name,user_metadata.plan,created_at,updated_at\n\
auth0|1,ada@example.com,true,Ada,pro,2026-01-01T12:00:00.000Z,2026-01-02T12:00:00.000Z\n\
auth0|2,grace@example.com,false,,,2026-01-01T12:00:00.000Z,2026-01-02T12:00:00.000Z\n";

const AUTH0_IMPORT: &str = r#"[{"user_id":"auth0|1","email":"ada@example.com","email_verified":true,"password_hash":"SENTINEL"},
{"user_id":"auth0|2","email":"grace@example.com","custom_password_hash":{"hash":{"value":"SENTINEL"}},"mfa_factors":[{"totp":{"secret":"SENTINEL"}}]}]"#;

/// As Auth0 documents an import: the ids are those of the users' former home.
const AUTH0_IMPORT_OF_OTHERS: &str = r#"[{"user_id":"1","email":"ada@example.com","given_name":"Ada","password_hash":"SENTINEL"},
{"user_id":"2","email":"grace@example.com","app_metadata":{"secret":"SENTINEL"}}]"#;

const AUTH0_TITLED_LINES: &str = r#"{"Id":"auth0|1","Email":"ada@example.com","Email Verified":true,"Created At":"2026-01-01T12:00:00.000Z","Updated At":"2026-01-02T12:00:00.000Z"}
{"Id":"auth0|2","Email":"grace@example.com","Updated At":"2026-01-02T12:00:00.000Z"}"#;

fn array(users: &[Value]) -> Vec<u8> {
    serde_json::to_vec(users).unwrap()
}

fn lines(users: &[Value]) -> Vec<u8> {
    let mut text = users.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text.into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_form_of_export_is_read_and_nothing_of_its_secrets_is_kept() {
    let two = |text: &str| text.as_bytes().to_vec();
    for (provider, form, file) in [
        ("clerk", "the dashboard's CSV", two(CLERK_CSV)),
        ("clerk", "the JSON of support", two(CLERK_SUPPORT)),
        ("clerk", "users of the API", array(&clerk_users(2))),
        ("clerk", "users of the API, one a line", lines(&clerk_users(2))),
        ("auth0", "the export job's file", gzip(&lines(&auth0_users(2)))),
        ("auth0", "the same, not compressed", lines(&auth0_users(2))),
        ("auth0", "the same with titles", two(AUTH0_TITLED_LINES)),
        ("auth0", "CSV with titles", two(AUTH0_TITLED)),
        ("auth0", "CSV with names", two(AUTH0_NAMED)),
        ("auth0", "the file of a user import", two(AUTH0_IMPORT)),
        ("auth0", "the same with ids of elsewhere", two(AUTH0_IMPORT_OF_OTHERS)),
        ("workos", "users of the API", array(&workos_users(2))),
        ("workos", "users of the API, one a line", gzip(&lines(&workos_users(2)))),
        ("standard", "users of its list", array(&workos_users(2))),
        ("standard", "users of its list, one a line", lines(&workos_users(2))),
    ] {
        let home = ProgramFixture::on_sqlite();
        configure(&home, provider, if provider == "standard" { STANDARD } else { "" });
        std::fs::write(home.path("users"), file).unwrap();
        let (said, summary) = backfill(&home, &[provider, "--file", "users"]).await;
        assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(2)), "{provider}, {form}: {said:?}");
        assert_eq!(summary["parked"], 0, "{provider}, {form}");
        assert!(number(&home, "SELECT count(*) FROM users WHERE email LIKE '%@example.com'").await >= 1);
        let kept = number(&home, "SELECT count(*) FROM journal WHERE payload LIKE '%SENTINEL%'").await;
        assert_eq!(kept, 0, "{provider}, {form}");
    }
}

#[tokio::test]
async fn a_file_comes_from_standard_input_too() {
    let home = ProgramFixture::on_sqlite();
    configure(&home, "workos", "");
    std::fs::write(home.path("users"), lines(&workos_users(700))).unwrap();
    for (applied, unchanged) in [(700, 0), (0, 700)] {
        let said = home.shell(&format!("'{PROGRAM}' backfill workos --file - --json < users")).await;
        let summary: Value = serde_json::from_str(said.stdout.trim()).unwrap_or_default();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!((&summary["applied"], &summary["unchanged"]), (&json!(applied), &json!(unchanged)));
    }
    let members = ["source", "complete", "seen", "applied", "unchanged", "parked", "seconds"];
    let said = home.shell(&format!("'{PROGRAM}' backfill workos --file - --json < users")).await;
    let places: Vec<usize> =
        members.iter().map(|name| said.stdout.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{said:?}");
}

#[tokio::test]
async fn a_pipe_that_ends_in_the_middle_of_a_user_is_unfinished() {
    let home = ProgramFixture::on_sqlite();
    configure(&home, "workos", "");
    let whole = lines(&workos_users(600));
    let mut program = Command::new(PROGRAM)
        .args(["backfill", "workos", "--file", "-", "--json"])
        .current_dir(home.path(""))
        .env("USERSYNC_SERVER__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    program.stdin.take().unwrap().write_all(&whole[..whole.len() - 40]).unwrap();
    let said = program.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("user number 600: is truncated"), "{stderr}");
}

#[tokio::test]
async fn a_file_that_is_not_an_export_of_the_provider_is_refused_with_advice() {
    let home = ProgramFixture::on_sqlite();
    configure(&home, "clerk", "");
    std::fs::write(home.path("good"), lines(&clerk_users(600))).unwrap();
    let (said, _) = backfill(&home, &["clerk", "--file", "good"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let utf16: Vec<u8> = CLERK_CSV.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let compressed = gzip(&lines(&clerk_users(600)));
    let huge = format!("{{\"id\":\"user_1\",\"first_name\":\"{}\"}}", "x".repeat(100 << 20));
    for (bytes, words) in [
        (lines(&auth0_users(3)), "a user of Auth0, and the source is of Clerk"),
        (AUTH0_TITLED.as_bytes().to_vec(), "a user of Auth0, and the source is of Clerk"),
        (lines(&workos_users(3)), "a user of WorkOS, and the source is of Clerk"),
        (b"email,name\nada@example.com,Ada\n".to_vec(), "check that this is an export of Clerk"),
        (Vec::new(), "the file has no users"),
        (b"[]".to_vec(), "the file has no users"),
        (b"id,first_name\n".to_vec(), "the file has no users"),
        (gzip(b""), "the file has no users"),
        (utf16.clone(), "UTF-16"),
        (utf16[2..].to_vec(), "UTF-16"),
        (b"id,first_name\nuser_1,Ren\xe9\n".to_vec(), "UTF-8"),
        (compressed[..compressed.len() / 2].to_vec(), "cannot be read"),
        (huge.into_bytes(), "is larger than 16 MiB"),
        (b"<!doctype html><html>sign in</html>".to_vec(), "HTML"),
        (b"PK\x03\x04".to_vec(), "ZIP"),
    ] {
        std::fs::write(home.path("file"), bytes).unwrap();
        let (said, summary) = backfill(&home, &["clerk", "--file", "file", "--restart"]).await;
        assert_eq!((said.code, &summary["complete"]), (Some(1), &json!(false)), "{words}: {said:?}");
        assert!(said.stderr.contains(words), "{words}: {said:?}");
        assert!(said.stderr.ends_with("correct the errors above, then run the command again\n"), "{said:?}");
        assert_eq!(number(&home, "SELECT count(*) FROM users").await, 600, "{words}");
    }
    let (said, _) = backfill(&home, &["clerk", "--file", "not-there.csv"]).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.stderr.contains("not-there.csv"), "{said:?}");
}

#[tokio::test]
async fn another_provider_s_file_is_refused_and_named() {
    for (provider, file, words) in [
        ("workos", lines(&clerk_users(2)), "a user of Clerk, and the source is of WorkOS"),
        ("workos", CLERK_CSV.as_bytes().to_vec(), "a user of Clerk, and the source is of WorkOS"),
        ("workos", lines(&auth0_users(2)), "a user of Auth0, and the source is of WorkOS"),
        ("auth0", lines(&clerk_users(2)), "a user of Clerk, and the source is of Auth0"),
        ("auth0", lines(&workos_users(2)), "a user of WorkOS, and the source is of Auth0"),
        ("clerk", lines(&workos_users(2)), "a user of WorkOS, and the source is of Clerk"),
    ] {
        let home = ProgramFixture::on_sqlite();
        configure(&home, provider, "");
        std::fs::write(home.path("file"), file).unwrap();
        let (said, summary) = backfill(&home, &[provider, "--file", "file"]).await;
        assert_eq!((said.code, &summary["applied"]), (Some(1), &json!(0)), "{words}: {said:?}");
        assert!(said.stderr.contains(words), "{words}: {said:?}");
    }
}
