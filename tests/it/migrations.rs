//! Each migration can be undone and applied again while the tables have rows.

use migration::{Migrator, MigratorTrait as _};
use sea_orm::Database;
use secrecy::ExposeSecret as _;

use crate::support::app::TestApp;
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
