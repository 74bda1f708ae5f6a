//! The tables are in a schema of their own, and no other role may read or write them, whatever the database's default
//! privileges are.

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use crate::support::binary::{ProgramFixture, ProgramOutput};
use crate::support::client::fixture::{ADA, CREATED};

const TABLES: [&str; 14] = [
    "users",
    "tombstones",
    "journal",
    "api_keys",
    "runs",
    "run_users",
    "leases",
    "watches",
    "outbox",
    "endpoints",
    "endpoint_events",
    "admin_sessions",
    "admin_audit",
    "seaql_migrations",
];

/// Whether anything is found by this statement.
async fn finds(database: &DatabaseConnection, sql: &str) -> bool {
    database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().is_some()
}

/// As Supabase is set up: a role that everyone on the internet has gets every new table and schema.
async fn open_defaults(database: &DatabaseConnection) -> String {
    let sql = "SELECT current_database()::text";
    let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    // Roles are the server's, and other tests have theirs.
    let role = format!("anon_{}", row.unwrap().try_get_by_index::<String>(0).unwrap().replace('-', "_"));
    for sql in [
        format!("CREATE ROLE \"{role}\" NOLOGIN"),
        format!("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO \"{role}\", PUBLIC"),
        format!("ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO \"{role}\", PUBLIC"),
        format!("GRANT USAGE ON SCHEMA public TO \"{role}\""),
    ] {
        database.execute_unprepared(&sql).await.unwrap();
    }
    role
}

async fn drop_role(database: &DatabaseConnection, role: &str) {
    let sql = format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"");
    database.execute_unprepared(&sql).await.unwrap();
}

