//! The time of day of a replica, by libfaketime: the service itself has no setting for it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where packages put the library.
const FOLDERS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
];

/// The clock of one replica.
pub(super) struct Clock {
    library: PathBuf,
    /// What is written here is added to the time of day.
    file: PathBuf,
}

/// The library, if it is installed.
pub(super) fn library() -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join("libfaketimeMT.so.1")).find(|file| file.is_file())
}

impl Clock {
    /// With the right time.
    pub(super) fn new(library: &Path, directory: &Path) -> anyhow::Result<Self> {
        let clock = Self { library: library.to_owned(), file: directory.join("clock") };
        clock.step_to(0)?;
        Ok(clock)
    }

    /// So many seconds before or after the right time, within a second.
    pub(super) fn step_to(&self, seconds: i64) -> anyhow::Result<()> {
        // In one step, so that nobody reads half of it.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n"))?;
        Ok(fs::rename(new, &self.file)?)
    }

    pub(super) fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone()),
            ("FAKETIME_CACHE_DURATION", "1".into()),
            // Timers are not affected, as by a real step of the clock.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}
