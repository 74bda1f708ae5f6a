//! Few connections: a replica opens at most `max_connections`, and waits for one of its own.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::support::binary::ProgramFixture;
use crate::support::client::Client;
use crate::support::client::fixture::{ADA, CREATED};
use crate::support::forwarder::Forwarder;

/// A fixture whose role may have this many connections. The role is dropped after the test.
struct LimitedRole {
    home: ProgramFixture,
    owner: DatabaseConnection,
    role: String,
}

impl LimitedRole {
    async fn with_limit(limit: u32) -> Option<Self> {
        let mut home = ProgramFixture::on_postgres().await?;
        let owner = home.database().await;
        let mut url: url::Url = home.variable("DATABASE_URL").parse().unwrap();
        let name = url.path().trim_start_matches('/').to_owned();
        let role = format!("few_{name}");
        for sql in [
            format!("CREATE ROLE \"{role}\" LOGIN PASSWORD 'few' CONNECTION LIMIT {limit}"),
            format!("GRANT CREATE ON DATABASE \"{name}\" TO \"{role}\""),
        ] {
            owner.execute_unprepared(&sql).await.unwrap();
        }
        url.set_username(&role).unwrap();
        url.set_password(Some("few")).unwrap();
        home.set("DATABASE_URL", url.to_string());
        Some(Self { home, owner, role })
    }

    async fn connections(&self) -> i64 {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.role);
        let row = self.owner.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    }

    async fn finish(self) {
        let sql = format!("DROP OWNED BY \"{0}\"; DROP ROLE \"{0}\"", self.role);
        while self.connections().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.owner.execute_unprepared(&sql).await.unwrap();
        self.owner.close().await.unwrap();
    }
}

/// 160 deliveries, 16 at a time, with look-ups between them; how many were not taken.
async fn refused_of_many(client: &Client) -> usize {
    let sent = futures_util::stream::iter(0..160).map(async |number: u32| {
        let event = CREATED.replace(ADA, &format!("user_{number}"));
        let query = format!("?externalId=user_{number}");
        let (delivered, found) = tokio::join!(client.deliver(event), client.list(&query));
        assert_eq!(found.status, 200, "{query}");
        delivered
    });
    let outcomes: Vec<String> = sent.buffer_unordered(16).collect().await;
    outcomes.iter().filter(|outcome| *outcome != "200 applied").count()
}

#[tokio::test]
async fn a_role_with_few_connections_takes_every_delivery() {
    for (limit, max_connections) in [(3, "3"), (5, "20"), (5, "4")] {
        let Some(narrow) = LimitedRole::with_limit(limit).await else { return };
        let key = narrow.home.key("tests").await;
        let mut home = narrow;
        home.home.set("USERSYNC_DATABASE__MAX_CONNECTIONS", max_connections);
        let service = home.home.serve().await;
        let client = Client::new(
            format!("http://{}", service.address),
            key,
            usersync::internals::clock::Clock::system(),
        );
        assert_eq!(refused_of_many(&client).await, 0, "limit {limit}, max_connections {max_connections}");
        assert_eq!(client.get("/readyz").await.status, 200);
        service.stop().await;
        home.finish().await;
    }
}

/// Each connection costs the server a process.
#[tokio::test]
async fn no_attempt_to_connect_is_given_up_because_a_connection_is_returned_meanwhile() {
    let Some(mut home) = ProgramFixture::on_postgres().await else { return };
    let forwarder = Forwarder::to(home.variable("DATABASE_URL")).await;
    let url = forwarder.url(home.variable("DATABASE_URL"));
    home.set("DATABASE_URL", url);
    home.set("USERSYNC_DATABASE__MAX_CONNECTIONS", "10");
    let service = home.serve().await;
    let client = home.client(&service).await;
    let before = forwarder.accepted();
    // So connecting takes longer than a delivery, and a connection in use is free again first.
    forwarder.delay_by(Duration::from_millis(30));
    assert_eq!(refused_of_many(&client).await, 0);
    let more = forwarder.accepted() - before;
    assert!(more <= 10, "{more} more connections");
    service.stop().await;
}

