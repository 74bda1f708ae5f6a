//! Opening a SQLite file, and saying what is wrong with one that cannot be opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, sqlx};

use super::{ACQUIRE_TIMEOUT, StoreError, TEST_AFTER_IDLE, error};

/// How long a SQLite writer waits for another process's write.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a batch tries whether the write lock is free. SQLite itself tries less and less often, up to every 100 ms, so
/// a process that writes page after page would nearly always get the lock first.
const BATCH_TRY_INTERVAL: Duration = Duration::from_millis(1);
/// How often to try, in this time, whether another process still holds a new SQLite database.
const BUSY_TRIES: u32 = 50;
/// A pool of connections to the file.
struct Pool {
    max_connections: u32,
    busy_timeout: Duration,
    /// Each connection has a page cache of its own, and keeps it.
    page_cache_kib: u32,
}

/// For everything but batches: readers beside the one writer. What they need again and again are the inner pages of the
/// indexes; SQLite's default of 2000 KiB for each would be 32 MB in all.
const USUAL: Pool = Pool { max_connections: 16, busy_timeout: BUSY_TIMEOUT, page_cache_kib: 500 };
/// For the deliveries, a replay and a run, which take turns. A batch writes many pages.
const BATCHES: Pool = Pool { max_connections: 4, busy_timeout: BATCH_TRY_INTERVAL, page_cache_kib: 2000 };

/// Opens the file twice: for everything else, and for batches.
pub(super) async fn open(url: &str) -> Result<[DatabaseConnection; 2], StoreError> {
    let db = connect(url, &USUAL).await?;
    // A database in memory exists once for each time that it is opened.
    let batches = match SqliteLocation::of(url) {
        Some(SqliteLocation::Memory) => db.clone(),
        _ => connect(url, &BATCHES).await?,
    };
    Ok([db, batches])
}

async fn connect(
    url: &str,
    &Pool { max_connections, busy_timeout, page_cache_kib }: &Pool,
) -> Result<DatabaseConnection, StoreError> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire_if_idle_for(TEST_AFTER_IDLE)
        // Statements hold users' data. Errors are logged where they are answered.
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(busy_timeout)
                // Negative: in KiB. Positive would be in pages.
                .pragma("cache_size", format!("-{page_cache_kib}"))
        })
        .map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_release(|connection, _| Box::pin(is_outside_transactions(connection)))
        });
    let mut tries = 1;
    loop {
        match Database::connect(options.clone()).await {
            Ok(db) => return Ok(db),
            // A new database changes to WAL, and for that SQLite does not wait, whatever the busy timeout.
            Err(error) if error::is_locked(&error) && tries < BUSY_TRIES => tries += 1,
            Err(error) => return Err(explained(url, error)),
        }
        tokio::time::sleep(BUSY_TIMEOUT / BUSY_TRIES).await;
    }
}

/// Whether a returned connection may be used again; if not, it is closed.
///
/// On a full disk SQLite rolls the transaction back itself. The `ROLLBACK` that follows then fails, and sqlx still
/// counts the transaction as open: the next one would be a savepoint in it, whose "commit" does not commit anything.
async fn is_outside_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // A rollback may still wait in the connection's queue; the ping comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// An error with the path, its cause and what to do.
fn explained(url: &str, error: DbErr) -> StoreError {
    match SqliteLocation::of(url) {
        Some(SqliteLocation::File(file)) => match trouble(&file, url) {
            Some(Trouble { what, fix }) => StoreError::Setup(format!("{what}\n{fix}")),
            None => StoreError::from(error),
        },
        _ => StoreError::from(error),
    }
}

/// What is wrong with a file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    /// What is wrong, with the path.
    what: String,
    /// What to do.
    fix: String,
}

/// Where SQLite stores the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SqliteLocation {
    /// In memory.
    Memory,
    /// In this file.
    File(PathBuf),
}

impl SqliteLocation {
    /// `None` for PostgreSQL, and for a path with percent-encoding, which only SQLite decodes reliably.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        if path == ":memory:" || options.contains("mode=memory") {
            return Some(Self::Memory);
        }
        (!path.contains('%') && !path.is_empty()).then(|| Self::File(PathBuf::from(path)))
    }
}

/// What keeps a database file from being opened and written, if anything.
fn trouble(file: &Path, url: &str) -> Option<Trouble> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (name, place) = (file.display(), folder.display());
    let trouble = |what: String, fix: String| Some(Trouble { what, fix });
    if !folder.is_dir() {
        return trouble(
            format!("{name}: its folder {place} does not exist"),
            format!(
                "create the folder (mkdir -p {place}), or correct DATABASE_URL (or url under [database])"
            ),
        );
    }
    if file.is_dir() {
        return trouble(format!("{name} is a folder"), "name a file in DATABASE_URL".to_owned());
    }
    if url.contains("mode=ro") {
        return trouble(
            format!("{name} is opened read-only"),
            "write ?mode=rwc instead of ?mode=ro in DATABASE_URL".to_owned(),
        );
    }
    if !file.exists() && !url.contains("mode=rwc") {
        return trouble(
            format!("{name} does not exist"),
            "add ?mode=rwc to DATABASE_URL, so that the file is created; or correct the path".to_owned(),
        );
    }
    // SQLite makes its log and its index beside the file.
    if !is_writable_folder(folder) {
        return trouble(
            format!("{name}: this process may not write in the folder {place}"),
            format!("give the folder to the user that runs usersync (chown), or mount {place} writable"),
        );
    }
    if file.exists() && std::fs::OpenOptions::new().append(true).open(file).is_err() {
        return trouble(
            format!("{name}: this process may not write the file"),
            "give the file to the user that runs usersync (chown), or make it writable (chmod u+w)"
                .to_owned(),
        );
    }
    None
}

/// Tested by creating a file and removing it: permissions and read-only mounts are reported in too many ways.
fn is_writable_folder(folder: &Path) -> bool {
    let probe = folder.join(format!(".usersync-{}", std::process::id()));
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe).is_ok();
    if made {
        std::fs::remove_file(&probe).ok();
    }
    made
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

    use super::{BATCHES, SqliteLocation, USUAL, open};

    #[tokio::test]
    async fn the_page_caches_of_both_pools_are_limited() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("usersync.db").display());
        for (db, pool) in open(&url).await.unwrap().iter().zip([USUAL, BATCHES]) {
            let size = Statement::from_string(DbBackend::Sqlite, "PRAGMA cache_size");
            let size = db.query_one_raw(size).await.unwrap().unwrap().try_get_by_index::<i32>(0).unwrap();
            assert_eq!(size, -i32::try_from(pool.page_cache_kib).unwrap());
        }
    }

    #[test]
    fn the_file_is_found_in_the_url() {
        for (url, expected) in [
            ("sqlite://usersync.db?mode=rwc", Some("usersync.db")),
            ("sqlite:usersync.db", Some("usersync.db")),
            ("sqlite:///data/usersync.db?mode=rwc", Some("/data/usersync.db")),
            ("sqlite:/data/usersync.db", Some("/data/usersync.db")),
            ("sqlite::memory:", Some("memory")),
            ("sqlite://?mode=memory", Some("memory")),
            ("sqlite:///my%20data/usersync.db", None),
            ("postgres://user@host/name", None),
        ] {
            let location = SqliteLocation::of(url).map(|location| match location {
                SqliteLocation::Memory => "memory".to_owned(),
                SqliteLocation::File(file) => file.display().to_string(),
            });
            assert_eq!(location.as_deref(), expected, "{url}");
        }
    }
}
