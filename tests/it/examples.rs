//! The examples, run as their readers run them.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use usersync::internals::clock::Clock;

use crate::support::app::{APPLICATION_ID, SECRET};
use crate::support::binary::{PROGRAM, Process, ProgramFixture};
use crate::support::client::fixture::{ADA, CREATED, CREATED_GOOGLE, DELETED, GRACE};
use crate::support::client::{Client, answer};
use crate::support::provider::Provider;
use crate::support::signer::rsa;
use crate::support::{has_curl, not_run};

/// The example as it was built; `None`, with a warning, if it was not.
fn program() -> Option<Command> {
    let program = Path::new(PROGRAM).with_file_name("examples").join("messages");
    if !program.exists() {
        not_run("the example messages", "`cargo build --examples` builds it, as `cargo test` does");
        return None;
    }
    Some(Command::new(program))
}

/// It runs, with the addresses of its app and of usersync.
async fn messages(home: &ProgramFixture) -> Option<(Process, [String; 2])> {
    let mut process = home.spawn(&mut program()?);
    let line = process.line_with("messages at").await;
    let (app, usersync) = line.trim_start_matches("messages at ").split_once(", usersync at ").unwrap();
    Some((process, [app.to_owned(), usersync.to_owned()]))
}

fn home() -> ProgramFixture {
    ProgramFixture::bare()
        .with("MESSAGES_LISTEN", "127.0.0.1:0")
        .with("USERSYNC_SERVER__LISTEN", "127.0.0.1:0")
}

#[tokio::test]
async fn messages_show_the_authors_name_until_the_author_is_deleted() {
    let (provider, signer) = (Provider::start(), rsa("key_1"));
    provider.publish(&[&signer]);
    let home = home().with("CLERK_WEBHOOK_SECRET", SECRET).with("CLERK_JWT_ISSUER_DOMAIN", provider.url(""));
    let Some((process, [app, usersync])) = messages(&home).await else { return };
    let (app, usersync) = [app, usersync].map(|url| Client::new(url, String::new(), Clock::system())).into();
    let now = Clock::system().now().as_seconds();
    let [ada, grace] = [ADA, GRACE].map(|subject| {
        let (iss, aud) = (provider.url(""), APPLICATION_ID);
        signer.token(&json!({"iss": iss, "sub": subject, "aud": aud, "iat": now, "exp": now + 60}))
    });
    let send = async |token: &str, body: &str| {
        answer(
            app.request(Method::POST, "/messages")
                .bearer_auth(token)
                .body(json!({"body": body}).to_string())
                .header("content-type", "application/json"),
        )
        .await
    };

    assert_eq!(app.get("/messages").await.brief(), "401 invalid_auth_header");
    assert_eq!(send(&ada, "Too early").await.brief(), "404 user_not_synced");
    assert_eq!(usersync.deliver(CREATED).await, "200 applied");
    assert_eq!(usersync.deliver(CREATED_GOOGLE).await, "200 applied");
    assert_eq!(send(&ada, "Hello").await.status, 201);
    assert_eq!(send(&grace, "Hello, Ada").await.status, 201);
    let listed = app.get_as(&ada, "/messages").await.json();
    assert_eq!(
        listed,
        json!([
            {"author": "Ada Lovelace", "body": "Hello"}, {"author": "Grace Hopper", "body": "Hello, Ada"},
        ])
    );

    assert_eq!(usersync.deliver(DELETED).await, "200 applied");
    assert_eq!(send(&ada, "Still here").await.brief(), "410 user_deleted");
    assert_eq!(app.get_as(&ada, "/messages").await.brief(), "410 user_deleted");
    let listed = app.get_as(&grace, "/messages").await.json();
    assert_eq!((listed[0]["author"].clone(), listed.as_array().unwrap().len()), (Value::Null, 2));
    process.stop().await;
}

#[tokio::test]
async fn every_command_that_messages_prints_works_beside_dev() {
    if !has_curl() {
        return;
    }
    let home = home();
    let mut dev = home.start(&["dev", "--listen", "127.0.0.1:0"]);
    dev.line_with("Press Ctrl-C to stop").await;
    let Some((mut process, _)) = messages(&home).await else { return };
    process.line_with("user_deleted.json").await;
    let paste = async |title: &str| {
        // A reader has the sources there; the test has the program.
        let script = process.printed(title).replace("cargo run -q --", &format!("'{PROGRAM}'"));
        home.shell(&script).await.stdout
    };
    assert!(paste("the provider sends a user").await.contains("applied"));
    let listed = paste("send a message as her, and list all").await;
    assert_eq!(listed, r#"[{"author":"Ada Lovelace","body":"Hello"}]"#);
    assert!(paste("delete her").await.contains("applied"));
    let refused = paste("send a message as her, and list all").await;
    assert_eq!(refused.matches("user_deleted\"").count(), 4, "type and code, twice: {refused}");
    process.stop().await;
    dev.stop().await;
}

#[tokio::test]
async fn messages_prints_what_to_start_first() {
    let Some(mut program) = program() else { return };
    let said = home().spawn(&mut program).end().await;
    assert!(said.code == Some(1) && said.stderr.contains("cargo run -- dev"), "{said:?}");
}