#[tokio::test]
async fn without_a_second_connection_at_the_start_the_log_says_what_is_missing() {
    let Some(narrow) = LimitedRole::with_limit(1).await else { return };
    let service = narrow.home.serve().await;
    let log = service.log();
    assert!(log.contains("the database gave no second connection at the start"), "{log}");
    assert!(!log.contains("seems to be behind a pooler"), "{log}");
    service.stop().await;
    narrow.finish().await;
}

#[tokio::test]
async fn a_replica_opens_no_more_than_its_maximum_of_connections() {
    let Some(mut narrow) = LimitedRole::with_limit(5).await else { return };
    narrow.home.set("USERSYNC_DATABASE__MAX_CONNECTIONS", "3");
    let key = narrow.home.key("tests").await;
    let service = narrow.home.serve().await;
    let client =
        Client::new(format!("http://{}", service.address), key, usersync::internals::clock::Clock::system());
    let (refused, most) = tokio::join!(refused_of_many(&client), async {
        let mut most = 0;
        for _ in 0..20 {
            most = most.max(narrow.connections().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    });
    assert_eq!(refused, 0);
    assert!(most <= 3, "{most} connections");
    // Commands need one each.
    for arguments in [&["doctor"][..], &["keys", "list"], &["keys", "create", "second"], &["migrate"]] {
        let said = narrow.home.run(arguments).await;
        assert!(!said.stderr.contains("53300") && !said.stdout.contains("ERROR"), "{arguments:?}: {said:?}");
    }
    service.stop().await;
    narrow.finish().await;
}

#[tokio::test]
async fn a_command_needs_one_connection_and_names_the_reason_if_there_is_none() {
    let Some(narrow) = LimitedRole::with_limit(1).await else { return };
    for arguments in
        [&["migrate"][..], &["keys", "create", "first"], &["keys", "list"], &["replay", "--journal"]]
    {
        let said = narrow.home.run(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
    }
    let taken = sea_orm::Database::connect(narrow.home.variable("DATABASE_URL")).await.unwrap();
    let started = Instant::now();
    for arguments in [&["keys", "list"][..], &["doctor"], &["migrate"], &["serve"]] {
        let said = narrow.home.run(arguments).await;
        let output = format!("{}{}", said.stdout, said.stderr);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(output.contains("53300") && output.contains("max_connections"), "{arguments:?}: {output}");
    }
    assert!(started.elapsed() < Duration::from_mins(1));
    taken.close().await.unwrap();
    narrow.finish().await;
}

#[tokio::test]
async fn the_server_stops_a_read_that_timed_out() {
    let Some(home) = ProgramFixture::on_postgres().await else { return };
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    let owner = home.database().await;
    let running = async || -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'usersync' AND state = 'active' AND query LIKE '%users%'";
        let row = owner.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
        row.unwrap().try_get_by_index(0).unwrap()
    };
    // So slow that no limit of a client could be the reason for its end.
    let holder = sea_orm::Database::connect(home.variable("DATABASE_URL")).await.unwrap();
    let held = sea_orm::TransactionTrait::begin(&holder).await.unwrap();
    held.execute_unprepared("LOCK TABLE usersync.users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answers = futures_util::future::join_all((0..5).map(|_| client.list("?limit=1"))).await;
    assert!(answers.iter().all(|answer| answer.status == 503), "{answers:?}");
    let given_up = Instant::now();
    while running().await > 0 {
        assert!(given_up.elapsed() < Duration::from_secs(5), "a read runs on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sea_orm::DatabaseTransaction::rollback(held).await.unwrap();
    // The connections work as before.
    assert_eq!(client.rows().await.len(), 1);
    holder.close().await.unwrap();
    owner.close().await.unwrap();
    service.stop().await;
}
