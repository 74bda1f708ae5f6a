//! Exit codes, messages and logs of the program for right and wrong usage and configuration.

use serde_json::Value;

use crate::support::binary::{ProgramFixture, ProgramOutput};
use crate::support::client::answer;
use crate::support::client::fixture::CREATED;

/// The commands that start a service, on a port that is free whatever else this machine runs.
const STARTS: [&[&str]; 2] = [&["serve"], &["dev", "--listen", "127.0.0.1:0"]];

/// The program failed with this code, and its standard error contains these texts.
fn assert_fails(said: &ProgramOutput, code: i32, texts: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    assert_eq!(said.stdout, "", "{said:?}");
    for text in texts {
        assert!(said.stderr.contains(text), "{text:?} is missing in {}", said.stderr);
    }
    assert!(!said.stderr.contains("panicked") && !said.stderr.contains("hunter2"), "{}", said.stderr);
}

#[tokio::test]
async fn help_and_version_exit_with_0() {
    let home = ProgramFixture::bare();
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"], &["help", "keys"]] {
        let said = home.run(arguments).await;
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test]
async fn wrong_usage_exits_with_2() {
    let home = ProgramFixture::bare();
    for (arguments, text) in [
        (&[][..], "Usage"),
        (&["sevre"], "serve"),
        (&["serve", "--prot"], "--prot"),
        (&["keys"], "create"),
        (&["keys", "create", " "], "a key needs a name"),
        (&["keys", "create", "reports", "--scope", "users"], "the scopes are users:read, events:read, admin"),
        (&["token", "--sub", "user_1"], "start `usersync dev`"),
        (&["token", "--sub", "user_1", "--expires-in", "soon"], "soon"),
        (&["send", "nowhere.json", "--to", "http://127.0.0.1:1", "--secret", "whsec_AAAA"], "nowhere.json"),
        (&["send", "nowhere.json", "--to", "nowhere", "--secret", "whsec_hunter2"], "--to"),
        (&["serve", "--config", "nowhere.toml"], "nowhere.toml"),
        (&["dev", "--config", "usersync.toml"], "reads no --config"),
        (&["dev", "--listen", "0.0.0.0:0"], "127.0.0.1"),
        (&["dev", "--listen", "[::]:0"], "127.0.0.1"),
        (&["dev", "--listen", "192.0.2.1:8787"], "127.0.0.1"),
    ] {
        assert_fails(&home.run(arguments).await, 2, &[text]);
    }
    assert!(!home.has("usersync.db") && !home.has(".usersync"));
}

#[tokio::test]
async fn without_certificates_of_authorities_the_message_says_how_to_get_them() {
    let home = ProgramFixture::bare().with("PORT", "0");
    home.write("none.pem", "");
    let home = home.with("SSL_CERT_FILE", "none.pem").with("SSL_CERT_DIR", "none");
    for command in ["serve", "dev"] {
        assert_fails(
            &home.run(&[command]).await,
            2,
            &["No CA certificates", "ca-certificates", "SSL_CERT_FILE"],
        );
    }
    // The image's health check needs none.
    let home = home.with("PORT", "1");
    assert_fails(&home.run(&["health"]).await, 1, &["no answer from http://"]);
}

#[tokio::test]
async fn an_invalid_log_level_exits_with_2() {
    let home = ProgramFixture::bare().with("RUST_LOG", "usersync=loudly");
    for command in STARTS {
        assert_fails(&home.run(command).await, 2, &["the log level"]);
    }
}

#[tokio::test]
async fn an_unreachable_database_exits_with_1_and_a_fix() {
    for (url, cause) in [
        ("sqlite:nowhere/usersync.db", "nowhere/usersync.db: its folder nowhere does not exist"),
        ("postgres://me:hunter2@127.0.0.1:1/users?connect_timeout=1", "Connection Error"),
    ] {
        let home = ProgramFixture::on_sqlite().with("DATABASE_URL", url);
        for arguments in [&["serve"][..], &["migrate"], &["keys", "list"]] {
            let said = home.run(arguments).await;
            assert_fails(&said, 1, &["error: ", cause, "DATABASE_URL"]);
            let error = said.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
            assert_eq!(error.matches(cause).count(), 1, "said once: {error}");
        }
    }
}

#[tokio::test]
async fn an_invalid_database_url_exits_with_2_and_is_not_printed() {
    for url in [
        "mysql://root:hunter2@127.0.0.1/users",
        "postgres://root:hunter2#@127.0.0.1/users",
        "postgres://root:1#hunter2@127.0.0.1/users",
        "postgres://root:hunter2@127.0.0.1:99999/users",
        "postgres://root:hunter2@/users here?x",
    ] {
        let home = ProgramFixture::on_sqlite().with("DATABASE_URL", url);
        assert_fails(&home.run(&["serve"]).await, 2, &["database.url", "DATABASE_URL"]);
    }
}

