//! Tests of the helpers that the other tests use.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::support::postgres::{self, Template};

#[tokio::test]
async fn a_database_is_created_cloned_and_dropped() {
    let Some(server) = postgres::server().await else { return };
    let (original, clone) = (server.unique_name(), server.unique_name());
    server.create_database(&original, None).await.unwrap();
    prepare(server.url(&original)).await.unwrap();
    server.create_database(&clone, Some(&original)).await.unwrap();

    let database = connect(&server.url(&clone)).await.unwrap();
    assert_eq!(count(&database, "SELECT count(*) FROM kept").await, 1);

    // The clone is still connected to, as a test that panicked leaves it.
    server.drop_database(&original).await.unwrap();
    server.drop_database(&clone).await.unwrap();
    let listed = format!("SELECT count(*) FROM pg_database WHERE datname IN ('{original}', '{clone}')");
    let database = connect(&server.url("postgres")).await.unwrap();
    assert_eq!(count(&database, &listed).await, 0);
}

#[tokio::test]
async fn every_test_has_its_own_clone() {
    static TEMPLATE: Template = Template::new("support_works");
    let clones = futures_util::future::join_all((0..8).map(|_| TEMPLATE.database(prepare))).await;
    let Some(clones) = clones.into_iter().collect::<Option<Vec<_>>>() else { return };

    for (number, clone) in clones.iter().enumerate() {
        let database = connect(&clone.url()).await.unwrap();
        for _ in 0..number {
            database.execute_unprepared("INSERT INTO kept VALUES (2)").await.unwrap();
        }
        database.close().await.unwrap();
    }
    for (number, clone) in (1..).zip(&clones) {
        let database = connect(&clone.url()).await.unwrap();
        assert_eq!(count(&database, "SELECT count(*) FROM kept").await, number, "{}", clone.name());
        database.close().await.unwrap();
    }
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    sea_orm::Database::connect(url).await
}

async fn prepare(url: String) -> Result<(), DbErr> {
    let database = connect(&url).await?;
    database.execute_unprepared("CREATE TABLE kept (value integer)").await?;
    database.execute_unprepared("INSERT INTO kept VALUES (1)").await?;
    database.close().await
}

async fn count(database: &DatabaseConnection, query: &str) -> i64 {
    let query = Statement::from_string(DbBackend::Postgres, query);
    database.query_one_raw(query).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}
