//! The limit: the same rows, copied in bulk by the database's own program.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What a backfill writes.
const TABLES: [&str; 2] = ["users", "journal"];

/// How long it takes to insert what is there once more, into empty tables with the same indexes.
pub(super) fn copy(database: &str, directory: &Path) -> anyhow::Result<Duration> {
    match database.strip_prefix("sqlite://") {
        Some(file) => copy_sqlite(file.split('?').next().unwrap_or(file), directory),
        None => copy_postgres(database, directory),
    }
}

fn copy_postgres(database: &str, directory: &Path) -> anyhow::Result<Duration> {
    let mut elapsed = Duration::ZERO;
    for table in TABLES {
        let file = directory.join(table);
        let file = file.display();
        psql(database, &format!("\\copy usersync.{table} TO '{file}'"))?;
        psql(
            database,
            &format!("CREATE TABLE usersync.bench_{table} (LIKE usersync.{table} INCLUDING ALL)"),
        )?;
        let started = Instant::now();
        psql(database, &format!("\\copy usersync.bench_{table} FROM '{file}'"))?;
        elapsed += started.elapsed();
        psql(database, &format!("DROP TABLE usersync.bench_{table}"))?;
        fs::remove_file(directory.join(table))?;
    }
    Ok(elapsed)
}

fn psql(database: &str, command: &str) -> anyhow::Result<()> {
    run(Command::new("psql").args([
        "--no-psqlrc",
        "--quiet",
        "--set",
        "ON_ERROR_STOP=1",
        database,
        "--command",
        command,
    ]))
}

fn copy_sqlite(from: &str, directory: &Path) -> anyhow::Result<Duration> {
    let schema = directory.join("schema.sql");
    let to = directory.join("copy.db");
    // Without the tables that SQLite makes by itself.
    run(Command::new("sqlite3").args([from, ".schema --nosys"]).stdout(File::create(&schema)?))?;
    run(Command::new("sqlite3").arg(&to).stdin(File::open(&schema)?))?;
    let inserts = TABLES.map(|table| format!("INSERT INTO {table} SELECT * FROM before.{table};")).concat();
    let script = format!("ATTACH '{from}' AS before; BEGIN; {inserts} COMMIT;");
    let started = Instant::now();
    run(Command::new("sqlite3").arg(&to).arg(script))?;
    let elapsed = started.elapsed();
    fs::remove_file(to)?;
    Ok(elapsed)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let done =
        command.stderr(Stdio::inherit()).status().with_context(|| format!("{program} cannot be started"))?;
    if !done.success() {
        bail!("{program} ended with {done}");
    }
    Ok(())
}
