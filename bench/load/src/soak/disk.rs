//! A full disk: a small file system of the soak's own for SQLite's file, else a limit of the process.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The size of the file system while it is not full; it takes only as much memory as is written.
const SIZE: &str = "8g";
/// How often the size is reduced to what is used, which may grow meanwhile.
const TRIES: u32 = 20;

/// Where SQLite's file is.
pub(super) enum Disk {
    /// A file system in memory: to be full, it is made as small as what is in it.
    OfItsOwn(PathBuf),
    /// Files of the process may not grow past a limit, as `ulimit -f` does. A write fails by another error (EFBIG) than
    /// on a full disk (ENOSPC).
    Limit,
}

impl Disk {
    /// A file system at this directory, if this user may make one.
    pub(super) fn make(directory: &Path) -> Self {
        let mounted = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "soak"])
            .arg(directory));
        match mounted {
            Ok(_) => Self::OfItsOwn(directory.to_owned()),
            Err(_) => Self::Limit,
        }
    }

    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::OfItsOwn(_) => "a tmpfs without space (ENOSPC)",
            Self::Limit => "RLIMIT_FSIZE of the process (EFBIG)",
        }
    }

    /// Nothing can be written any more.
    pub(super) fn fill(&self, process: u32) -> anyhow::Result<()> {
        let Self::OfItsOwn(directory) = self else { return limit(process, "4096:") };
        let mut last = None;
        for _ in 0..TRIES {
            let used = run(Command::new("df").args(["-k", "--output=used"]).arg(directory))?;
            let used = used.split_whitespace().last().context("df shows nothing")?.to_owned();
            match resize(directory, &format!("{used}k")) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("the file system was not tried")?)
    }

    /// Copies what is on it, as it disappears with this.
    pub(super) fn save_to(&self, directory: &Path) {
        if let Self::OfItsOwn(own) = self {
            // It is for a person who looks for a cause; without it the rest is still there.
            let _ = run(Command::new("cp").arg("-a").arg(own).arg(directory));
        }
    }

    pub(super) fn make_space(&self, process: Option<u32>) -> anyhow::Result<()> {
        match (self, process) {
            (Self::OfItsOwn(directory), _) => resize(directory, SIZE),
            (Self::Limit, Some(process)) => limit(process, "unlimited:"),
            (Self::Limit, None) => Ok(()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::OfItsOwn(directory) = self {
            // What cannot be unmounted now is, once nobody uses it.
            let _ = run(Command::new("umount").arg("--lazy").arg(directory));
        }
    }
}

fn resize(directory: &Path, size: &str) -> anyhow::Result<()> {
    run(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(directory)).map(drop)
}

fn limit(process: u32, limit: &str) -> anyhow::Result<()> {
    run(Command::new("prlimit").arg(format!("--pid={process}")).arg(format!("--fsize={limit}"))).map(drop)
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
