//! A database whose encoding is not UTF8 and lacks letters of people's names.

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::{ADA, CREATED, DELETED};

#[tokio::test]
async fn in_latin1_a_delivery_is_parked_and_a_lookup_finds_no_user() {
    let Some(mut home) = ProgramFixture::on_postgres().await else { return };
    let owner = home.database().await;
    let sql = "SELECT current_database() || '_latin'";
    let row = owner.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    let name: String = row.unwrap().try_get_by_index(0).unwrap();
    let create = format!(
        "CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    owner.execute_unprepared(&create).await.unwrap();
    let mut url: url::Url = home.variable("DATABASE_URL").parse().unwrap();
    url.set_path(&name);
    home.set("DATABASE_URL", url.to_string());

    let said = home.run(&["migrate"]).await;
    assert!(said.code == Some(0) && said.stderr.contains("LATIN1"), "{said:?}");
    assert!(home.run(&["doctor"]).await.stdout.contains("LATIN1"));
    let service = home.serve().await;
    let client = home.client(&service).await;
    for event in [
        CREATED.replace("\"Ada\"", "\"Łukasz 🎉\""),
        CREATED.replace(ADA, "user_Łukasz"),
        DELETED.replace(ADA, "user_Łukasz"),
    ] {
        assert_eq!(client.deliver(event.clone()).await, "200 parked");
    }
    // What the encoding has is stored as ever, beside those.
    assert_eq!(client.deliver(CREATED.replace("\"Ada\"", "\"Zoë\"")).await, "200 applied");
    assert_eq!(client.rows().await[0]["givenName"], "Zoë");
    for query in ["?source=clerk&externalId=user_%C5%81ukasz", "?email=%C5%81%40example.com"] {
        let found = client.list(query).await;
        assert_eq!((found.status, found.json()["users"].as_array().unwrap().len()), (200, 0), "{found:?}");
    }
    service.stop().await;
    let listed = home.run(&["replay", "--parked", "--list"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let gone = format!("DROP DATABASE \"{name}\" WITH (FORCE)");
    owner.execute_unprepared(&gone).await.unwrap();
    owner.close().await.unwrap();
}
