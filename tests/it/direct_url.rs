//! `direct_url` has to lead to the database of `url`.

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::support::binary::{ProgramFixture, ProgramOutput};
use crate::support::client::fixture::CREATED;
use crate::support::postgres;

/// Nothing listens here.
const UNREACHABLE: &str = "postgres://me:pass_word@127.0.0.1:9/users";

/// A level, and words that stand in one line of doctor's report with it.
#[track_caller]
fn assert_finds(said: &ProgramOutput, level: &str, what: &str) {
    let found = said.stdout.lines().any(|line| line.trim_start().starts_with(level) && line.contains(what));
    assert!(found, "no {level} with {what:?} in {said:?}");
}

/// A command that failed because of `direct_url`, and named nothing else.
#[track_caller]
fn assert_refused(said: &ProgramOutput, what: &str) {
    let told = format!("{}{}", said.stdout, said.stderr);
    assert_eq!(said.code, Some(1), "{told}");
    assert!(told.contains(what) && told.contains("DIRECT_URL"), "{told}");
    assert!(!told.contains("pass_word"), "{told}");
}

#[tokio::test]
async fn the_same_database_is_used() {
    let Some(mut home) = ProgramFixture::with_plain_search_path().await else { return };
    let url = home.variable("DATABASE_URL").to_owned();
    home.set("DIRECT_URL", url);
    let said = home.run(&["doctor"]).await;
    assert_finds(&said, "ok", "`direct_url` leads to the same database");
    let service = home.serve().await;
    assert_eq!(home.client(&service).await.deliver(CREATED).await, "200 applied");
    service.stop().await;
    let said = home.run(&["doctor"]).await;
    assert_finds(&said, "ok", "`direct_url` leads to the same database");
}

#[tokio::test]
async fn another_database_is_refused_and_not_touched() {
    let Some(mut home) = ProgramFixture::with_plain_search_path().await else { return };
    let Some(other) = postgres::empty_database().await else { return };
    home.set("DIRECT_URL", other.url());
    let refused = "`direct_url` leads to another database than `url`";
    for is_migrated in [false, true] {
        for command in ["migrate", "serve", "doctor"] {
            assert_refused(&home.run(&[command]).await, refused);
        }
        assert_finds(&home.run(&["doctor"]).await, "ERROR", refused);
        if !is_migrated {
            let database = sea_orm::Database::connect(other.url()).await.unwrap();
            let sql = "SELECT 1 FROM pg_namespace WHERE nspname = 'usersync'";
            let found =
                database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
            assert!(found.is_none(), "the other database was migrated");
            database.close().await.unwrap();
            let url = home.variable("DATABASE_URL").to_owned();
            home.set("DIRECT_URL", url);
            assert_eq!(home.run(&["migrate"]).await.code, Some(0));
            home.set("DIRECT_URL", other.url());
        }
    }
}

#[tokio::test]
async fn an_unreachable_address_is_named_and_needed_only_for_migrations() {
    let Some(mut home) = ProgramFixture::with_plain_search_path().await else { return };
    home.set("DIRECT_URL", UNREACHABLE);
    let unreachable = "`direct_url` cannot be used: the database is unavailable";
    for command in ["migrate", "serve", "doctor"] {
        let said = home.run(&[command]).await;
        assert_refused(&said, unreachable);
        assert!(!said.stdout.contains("DATABASE_URL") && !said.stderr.contains("DATABASE_URL"), "{said:?}");
    }
    let url = home.variable("DATABASE_URL").to_owned();
    home.set("DIRECT_URL", url);
    assert_eq!(home.run(&["migrate"]).await.code, Some(0));
    home.set("DIRECT_URL", UNREACHABLE);
    let said = home.run(&["doctor"]).await;
    assert_finds(&said, "WARNING", unreachable);
    let said = home.run(&["migrate"]).await;
    assert!(said.code == Some(0) && said.stderr.contains(unreachable), "{said:?}");
    let service = home.serve().await;
    assert_eq!(home.client(&service).await.deliver(CREATED).await, "200 applied");
    let log = service.stop().await.stderr;
    assert!(log.contains(unreachable) && !log.contains("pass_word"), "{log}");
}
