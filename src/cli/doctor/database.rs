//! The database: there, migrated, writable, and nothing waiting in it.

use std::env;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::Finding;
use crate::config::Config;
use crate::store::{Store, StoreError};

pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let url = config.database.url.expose_secret();
    let mut findings = Vec::new();
    if let Some(place) = sqlite_place(url) {
        findings.extend(lasting(&place));
        if let Place::File(file) = &place
            && !file.exists()
        {
            findings.push(not_there(file, url));
            return findings;
        }
    }
    let store = match Store::connect(url).await {
        Ok(store) => store,
        Err(error) => {
            findings.push(trouble("the database cannot be reached", &error));
            return findings;
        }
    };
    match look_inside(&store).await {
        Ok(inside) => findings.extend(inside),
        Err(error) => findings.push(trouble("the database does not answer", &error)),
    }
    // Whatever closing runs into was looked at already.
    store.close().await.ok();
    findings
}

async fn look_inside(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let pending: Vec<_> = store.migrations().await?.into_iter().filter(|it| !it.applied).collect();
    if !pending.is_empty() {
        return Ok(vec![Finding::warning(
            format!("reachable, {} migrations pending", pending.len()),
            "until they are applied nothing can be read or written",
            "`usersync serve` applies them when it starts; `usersync migrate` does it now",
        )]);
    }
    let mut findings = vec![Finding::well("reachable, every migration applied")];
    findings.push(match store.try_to_write().await {
        Ok(()) => Finding::well("writable"),
        Err(error) => Finding::error(
            format!("not writable: {error}"),
            "every delivery is answered 503, and the provider gives up after some days",
            "give the role (or, for SQLite, the process) the right to write; is it a replica, or the \
                disk full?",
        ),
    });
    let parked = store.journal().parked().await?;
    findings.push(if parked == 0 {
        Finding::well("nothing is parked")
    } else {
        Finding::warning(
            format!("{parked} deliveries are parked"),
            "they were verified and kept, but not understood or not taken by the database",
            "`usersync replay --parked --list` says why; `usersync replay --parked` tries them again",
        )
    });
    Ok(findings)
}

fn trouble(what: &str, error: &StoreError) -> Finding {
    Finding::error(
        format!("{what}: {error}"),
        "nothing can be read or written: the service does not start, or answers 503",
        "check DATABASE_URL (or url under [database]): host, port, name, password; does the database \
            run, and let this machine in?",
    )
}

/// Where SQLite keeps the database.
enum Place {
    Memory,
    File(PathBuf),
}

/// `None` for PostgreSQL, and for a path whose escapes are better left to SQLite.
fn sqlite_place(url: &str) -> Option<Place> {
    let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
    if path == ":memory:" || options.contains("mode=memory") {
        return Some(Place::Memory);
    }
    (!path.contains('%') && !path.is_empty()).then(|| Place::File(PathBuf::from(path)))
}

/// Whether the database outlives the process and the machine's start.
fn lasting(place: &Place) -> Option<Finding> {
    let temporary = [env::temp_dir(), "/tmp".into(), "/var/tmp".into(), "/dev/shm".into()];
    let what = match place {
        Place::Memory => "the database is in memory".to_owned(),
        Place::File(file) if temporary.iter().any(|folder| file.starts_with(folder)) => {
            format!("the database is in a folder for temporary files: {}", file.display())
        }
        Place::File(_) => return None,
    };
    let why = "users, tombstones and service keys are gone with it: deleted users could come back";
    Some(Finding::warning(what, why, "set DATABASE_URL to a file on a disk that stays, or to PostgreSQL"))
}

/// A file that is not there yet, and whether it can be made.
fn not_there(file: &Path, url: &str) -> Finding {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let why = "the service cannot start";
    let name = file.display();
    if !folder.is_dir() {
        let fix = "make the folder, or correct DATABASE_URL (or url under [database])";
        return Finding::error(format!("{name}: its folder is not there"), why, fix);
    }
    if !url.contains("mode=rwc") {
        let fix = "add ?mode=rwc to the address, so that the file is made; or correct it";
        return Finding::error(format!("{name} is not there"), why, fix);
    }
    if folder.metadata().is_ok_and(|folder| folder.permissions().readonly()) {
        let fix = "let the process write there, or keep the database elsewhere";
        return Finding::error(format!("{name} is not there, and its folder is read-only"), why, fix);
    }
    Finding::well(format!("{name} is not there yet: `usersync serve` makes it"))
}

#[cfg(test)]
mod tests {
    use super::{Place, sqlite_place};

    #[test]
    fn an_address_names_its_file() {
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
            let place = sqlite_place(url).map(|place| match place {
                Place::Memory => "memory".to_owned(),
                Place::File(file) => file.display().to_string(),
            });
            assert_eq!(place.as_deref(), expected, "{url}");
        }
    }
}
