//! The tables: whether they are there and where, how they are made, and who may touch them.

use std::collections::BTreeSet;

use migration::{Migrator, MigratorTrait};
use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr,
    SqlxPostgresConnector, Statement, TransactionTrait,
};
use tracing::warn;

use super::connection::{DEFAULT_SCHEMA, Db, quoted};
use super::{ACQUIRE_TIMEOUT, Postgres, Store, StoreError};

/// The key of the advisory lock: "usersync", read as a number.
const MIGRATION_LOCK: i64 = 0x7573_6572_7379_6e63;
const MIGRATIONS: &str = "seaql_migrations";
/// Every table that a migration has made.
pub(super) const TABLES: [&str; 14] = [
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
    MIGRATIONS,
];
/// What an application joins on, and may therefore be given to other roles.
const SHARED_TABLE: &str = "users";

/// One migration and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// The file's name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// What a role other than the owner may do with a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role; `PUBLIC` is every role.
    pub role: String,
    /// The table, with its schema.
    pub table: String,
    /// What it may do, such as `SELECT`.
    pub privileges: Vec<String>,
}

impl Grant {
    /// Whether it allows access to data that only usersync should see or change: an application's role may read
    /// `users`.
    pub fn is_too_much(&self) -> bool {
        let is_open = ["PUBLIC", "anon", "authenticated"].contains(&self.role.as_str());
        let is_shared = self.table.ends_with(&format!(".{}", quoted(SHARED_TABLE)));
        let only_reads = self.privileges.iter().all(|one| one == "SELECT" || one == "REFERENCES");
        is_open || !is_shared || !only_reads
    }
}

impl Store {
    /// Applies every migration that the database lacks. Several replicas may do so at the same time.
    ///
    /// An error if a newer version has migrated the database, or if `direct_url` leads to another database, or cannot be
    /// used although a migration is pending.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let applied = self.applied().await?;
        refuse_newer(&applied)?;
        let is_done = Migrator::migrations().iter().all(|one| applied.contains(one.name()));
        let direct = self.direct().await?;
        match (direct.may_start(is_done), direct.error()) {
            (true, Some(error)) => warn!("{}", error.to_string().replace('\n', "; ")),
            (false, Some(error)) => return Err(error),
            (_, None) => {}
        }
        // Most starts find nothing to do, and then need no right to write.
        if is_done {
            return Ok(());
        }
        let Db::Postgres { schema, .. } = &self.db else {
            // SQLite's schema changes belong to the transaction that holds the write lock.
            let Db::Sqlite(db) = &self.db else { return Ok(()) };
            let options = sea_orm::TransactionOptions {
                sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            let alone = db.begin_with_options(options).await?;
            refuse_newer(&applied_in_file(&alone).await?)?;
            Migrator::up(&alone, None).await?;
            return Ok(alone.commit().await?);
        };
        let Some(postgres) = &self.postgres else { return Ok(()) };
        // A role with one connection has none left otherwise.
        self.close_all_idle().await;
        let connection = connect(postgres).await?;
        let migrated = migrate(&connection, schema, postgres.migrates_pooled).await;
        let closed = connection.close().await;
        migrated?;
        Ok(closed?)
    }

    /// Every migration in order, and whether it has been applied.
    pub async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError> {
        let applied = self.applied().await?;
        let state = |name: &str| MigrationState { name: name.to_owned(), applied: applied.contains(name) };
        Ok(Migrator::migrations().iter().map(|one| state(one.name())).collect())
    }

    /// An error if the database has migrations of a newer version: what they changed is unknown here, so it is not safe to
    /// write. A process that runs already is not stopped by this, so that replicas can be updated one after another.
    pub async fn refuse_newer(&self) -> Result<(), StoreError> {
        refuse_newer(&self.applied().await?)
    }

    /// The migrations that the database has, also those that this version does not know.
    async fn applied(&self) -> Result<BTreeSet<String>, StoreError> {
        match &self.db {
            Db::Sqlite(db) => Ok(applied_in_file(db).await?),
            Db::Postgres { schema, .. } => applied_in(&self.db, schema).await,
        }
    }

    /// What roles other than the owner and this one may do with our tables, as far as the owner or the defaults of the
    /// database have granted it. Superusers, and [members](Self::memberships) of other roles, are not among them.
    pub async fn grants(&self) -> Result<Vec<Grant>, StoreError> {
        let Db::Postgres { schema, .. } = &self.db else { return Ok(Vec::new()) };
        let sql = "SELECT c.relname::text, COALESCE(r.rolname::text, 'PUBLIC'), string_agg(DISTINCT a.privilege_type, ' ')
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             CROSS JOIN LATERAL (
                 SELECT * FROM aclexplode(c.relacl) UNION ALL
                 SELECT x.* FROM pg_attribute t, LATERAL aclexplode(t.attacl) x WHERE t.attrelid = c.oid
             ) a LEFT JOIN pg_roles r ON r.oid = a.grantee
             WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner
               AND NOT COALESCE(r.rolsuper, false) AND COALESCE(r.rolname, '') <> current_user
               AND c.relname = ANY(string_to_array($2, ' '))
             GROUP BY 1, 2 ORDER BY 2, 1";
        let rows = self.db.query_all_raw(statement(sql, [&**schema, &TABLES.join(" ")])).await?;
        let mut grants = Vec::new();
        for row in rows {
            let (table, role, privileges): (String, String, String) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            let privileges = privileges.split(' ').map(str::to_owned).collect();
            let table = format!("{}.{}", quoted(schema), quoted(&table));
            grants.push(Grant { role, table, privileges });
        }
        Ok(grants)
    }

