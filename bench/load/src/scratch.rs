//! Where a run keeps its files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

/// A new directory that goes with everything in it when this is dropped.
pub(crate) struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Beside this file, for `/tmp` may be in memory, where a commit costs nothing.
    pub(crate) fn beside(file: &Path) -> io::Result<Self> {
        let path = file.with_file_name(format!("bench-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path, is_kept: false })
    }

    /// An empty directory in it.
    pub(crate) fn directory(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// Does not remove it; returns where it is.
    pub(crate) fn keep(&mut self) -> &Path {
        self.is_kept = true;
        &self.path
    }

    /// Where a file of this name would be.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // What cannot be removed lies under target/ and does no harm.
        let _ = fs::remove_dir_all(&self.path);
    }
}
