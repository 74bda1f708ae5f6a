//! `usersync dev`, the commands that it prints, `send` and `token`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use usersync::internals::clock::Clock;

use crate::support::binary::{PROGRAM, Process, ProgramFixture};
use crate::support::client::fixture::CREATED;
use crate::support::client::{Client, answer};
use crate::support::has_curl;

/// Starts `usersync dev` on a free port, and waits until it has printed everything.
async fn dev(home: &ProgramFixture, arguments: &[&str]) -> Process {
    let mut dev = home.start(&[&["dev", "--listen", "127.0.0.1:0"], arguments].concat());
    dev.line_with("Press Ctrl-C to stop").await;
    dev
}

#[tokio::test]
async fn it_prints_the_event_the_row_and_the_answer_of_one_round_trip() {
    let home = ProgramFixture::bare();
    let dev = dev(&home, &[]).await;
    let output = dev.stdout();
    let mut rest = output.as_str();
    for text in [
        "usersync dev at http://127.0.0.1:",
        "user.created, for user_ada",
        "POST /webhooks/dev -> 200 OK {\"outcome\":\"applied\"",
        "GET /v1/users?externalId=user_ada -> 200 OK",
        "\"externalId\": \"user_ada\"",
        "GET /v1/users/current -> 200 OK",
        "\"name\": \"Ada Lovelace\"",
        "usersync backfill -> 4 users read, 3 applied, 1 unchanged",
    ] {
        rest = rest.split_once(text).unwrap_or_else(|| panic!("{text:?} is missing in {rest}")).1;
    }
    let said = dev.stop().await;
    assert_eq!(said.stderr, "", "nothing went wrong");
}

