//! Every stream is an open file, here and in the program.

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What else is open: the database, the log, the listener, the connections that store users.
const OTHERS: u64 = 200;

/// Raises the limit of this process, which the programs that it starts inherit, as far as may be.
pub(super) fn allow(streams: u32) -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = u64::from(streams) + OTHERS;
    if most < needed {
        bail!(
            "{streams} streams need {needed} open files, and no more than {most} are allowed here: raise the hard \
             limit (ulimit -Hn), or measure with fewer --streams"
        );
    }
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("the limit of open files cannot be raised")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_told() {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        if let Ok(streams) = u32::try_from(most) {
            assert!(allow(streams).unwrap_err().to_string().contains("ulimit -Hn"));
        }
        allow(1).unwrap();
    }
}
