//! What the kernel tells of the machine and of a process. Elsewhere than on Linux it tells nothing.

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
    /// By this process, the generator.
    pub(crate) generator: Duration,
    /// By everything on the machine.
    pub(crate) machine: Duration,
}

impl Processor {
    pub(crate) fn used(program: u32) -> Option<Self> {
        Some(Self {
            program: process_time(&fs::read_to_string(format!("/proc/{program}/stat")).ok()?)?,
            generator: process_time(&fs::read_to_string("/proc/self/stat").ok()?)?,
            machine: machine_time(&fs::read_to_string("/proc/stat").ok()?)?,
        })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            program: self.program.saturating_sub(earlier.program),
            generator: self.generator.saturating_sub(earlier.generator),
            machine: self.machine.saturating_sub(earlier.machine),
        }
    }

    /// By neither of the two: the database's server, the kernel, the neighbours.
    pub(crate) fn others(self) -> Duration {
        self.machine.saturating_sub(self.program + self.generator)
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
