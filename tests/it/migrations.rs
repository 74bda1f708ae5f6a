//! Each migration can be undone and applied again while the tables have rows; a database of a newer version is refused.

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use secrecy::ExposeSecret as _;

use crate::support::app::TestApp;
use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::{CREATED, CREATED_GOOGLE, DELETED};

async fn the_last_migration_can_be_undone_and_reapplied_without_changing_rows(app: &TestApp) {
    for event in [CREATED, CREATED_GOOGLE, DELETED] {
        assert_eq!(app.client.deliver(event).await, "200 applied");
    }
    let (rows, journal) = (app.client.rows().await, app.journal().await);
    let database = Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    Migrator::down(&database, Some(1)).await.unwrap();
    assert!(app.store.migrations().await.unwrap().iter().any(|one| !one.applied));
    Migrator::up(&database, None).await.unwrap();
    database.close().await.unwrap();
    assert_eq!((app.client.rows().await, app.journal().await), (rows, journal));
    assert_eq!(app.client.deliver(CREATED).await, "200 stale");
}

on_both_databases!(the_last_migration_can_be_undone_and_reapplied_without_changing_rows);

async fn every_migration_can_be_undone(app: &TestApp) {
    let database = Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    Migrator::down(&database, None).await.unwrap();
    assert!(app.store.migrations().await.unwrap().iter().all(|one| !one.applied));
    Migrator::up(&database, None).await.unwrap();
    database.close().await.unwrap();
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
}

on_both_databases!(every_migration_can_be_undone);

/// A migration that no version has yet.
const UNKNOWN: &str = "m20991231_000001_from_the_future";

async fn note(database: &DatabaseConnection) {
    let sql = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{UNKNOWN}', 1)");
    database.execute_unprepared(&sql).await.unwrap();
}

async fn a_database_of_a_newer_version_is_refused_at_the_start(home: &mut ProgramFixture) {
    assert_eq!(home.run(&["migrate"]).await.code, Some(0));
    let database = home.database().await;
    note(&database).await;
    database.close().await.unwrap();
    home.write("users.json", "[]");
    for command in [
        &["serve"][..],
        &["migrate"],
        &["migrate", "--status"],
        &["keys", "list"],
        &["replay", "--journal"],
        &["backfill", "clerk", "--file", "users.json"],
    ] {
        let said = home.run(command).await;
        assert_eq!(said.code, Some(1), "{command:?}: {said:?}");
        assert!(said.stderr.contains("a newer version of usersync has migrated"), "{command:?}: {said:?}");
        assert!(said.stderr.contains(UNKNOWN) && said.stderr.contains("backup"), "{command:?}: {said:?}");
    }
    let said = home.run(&["doctor"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stdout.contains("ERROR") && said.stdout.contains("a newer version of usersync"), "{said:?}");
}

on_both_databases!(a_database_of_a_newer_version_is_refused_at_the_start, with ProgramFixture);

async fn a_replica_goes_on_while_a_newer_version_is_rolled_out(app: &TestApp) {
    let database = Database::connect(app.config.database.url.expose_secret()).await.unwrap();
    note(&database).await;
    database.close().await.unwrap();
    assert_eq!(app.client.get("/readyz").await.status, 200);
    assert_eq!(app.client.deliver(CREATED).await, "200 applied");
}

on_both_databases!(a_replica_goes_on_while_a_newer_version_is_rolled_out);