#[tokio::test]
async fn all_errors_of_the_configuration_are_reported_at_once_with_the_nearest_valid_key() {
    let home = ProgramFixture::bare();
    home.write(
        "usersync.toml",
        r#"
        [server]
        listn = "127.0.0.1:0"
        body_limit = "much"
        [database]
        url = "mysql://root:hunter2@127.0.0.1/users"
        [[sources]]
        name = "clerk"
        provider = "clerk"
        webhook_secrets = ["whsec_hunter2!"]
        [[sources.tokens]]
        type = "oidc"
        domain = "http://clerk.example.com"
        aplicationID = "convex"
        "#,
    );
    let expected = [
        "server.listn: is not a known key; did you mean `listen`?",
        "aplicationID: is not a known key; did you mean `applicationID`?",
        "server.body_limit: `much` is not a size",
        "database.url: ",
        "sources[0].webhook_secrets[0]: ",
        "sources[0].tokens[0].domain: uses http://",
        "USERSYNC_SERVER__LISTEM: sets no known key; did you mean USERSYNC_SERVER__LISTEN?",
    ];
    let home = home.with("USERSYNC_SERVER__LISTEM", "127.0.0.1:0");
    for arguments in [&["serve"][..], &["migrate"], &["keys", "list"]] {
        assert_fails(&home.run(arguments).await, 2, &expected);
    }
}

#[tokio::test]
async fn a_toml_syntax_error_is_reported_by_its_line_only() {
    let home = ProgramFixture::bare();
    home.write("other.toml", "[database]\nurl = postgres://root:hunter2@127.0.0.1/users\n");
    assert_fails(&home.run(&["serve", "--config", "other.toml"]).await, 2, &["other.toml:2"]);
}

#[tokio::test]
async fn the_flag_overrides_the_variable_and_an_empty_variable_names_no_file() {
    let mut home = ProgramFixture::bare().with("USERSYNC_CONFIG", "");
    assert_eq!(home.run(&["migrate", "--status"]).await.code, Some(0));
    home.set("USERSYNC_CONFIG", "nowhere.toml");
    assert_fails(&home.run(&["migrate", "--status"]).await, 2, &["nowhere.toml"]);
    home.write("here.toml", "");
    assert_eq!(home.run(&["migrate", "--status", "--config", "here.toml"]).await.code, Some(0));
}

#[tokio::test]
async fn a_log_outside_a_terminal_has_no_colours() {
    let home = ProgramFixture::on_sqlite();
    let said = home.serve().await.stop().await;
    assert!(said.stderr.contains("ready") && !said.stderr.contains('\x1b'), "{}", said.stderr);
}

#[tokio::test]
async fn an_empty_part_of_the_log_filter_is_ignored() {
    let home = ProgramFixture::on_sqlite().with("RUST_LOG", "usersync=info,");
    let said = home.serve().await.stop().await;
    assert!(said.stderr.contains("ready"), "{}", said.stderr);
}

#[tokio::test]
async fn json_logs_are_one_object_per_line_with_the_request_id() {
    let home = ProgramFixture::on_sqlite().with("USERSYNC_LOG__FORMAT", "json");
    let service = home.serve().await;
    let client = home.client(&service).await;
    let named = |path| client.request(reqwest::Method::GET, path).header("x-request-id", "trace-42");
    assert_eq!(answer(named("/v1/users/current")).await.status, 401);
    let delivered = client.send(client.signed(CREATED)).await;
    assert_eq!(delivered.brief(), "200 applied");
    let said = service.stop().await;

    let lines: Vec<Value> = said.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |id: &str| lines.iter().filter(|line| line["span"]["request_id"] == id).collect::<Vec<_>>();
    let refused = of("trace-42");
    assert_eq!(refused.len(), 1, "{}", said.stderr);
    assert_eq!(
        (&refused[0]["level"], &refused[0]["code"], &refused[0]["status"]),
        (&"WARN".into(), &"invalid_auth_header".into(), &401.into())
    );
    let applied = of(delivered.header("x-request-id"));
    assert!(applied.iter().any(|line| line["outcome"] == "applied"), "{}", said.stderr);
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["target"].is_string()));
}

#[tokio::test]
async fn a_refused_connection_is_reported_in_the_database_s_own_words() {
    let home = ProgramFixture::bare().with("DATABASE_URL", "postgres://me@127.0.0.1:1/users");
    assert_fails(&home.run(&["migrate"]).await, 1, &["refused", "check DATABASE_URL"]);
}
