//! The database: reachable, migrated, writable, and without parked deliveries.

use std::env;
use std::path::Path;

use secrecy::ExposeSecret;

use super::{Finding, endpoints, privileges, sources};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{Direct, SqliteLocation, Store, StoreError};

/// What is found about the database, and, if it can be read, about the sources.
pub(super) async fn check(config: &Config, clock: Clock) -> [Vec<Finding>; 2] {
    let url = config.database.url.expose_secret();
    let (mut findings, mut of_sources) = (Vec::new(), Vec::new());
    if let Some(location) = SqliteLocation::of(url) {
        findings.extend(not_durable(&location));
        if let SqliteLocation::File(file) = &location
            && !file.exists()
        {
            findings.push(missing_file(file, url));
            return [findings, of_sources];
        }
    }
    let store = match Store::connect_for_command(&config.database).await {
        Ok(store) => store,
        Err(error) => {
            findings.push(unusable("the database cannot be reached", &error));
            return [findings, of_sources];
        }
    };
    match check_content(config, &store).await {
        Ok(found) => {
            findings.extend(found);
            of_sources = sources::check(config, &store, clock).await.unwrap_or_default();
        }
        Err(error) => findings.push(unusable("the database does not answer", &error)),
    }
    // An error while closing adds nothing to the checks above.
    store.close().await.ok();
    [findings, of_sources]
}

async fn check_content(config: &Config, store: &Store) -> Result<Vec<Finding>, StoreError> {
    store.refuse_newer().await?;
    let pending: Vec<_> = store.migrations().await?.into_iter().filter(|it| !it.applied).collect();
    let mut about_address: Vec<_> = privileges::check_encoding(store).await?.into_iter().collect();
    about_address.extend(check_direct(store, pending.is_empty()).await?);
    if !pending.is_empty() {
        let mut findings = vec![Finding::warning(
            format!("reachable, {} migrations pending", pending.len()),
            "the service cannot read or write before they are applied",
            "`usersync serve` applies them when it starts; `usersync migrate` applies them now",
        )];
        findings.extend(privileges::check_right_to_migrate(store).await?);
        findings.extend(about_address);
        return Ok(findings);
    }
    let mut findings = vec![Finding::ok("reachable, all migrations applied")];
    findings.extend(about_address);
    findings.extend(privileges::check(store).await?);
    findings.push(match store.try_to_write().await {
        Ok(()) => Finding::ok("writable"),
        Err(error) => Finding::error(
            format!("not writable: {error}"),
            "every delivery is answered 503, and the provider stops retrying after a few days",
            "grant the role (or, for SQLite, the process) the right to write; check that it is not a \
                read-only replica and that the disk is not full",
        ),
    });
    let parked = store.journal().parked().await?;
    findings.push(if parked == 0 {
        Finding::ok("no parked deliveries")
    } else {
        Finding::warning(
            format!("{parked} deliveries are parked"),
            "they were verified and stored, but could not be read, or the database refused the change",
            "`usersync replay --parked --list` shows why; `usersync replay --parked` tries them again",
        )
    });
    findings.extend(endpoints::check(config, store).await?);
    Ok(findings)
}

/// Where migrations run and changes by other replicas are listened for, if that is another address.
async fn check_direct(store: &Store, is_migrated: bool) -> Result<Option<Finding>, StoreError> {
    let direct = store.direct().await?;
    let Some(error) = direct.error() else {
        let is_same = matches!(direct, Direct::Same);
        return Ok(is_same.then(|| Finding::ok("`direct_url` leads to the same database")));
    };
    if !direct.may_start(is_migrated) {
        return Ok(Some(unusable("`direct_url` cannot be used", &error)));
    }
    let text = error.to_string();
    let (what, fix) = text.split_once('\n').unwrap_or((&text, ""));
    let why = "changes by other replicas are noticed late, and the service does not start when a migration is pending";
    Ok(Some(Finding::warning(what, why, fix)))
}

fn unusable(what: &str, error: &StoreError) -> Finding {
    if let StoreError::Setup(text) = error {
        let (what, fix) = text.split_once('\n').unwrap_or((text, "see docs/databases.md"));
        return Finding::error(what, "the service does not start", fix);
    }
    Finding::error(
        format!("{what}: {error}"),
        "the service does not start, or answers 503",
        "check DATABASE_URL (or url under [database]): host, port, name, password; check that the database \
            runs and accepts connections from this machine",
    )
}

/// A warning if the database does not survive a restart of the process or the machine.
fn not_durable(location: &SqliteLocation) -> Option<Finding> {
    let temporary = [env::temp_dir(), "/tmp".into(), "/var/tmp".into(), "/dev/shm".into()];
    let what = match location {
        SqliteLocation::Memory => "the database is in memory".to_owned(),
        SqliteLocation::File(file) if temporary.iter().any(|folder| file.starts_with(folder)) => {
            format!("the database is in a folder for temporary files: {}", file.display())
        }
        SqliteLocation::File(_) => return None,
    };
    let why = "users, tombstones and service keys are lost with it, and deleted users could come back";
    Some(Finding::warning(what, why, "set DATABASE_URL to a file on a persistent disk, or to PostgreSQL"))
}

/// The finding for a database file that does not exist yet: whether it can be created.
fn missing_file(file: &Path, url: &str) -> Finding {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let why = "the service cannot start";
    let name = file.display();
    if !folder.is_dir() {
        let fix = "create the folder, or correct DATABASE_URL (or url under [database])";
        return Finding::error(format!("{name}: its folder does not exist"), why, fix);
    }
    if !url.contains("mode=rwc") {
        let fix = "add ?mode=rwc to DATABASE_URL, so that the file is created; or correct the path";
        return Finding::error(format!("{name} does not exist"), why, fix);
    }
    if folder.metadata().is_ok_and(|folder| folder.permissions().readonly()) {
        let fix = "allow the process to write there, or store the database elsewhere";
        return Finding::error(format!("{name} does not exist, and its folder is read-only"), why, fix);
    }
    Finding::ok(format!("{name} does not exist yet: `usersync serve` creates it"))
}