    /// The encoding of a PostgreSQL database that cannot store every character.
    pub async fn narrow_encoding(&self) -> Result<Option<String>, StoreError> {
        if !self.is_postgres() {
            return Ok(None);
        }
        let sql = "SELECT current_setting('server_encoding')";
        let row = self.db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        let encoding: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(encoding.filter(|encoding| encoding != "UTF8"))
    }

    /// Whether this role may create the tables that do not exist yet: the error contains what to grant.
    pub async fn may_migrate(&self) -> Result<(), StoreError> {
        match &self.db {
            Db::Sqlite(_) => Ok(()),
            Db::Postgres { schema, .. } => may_create(&self.db, schema).await,
        }
    }
}

pub(super) fn statement<const N: usize>(sql: &str, values: [&str; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values.map(sea_orm::Value::from))
}

fn refuse_newer(applied: &BTreeSet<String>) -> Result<(), StoreError> {
    let migrations = Migrator::migrations();
    let known: BTreeSet<&str> = migrations.iter().map(|one| one.name()).collect();
    match applied.iter().find(|name| !known.contains(name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(StoreError::Setup(format!(
            "a newer version of usersync has migrated this database: it has the migration {unknown}, which version {} does \
             not know\n\
             start that version, or a later one; to return to this version, restore a backup from before the update",
            env!("CARGO_PKG_VERSION")
        ))),
    }
}

/// The migrations that an SQLite database has.
async fn applied_in_file(db: &impl ConnectionTrait) -> Result<BTreeSet<String>, DbErr> {
    let sql = format!("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{MIGRATIONS}'");
    if db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?.is_none() {
        return Ok(BTreeSet::new());
    }
    let sql = format!("SELECT version FROM {MIGRATIONS}");
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// The migrations that a schema has. A database that has our tables in another one is not taken for empty.
async fn applied_in(db: &impl ConnectionTrait, schema: &str) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relname = $2";
    let row = db.query_one_raw(statement(sql, [schema, MIGRATIONS])).await?;
    let found: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    if found == 0 {
        return match elsewhere(db, schema).await? {
            Some(place) => Err(StoreError::Setup(format!(
                "the tables of usersync are in the schema {place} of this database, and not in {schema}\n\
                 either set `schema = \"{place}\"` under [database] (USERSYNC_DATABASE__SCHEMA={place}) and leave them \
                 there, or move them: {}",
                moves(&place, schema)
            ))),
            None => Ok(BTreeSet::new()),
        };
    }
    let sql = format!("SELECT version::text FROM {}.{MIGRATIONS}", quoted(schema));
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

/// Another schema that has our tables. Two installations may share a database if both name their schemas.
async fn elsewhere(db: &impl ConnectionTrait, schema: &str) -> Result<Option<String>, DbErr> {
    let sql = "SELECT n.nspname::text FROM pg_namespace n
               WHERE n.nspname <> $1 AND ($1 = $2 OR n.nspname IN ('public', $2)) AND 4 = (
                   SELECT count(*) FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
                   AND c.relname IN ('tombstones', 'journal', 'api_keys', 'seaql_migrations'))
               ORDER BY n.nspname = 'public' DESC, 1 LIMIT 1";
    let row = db.query_one_raw(statement(sql, [schema, DEFAULT_SCHEMA])).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

fn moves(from: &str, to: &str) -> String {
    let (from, to) = (quoted(from), quoted(to));
    let moves = TABLES.map(|table| format!("ALTER TABLE IF EXISTS {from}.{table} SET SCHEMA {to};"));
    format!("CREATE SCHEMA IF NOT EXISTS {to}; {}", moves.join(" "))
}

/// One connection of its own: migrations take longer than a request may.
async fn connect(postgres: &Postgres) -> Result<DatabaseConnection, StoreError> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = pool.connect_with(postgres.direct.clone()).await;
    let pool = pool.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
}

async fn migrate(connection: &DatabaseConnection, schema: &str, is_pooled: bool) -> Result<(), StoreError> {
    // All in one transaction: behind a pooler nothing else is on one server connection.
    let alone = connection.begin().await?;
    if is_pooled {
        // Statements that an earlier migration left prepared on the server connection.
        alone.execute_unprepared("DEALLOCATE ALL").await?;
    }
    alone.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
    may_create(&alone, schema).await?;
    if !exists(&alone, schema).await? {
        alone.execute_unprepared(&format!("CREATE SCHEMA {}", quoted(schema))).await?;
        revoke_schema(&alone, schema).await?;
    }
    let before = tables(&alone, schema).await?;
    // Again: another replica may have migrated while this one waited for the lock.
    refuse_newer(&applied_in(&alone, schema).await?)?;
    alone.execute_unprepared(&format!("SET LOCAL search_path TO {}", quoted(schema))).await?;
    Migrator::up(&alone, None).await?;
    for table in tables(&alone, schema).await? {
        let is_private = table != SHARED_TABLE && TABLES.contains(&&*table);
        // What an administrator has granted on an older `users` is meant. Nothing else is.
        if is_private || !before.contains(&table) {
            revoke(&alone, schema, &table).await?;
        }
    }
    if is_pooled {
        alone.execute_unprepared("DEALLOCATE ALL").await?;
    }
    Ok(alone.commit().await?)
}

async fn exists(db: &impl ConnectionTrait, schema: &str) -> Result<bool, DbErr> {
    let sql = "SELECT nspname::text FROM pg_namespace WHERE nspname = $1";
    Ok(db.query_one_raw(statement(sql, [schema])).await?.is_some())
}

/// The tables and sequences of this role that are there. In a schema that is shared, others are among them.
async fn tables(db: &impl ConnectionTrait, schema: &str) -> Result<BTreeSet<String>, DbErr> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'S') AND pg_has_role(c.relowner, 'USAGE')";
    let rows = db.query_all_raw(statement(sql, [schema])).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// Whether this role may make the schema, or tables in it.
async fn may_create(db: &impl ConnectionTrait, schema: &str) -> Result<(), StoreError> {
    let sql = "SELECT current_user::text, current_database()::text,
               has_database_privilege(current_database(), 'CREATE'),
               (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1)";
    let Some(row) = db.query_one_raw(statement(sql, [schema])).await? else { return Ok(()) };
    let (role, database): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    let (in_database, in_schema): (bool, Option<bool>) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
    let [quoted_role, quoted_schema, quoted_database] = [&role, schema, &database].map(quoted);
    match in_schema {
        Some(true) => Ok(()),
        None if in_database => Ok(()),
        Some(false) => Err(StoreError::Setup(format!(
            "the role {role} may not create tables in the schema {schema}\n\
             as its owner run: GRANT USAGE, CREATE ON SCHEMA {quoted_schema} TO {quoted_role}; or set `schema` under \
             [database] to a schema that {role} may create tables in"
        ))),
        None => Err(StoreError::Setup(format!(
            "the schema {schema} does not exist, and the role {role} may not create one\n\
             as the database's owner run: CREATE SCHEMA {quoted_schema} AUTHORIZATION {quoted_role}; or: GRANT CREATE \
             ON DATABASE {quoted_database} TO {quoted_role}; or set `schema` under [database] to a schema that {role} \
             may create tables in"
        ))),
    }
}

/// Takes every privilege on a table from every role but its owner: the defaults of a database may give some to roles
/// that everyone on the internet has.
async fn revoke(db: &DatabaseTransaction, schema: &str, table: &str) -> Result<(), DbErr> {
    let sql = "SELECT DISTINCT COALESCE(r.rolname::text, '') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
               WHERE n.nspname = $1 AND c.relname = $2 AND a.grantee <> c.relowner";
    for role in roles(db, statement(sql, [schema, table])).await? {
        let sql = format!("REVOKE ALL ON TABLE {}.{} FROM {role} CASCADE", quoted(schema), quoted(table));
        db.execute_unprepared(&sql).await?;
    }
    Ok(())
}

async fn revoke_schema(db: &DatabaseTransaction, schema: &str) -> Result<(), DbErr> {
    let sql = "SELECT DISTINCT COALESCE(r.rolname::text, '') FROM pg_namespace n
               CROSS JOIN LATERAL aclexplode(n.nspacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
               WHERE n.nspname = $1 AND a.grantee <> n.nspowner";
    for role in roles(db, statement(sql, [schema])).await? {
        let sql = format!("REVOKE ALL ON SCHEMA {} FROM {role} CASCADE", quoted(schema));
        db.execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// The names of roles; without one it is `PUBLIC`.
async fn roles(db: &impl ConnectionTrait, statement: Statement) -> Result<Vec<String>, DbErr> {
    let rows = db.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| {
            let name: String = row.try_get_by_index(0)?;
            Ok(if name.is_empty() { "PUBLIC".to_owned() } else { quoted(&name) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::TABLES;

    #[test]
    fn the_page_about_databases_lists_and_moves_every_table() {
        let page = include_str!("../../docs/databases.md");
        let (_, rest) = page.split_once("On PostgreSQL the tables (").unwrap();
        let (list, _) = rest.split_once(')').unwrap();
        let listed: Vec<&str> = list.split(',').map(|name| name.trim().trim_matches('`')).collect();
        let statements = page.lines().filter_map(|line| line.trim().strip_suffix(" SET SCHEMA usersync;"));
        let moved: Vec<&str> = statements.filter_map(|line| Some(line.split_once("public.")?.1)).collect();
        assert_eq!(listed, TABLES);
        assert_eq!(moved, TABLES);
    }
}