async fn migrate(home: &ProgramFixture) -> ProgramOutput {
    let said = home.run(&["migrate"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    said
}

#[tokio::test]
async fn default_privileges_grant_no_other_role_access_in_either_schema() {
    for schema in ["usersync", "public", "order"] {
        let Some(home) = ProgramFixture::with_plain_search_path().await else { return };
        let home = home.with("USERSYNC_DATABASE__SCHEMA", schema);
        let database = home.database().await;
        let role = open_defaults(&database).await;
        migrate(&home).await;
        let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
        for table in TABLES {
            let place = format!("{quoted}.{table}");
            assert!(
                finds(&database, &format!("SELECT '{place}'::regclass::text")).await,
                "{place} is not there"
            );
            let sql = format!(
                "SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS p
                 WHERE has_table_privilege('{role}', '{place}', p)"
            );
            assert!(!finds(&database, &sql).await, "{role} may touch {place}");
        }
        let listed = TABLES.join(" ");
        let unknown = format!(
            "SELECT 1 FROM pg_tables WHERE schemaname = '{schema}' AND NOT tablename = ANY(string_to_array('{listed}', ' '))"
        );
        assert!(!finds(&database, &unknown).await, "a migration made a table that is not tested here");
        let said = home.run(&["doctor"]).await;
        assert!(!said.stdout.contains(&role) && !said.stdout.contains("PUBLIC may"), "{said:?}");
        drop_role(&database, &role).await;
        database.close().await.unwrap();
    }
}

#[tokio::test]
async fn doctor_names_each_role_that_may_touch_what_it_should_not() {
    let Some(home) = ProgramFixture::with_plain_search_path().await else { return };
    migrate(&home).await;
    let database = home.database().await;
    let role = open_defaults(&database).await;
    for (grant, level, what) in [
        ("SELECT ON usersync.journal", "ERROR", "may SELECT on \"usersync\".\"journal\""),
        ("INSERT ON usersync.api_keys", "ERROR", "may INSERT on \"usersync\".\"api_keys\""),
        ("UPDATE (email) ON usersync.users", "ERROR", "may UPDATE on \"usersync\".\"users\""),
        ("SELECT ON usersync.users", "ok", "may SELECT on \"usersync\".\"users\""),
    ] {
        database.execute_unprepared(&format!("GRANT {grant} TO \"{role}\"")).await.unwrap();
        let said = home.run(&["doctor"]).await;
        let is_found = said
            .stdout
            .lines()
            .any(|line| line.trim_start().starts_with(level) && line.contains(&role) && line.contains(what));
        assert!(is_found, "no {level} of {grant} in {said:?}");
        if level == "ERROR" {
            assert_eq!(said.code, Some(1));
            let table = grant.split(' ').next_back().unwrap();
            let fix = format!(
                "REVOKE ALL ON \"usersync\".\"{}\" FROM \"{role}\";",
                table.split('.').nth(1).unwrap()
            );
            assert!(said.stdout.contains(&fix), "{fix} in {said:?}");
            // The advice works.
            database.execute_unprepared(&fix).await.unwrap();
        }
    }
    for table in TABLES {
        database
            .execute_unprepared(&format!("GRANT DELETE ON usersync.{table} TO \"{role}\""))
            .await
            .unwrap();
    }
    let said = home.run(&["doctor"]).await;
    for table in TABLES {
        assert!(said.stdout.contains(&format!("on \"usersync\".\"{table}\"")), "{table}: {said:?}");
    }
    // What an administrator grants on users is meant, and stays when the service starts again.
    migrate(&home).await;
    assert!(
        finds(
            &database,
            &format!("SELECT 1 WHERE has_table_privilege('{role}', 'usersync.users', 'SELECT')")
        )
        .await
    );
    drop_role(&database, &role).await;
    database.close().await.unwrap();
}

/// Roles with a login: members of one that was granted access, of the owner, of one that reads everything, and others.
#[tokio::test]
async fn doctor_names_each_role_that_reaches_the_tables_as_a_member_of_another() {
    let Some(home) = ProgramFixture::with_plain_search_path().await else { return };
    migrate(&home).await;
    let database = home.database().await;
    let sql = "SELECT current_database()::text, current_setting('server_version_num')::int";
    let row =
        database.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
    let (name, version): (String, i32) = (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
    let role = |label: &str| format!("{label}_{name}");
    let [team, reader, indirect, member, outside, without_login, everything, app] =
        ["team", "reader", "indirect", "member", "outside", "nologin", "everything", "app"].map(role);
    let created = [
        (&team, "NOLOGIN"),
        (&reader, "NOLOGIN"),
        (&indirect, "LOGIN"),
        // It has the privileges only after SET ROLE.
        (&member, "LOGIN NOINHERIT"),
        (&outside, "LOGIN"),
        (&without_login, "NOLOGIN"),
        (&everything, "LOGIN"),
        (&app, "LOGIN"),
    ];
    for (role, options) in created {
        database.execute_unprepared(&format!("CREATE ROLE \"{role}\" {options}")).await.unwrap();
    }
    for sql in [
        format!("GRANT SELECT, DELETE ON usersync.journal TO \"{team}\""),
        format!("GRANT SELECT ON usersync.users TO \"{team}\", \"{reader}\""),
        format!("GRANT \"{team}\" TO \"{member}\", \"{without_login}\""),
        format!("GRANT \"{without_login}\" TO \"{indirect}\""),
        // An application's role may read users, by a group too.
        format!("GRANT \"{reader}\" TO \"{app}\""),
    ] {
        database.execute_unprepared(&sql).await.unwrap();
    }
    let has_read_all = version >= 140_000;
    if has_read_all {
        let sql = format!("GRANT pg_read_all_data TO \"{everything}\"");
        database.execute_unprepared(&sql).await.unwrap();
    }
    if version >= 160_000 {
        // It may only admit others.
        let sql = format!("GRANT \"{team}\" TO \"{outside}\" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE");
        database.execute_unprepared(&sql).await.unwrap();
    }
    let warned = |said: &ProgramOutput, role: &str| {
        let line = said.stdout.lines().position(|line| {
            line.contains("WARNING") && line.contains(&format!("the role {role}, a member of "))
        })?;
        Some(said.stdout.lines().skip(line).take(3).collect::<Vec<_>>().join("\n"))
    };
    let said = home.run(&["doctor"]).await;
    for (role, group) in [(&member, &team), (&indirect, &without_login)] {
        let told = warned(&said, role).unwrap_or_else(|| panic!("{role} is not in {said:?}"));
        let what = format!(
            "a member of {group}, may DELETE, SELECT on \"usersync\".\"journal\", \"usersync\".\"users\"\n"
        );
        let fix = format!("REVOKE \"{group}\" FROM \"{role}\";");
        assert!(told.contains(&what) && told.contains(&fix), "{told}");
        // The advice works.
        database.execute_unprepared(&fix).await.unwrap();
    }
    for role in [&outside, &without_login, &app, &team, &reader] {
        assert_eq!(warned(&said, role), None);
    }
    let told = warned(&said, &everything);
    assert_eq!(told.is_some(), has_read_all, "{said:?}");
    if let Some(told) = told {
        for table in TABLES {
            assert!(told.contains(&format!("\"usersync\".\"{table}\"")), "{table} is not in {told}");
        }
        assert!(
            told.contains("may SELECT on") && told.contains("REVOKE \"pg_read_all_data\" FROM"),
            "{told}"
        );
    }
    let said = home.run(&["doctor"]).await;
    for role in [&member, &indirect] {
        assert_eq!(warned(&said, role), None);
    }
    for (role, _) in created {
        drop_role(&database, role).await;
    }
    database.close().await.unwrap();
}

#[tokio::test]
async fn the_service_works_whatever_the_search_path_is() {
    for schema in ["usersync", "elsewhere"] {
        let Some(mut home) = ProgramFixture::with_plain_search_path().await else { return };
        home.set("USERSYNC_DATABASE__SCHEMA", schema);
        // Another program's tables of the same names, which our own statements must never meet.
        let database = home.database().await;
        for table in TABLES {
            database.execute_unprepared(&format!("CREATE TABLE {table} (theirs int)")).await.unwrap();
        }
        // One of the tables alone is not an installation of usersync.
        database.execute_unprepared("DROP TABLE tombstones").await.unwrap();
        let service = home.serve().await;
        let client = home.client(&service).await;
        assert_eq!(client.deliver(CREATED).await, "200 applied");
        assert_eq!(client.deliver(CREATED).await, "200 stale");
        assert_eq!(client.rows().await[0]["externalId"], ADA);
        assert_eq!(client.get("/readyz").await.status, 200);
        service.stop().await;
        for arguments in
            [&["replay", "--journal"][..], &["replay", "--rebuild"], &["keys", "list"], &["doctor"]]
        {
            let said = home.run(arguments).await;
            assert!(!said.stderr.contains("database"), "{arguments:?}: {said:?}");
        }
        assert!(finds(&database, &format!("SELECT 1 FROM {schema}.users WHERE external_id = '{ADA}'")).await);
        database.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_has_the_tables_elsewhere_is_refused_with_both_ways_out() {
    let Some(mut home) = ProgramFixture::with_plain_search_path().await else { return };
    home.set("USERSYNC_DATABASE__SCHEMA", "public");
    let service = home.serve().await;
    assert_eq!(home.client(&service).await.deliver(CREATED).await, "200 applied");
    service.stop().await;

    home.set("USERSYNC_DATABASE__SCHEMA", "usersync");
    let mut move_them = String::new();
    for arguments in [&["serve"][..], &["migrate"], &["keys", "list"], &["doctor"]] {
        let said = home.run(arguments).await;
        assert_eq!(said.code, Some(1), "{arguments:?}: {said:?}");
        let output = format!("{}{}", said.stdout, said.stderr);
        assert!(output.contains("schema = \"public\""), "{arguments:?}: {output}");
        move_them = output[output.find("CREATE SCHEMA").expect("no way to move them")..]
            .lines()
            .next()
            .unwrap()
            .to_owned();
    }
    let database = home.database().await;
    assert!(
        !finds(&database, "SELECT 1 FROM pg_namespace WHERE nspname = 'usersync'").await,
        "it changed something"
    );
    database.execute_unprepared(&move_them).await.unwrap();
    database.close().await.unwrap();
    let service = home.serve().await;
    assert_eq!(home.client(&service).await.rows().await[0]["externalId"], ADA);
    service.stop().await;
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_gets_the_statements_to_run() {
    let Some(mut home) = ProgramFixture::with_plain_search_path().await else { return };
    let owner = home.database().await;
    let sql = "SELECT current_database()::text";
    let row = owner.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap().unwrap();
    let name: String = row.try_get_by_index(0).unwrap();
    let role = format!("narrow_{name}");
    for sql in [
        format!("CREATE ROLE \"{role}\" LOGIN PASSWORD 'narrow'"),
        format!("REVOKE CREATE ON DATABASE \"{name}\" FROM PUBLIC"),
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC".to_owned(),
    ] {
        owner.execute_unprepared(&sql).await.unwrap();
    }
    let mut url: url::Url = home.variable("DATABASE_URL").parse().unwrap();
    url.set_username(&role).unwrap();
    url.set_password(Some("narrow")).unwrap();
    home.set("DATABASE_URL", url.to_string());
    for (schema, advice) in [
        ("usersync", format!("CREATE SCHEMA \"usersync\" AUTHORIZATION \"{role}\"")),
        ("public", format!("GRANT USAGE, CREATE ON SCHEMA \"public\" TO \"{role}\"")),
    ] {
        home.set("USERSYNC_DATABASE__SCHEMA", schema);
        for arguments in [&["migrate"][..], &["serve"], &["doctor"]] {
            let said = home.run(arguments).await;
            assert_eq!(said.code, Some(1), "{said:?}");
            let output = format!("{}{}", said.stdout, said.stderr);
            assert!(output.contains(&advice) && output.contains(&role), "{arguments:?}: {output}");
        }
        owner.execute_unprepared(&advice).await.unwrap();
        migrate(&home).await;
        let tables = TABLES.map(|table| format!("{schema}.{table}")).join(", ");
        owner.execute_unprepared(&format!("DROP TABLE {tables}")).await.unwrap();
    }
    owner.execute_unprepared(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\"")).await.unwrap();
    owner.close().await.unwrap();
}