/// The service requests its own keys before it listens: the pause is longer than the usual time limit for the answer.
#[tokio::test]
async fn a_slow_start_is_no_warning() {
    let home = ProgramFixture::bare();
    let mut dev = home.start(&["dev", "--listen", "127.0.0.1:0"]);
    // This file is written after the request for the keys, and before the service listens.
    while !home.has(".usersync/dev.json") {
        dev.assert_runs();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    dev.signal("STOP");
    tokio::time::sleep(Duration::from_millis(3500)).await;
    dev.signal("CONT");
    dev.line_with("Press Ctrl-C to stop").await;
    assert_eq!(dev.stop().await.stderr, "");
}

#[tokio::test]
async fn it_gives_a_page_on_this_machine_a_token_for_any_user() {
    let home = ProgramFixture::bare();
    let dev = dev(&home, &[]).await;
    let base = dev.stdout().split_once("usersync dev at ").unwrap().1.split_once(',').unwrap().0.to_owned();
    let client = Client::new(base, String::new(), Clock::system());
    let ask = async |host: &str, body: Value| {
        let request = client.request(Method::POST, "/dev/token").header("host", host);
        let request = request.header("x-forwarded-host", "localhost");
        answer(request.body(body.to_string())).await
    };

    let given = ask("localhost:5173", json!({"sub": "user_grace", "claims": {"name": "Grace Hopper"}})).await;
    assert_eq!((given.status, given.header("cache-control")), (200, "no-store"));
    assert_eq!(given.header("access-control-allow-origin"), "");
    let token = given.json()["token"].as_str().unwrap().to_owned();
    let identity = client.get_as(&token, "/v1/identity").await.json();
    assert_eq!([&identity["subject"], &identity["name"]], ["user_grace", "Grace Hopper"]);

    for host in ["127.0.0.1", "[::1]:8787"] {
        assert_eq!(ask(host, json!({"sub": "user_ada", "expiresIn": 5})).await.status, 200, "{host}");
    }
    for host in ["rebound.example:8787", "localhost.example", "10.0.0.1"] {
        assert_eq!(ask(host, json!({"sub": "user_ada"})).await.brief(), "404 not_found", "{host}");
    }
    for body in [json!({}), json!({"sub": 1}), json!({"sub": "user_ada", "expires": 1}), json!("user_ada")] {
        assert_eq!(ask("localhost", body.clone()).await.brief(), "400 invalid_json", "{body}");
    }
    assert_eq!(client.get("/dev/token").await.brief(), "405 method_not_allowed");
    dev.stop().await;
}

#[tokio::test]
async fn every_printed_command_works_as_it_is_printed() {
    if !has_curl() {
        return;
    }
    for arguments in [&[][..], &["--directory", "Ada's 100% own?"]] {
        let home = ProgramFixture::bare();
        let dev = dev(&home, arguments).await;
        let asked = home.paste(&dev, "ask which user a token belongs to").await;
        assert!(asked.starts_with("HTTP/1.1 200") && asked.contains("Ada Lovelace"), "{asked}");
        assert!(home.paste(&dev, "list the users").await.contains("Ada Lovelace"));
        let read = home.paste(&dev, "import the users who existed before").await;
        assert!(read.contains("4 users read, 0 applied, 4 unchanged"), "{read}");
        let compared = home.paste(&dev, "compare the table with the provider's list").await;
        assert!(compared.contains("4 users at the provider, 4 rows here"), "{compared}");
        assert!(compared.contains("the table matches the provider's list"), "{compared}");
        let sent = home.paste(&dev, "change the user's name").await;
        assert!(sent.starts_with("200 OK") && sent.contains("applied"), "{sent}");
        assert!(home.paste(&dev, "list the users").await.contains("Ada King"));
        let sent = home.paste(&dev, "delete the user").await;
        assert!(sent.starts_with("200 OK") && sent.contains("applied"), "{sent}");
        let asked = home.paste(&dev, "ask which user a token belongs to").await;
        assert!(asked.starts_with("HTTP/1.1 410") && asked.contains("user_deleted"), "{asked}");
        let left = home.paste(&dev, "list the users").await;
        assert!(!left.contains("Ada") && left.contains("Grace Hopper"), "{left}");
        dev.stop().await;
    }
}

#[tokio::test]
async fn a_second_start_in_the_same_directory_keeps_the_user_and_the_keys() {
    let home = ProgramFixture::bare();
    let first = dev(&home, &[]).await;
    let secret = |dev: &Process| dev.stdout().split_once("--secret ").unwrap().1[..38].to_owned();
    let before = secret(&first);
    first.stop().await;
    let second = dev(&home, &[]).await;
    assert_eq!(secret(&second), before);
    assert_eq!(second.stdout().matches("\"externalId\"").count(), 2, "one in the list, one for the token");
    second.stop().await;
}

#[tokio::test]
async fn a_start_after_the_sample_user_was_deleted_works_with_another() {
    let home = ProgramFixture::bare();
    for _ in 0..3 {
        let dev = dev(&home, &[]).await;
        let deleted = home.shell(&dev.printed("delete the user")).await;
        assert!(deleted.stdout.contains("applied"), "{deleted:?}");
        dev.stop().await;
    }
}

#[tokio::test]
async fn neither_settings_nor_a_proxy_affect_it() {
    let home = ProgramFixture::bare()
        .with("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .with("USERSYNC_DATABASE__URL", "postgres://nobody@127.0.0.1:1/nothing")
        .with("USERSYNC_CONFIG", "nowhere.toml")
        .with("RUST_LOG", "")
        .with("http_proxy", "http://127.0.0.1:1");
    home.write("usersync.toml", "[database]\nurl = 1\nnonsense");
    let dev = dev(&home, &[]).await;
    let sent = home.shell(&dev.printed("change the user's name")).await;
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(dev.stop().await.stderr, "");
    assert!(home.has(".usersync/dev.db"));
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_a_fix() {
    let home = ProgramFixture::bare();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = home.run(&["dev", "--listen", &taken.local_addr().unwrap().to_string()]).await;
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    assert!(said.stderr.contains("is in use") && said.stderr.contains("--listen"), "{said:?}");
}

#[tokio::test]
async fn its_files_can_be_read_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = ProgramFixture::bare();
    dev(&home, &[]).await.stop().await;
    for file in ["dev.json", "usersync.toml"] {
        let mode = std::fs::metadata(home.path(".usersync").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn send_exits_with_1_when_it_is_refused() {
    let home = ProgramFixture::on_sqlite();
    home.write("event.json", CREATED);
    let service = home.serve().await;
    let to = format!("http://{}/webhooks/clerk", service.address);
    let right = crate::support::app::SECRET;
    let wrong = crate::support::app::OLD_SECRET;
    let send =
        async |more: String| home.shell(&format!("'{PROGRAM}' send event.json --to {to} {more}")).await;
    let done = send(format!("--secret {right} --id msg_1")).await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    assert_eq!(done.stdout, "200 OK {\"outcome\":\"applied\",\"messageId\":\"msg_1\"}\n");
    for (refused, code) in [
        (format!("--secret {wrong}"), "invalid_signature"),
        (format!("--secret {right} --timestamp 1649367553"), "stale_timestamp"),
    ] {
        let refused = send(refused).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stdout.contains(code) && refused.stderr.starts_with("error: "), "{refused:?}");
    }
    let no_secret = send("--secret whsec_!".to_owned()).await;
    assert_eq!(no_secret.code, Some(2), "{no_secret:?}");
    service.stop().await;
    let nobody = send(format!("--secret {right}")).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stderr.contains("is the service running?"), "{nobody:?}");
}
