//! What the kernel reports about the machine and a process. Only on Linux.

use std::fs;
use std::thread;
use std::time::Duration;

/// `/proc` counts in hundredths of a second, whatever the kernel's own clock.
const TICK: Duration = Duration::from_millis(10);

/// Cores and model.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or_else(|_| "?".to_owned(), |cores| cores.to_string());
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    format!("{cores} cores, {model}")
}

/// Processor time used until now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor {
    /// By the program.
    pub(crate) program: Duration,
    /// By this process, the generator, and those that it waited for.
    pub(crate) generator: Duration,
    /// By the database's server, where it is known.
    pub(crate) server: Duration,
    /// By everything on the machine.
    pub(crate) machine: Duration,
}

impl Processor {
    /// Until now, by this program and by the server whose first process that is.
    pub(crate) fn used(program: Option<u32>, server: Option<u32>) -> Option<Self> {
        let program = program.map_or(Some(Duration::ZERO), |program| {
            process_time(&fs::read_to_string(format!("/proc/{program}/stat")).ok()?)
        })?;
        let generator = fs::read_to_string("/proc/self/stat").ok()?;
        Some(Self {
            program,
            generator: process_time(&generator)? + waited_time(&generator)?,
            server: server.map_or(Some(Duration::ZERO), family_time)?,
            machine: machine_time(&fs::read_to_string("/proc/stat").ok()?)?,
        })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            program: self.program.saturating_sub(earlier.program),
            generator: self.generator.saturating_sub(earlier.generator),
            server: self.server.saturating_sub(earlier.server),
            machine: self.machine.saturating_sub(earlier.machine),
        }
    }

    /// By none of these: the kernel, the neighbours, and a server that is not known.
    pub(crate) fn others(self) -> Duration {
        self.machine.saturating_sub(self.program + self.generator + self.server)
    }
}

/// Resident memory in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) highest: u64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        Some(Self { now: kibibytes(&status, "VmRSS:")?, highest: kibibytes(&status, "VmHWM:")? })
    }
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// The first process of the server that this process belongs to, if it is one of PostgreSQL on this machine.
pub(crate) fn parent_of_postgres(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.contains("(postgres)").then_some(())?;
    parent(&stat)
}

/// Of a process, its children, and those of them that have ended.
fn family_time(process: u32) -> Option<Duration> {
    let own = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let children = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        (parent(&stat) == Some(process)).then(|| process_time(&stat))?
    });
    Some(process_time(&own)? + waited_time(&own)? + children.sum::<Duration>())
}

fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// User and system time of the children that have ended.
fn waited_time(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    ticks(&fields[13..15])
}

/// User and system time; the second field, the name in parentheses, may itself hold spaces.
fn process_time(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    ticks(&fields[11..13])
}

/// All but what was idle, waiting for the disk, or taken by other machines.
fn machine_time(stat: &str) -> Option<Duration> {
    let fields: Vec<&str> = stat.lines().next()?.split_whitespace().collect();
    Some(ticks(fields.get(1..4)?)? + ticks(fields.get(6..8)?)?)
}

fn ticks(fields: &[&str]) -> Option<Duration> {
    fields.iter().map(|field| field.parse::<u32>().ok().map(|ticks| TICK * ticks)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_have_an_odd_name() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0 100 1000 10";
        assert_eq!(process_time(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn an_idle_machine_uses_no_time() {
        let stat = "cpu  100 0 50 99999 888 20 30 777 0 0\ncpu0 1 1 1 1\n";
        assert_eq!(machine_time(stat), Some(Duration::from_secs(2)));
    }
}
