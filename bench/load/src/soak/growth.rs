//! Whether memory and open files grow: in the process that lived longest, and beside a new one.

use std::time::Duration;

use super::observer::Sample;

/// Memory may be so much larger at the end, in percent of that after a quarter of the process' life.
const MOST_PERCENT: u64 = 125;
/// A process is warm after this time.
const WARM: Duration = Duration::from_mins(1);
/// A process that lived for less proves nothing.
const SHORTEST: Duration = Duration::from_mins(2);
/// So many more descriptors than a new process has, without load on both: a lookup may just have its connection open.
const MORE_DESCRIPTORS: usize = 4;
/// Sixteen connections to SQLite with three files each, and some that it closes later.
const MOST_DATABASE_FILES: usize = 64;
/// Samples that are looked at together: a minute.
const WINDOW: usize = 12;

/// Of the process of replica 0 that runs at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    pub(super) age: Duration,
    /// Resident, in bytes: the median of a minute after a quarter of its life, and of the last minute under load.
    pub(super) early: u64,
    pub(super) late: u64,
    /// Open files: the medians of the same minutes.
    pub(super) early_descriptors: usize,
    pub(super) late_descriptors: usize,
}

impl Growth {
    /// `None` if it did not live long enough.
    pub(super) fn of(samples: &[Sample]) -> Option<Self> {
        let last = *samples.iter().rev().find(|sample| sample.replica == 0)?;
        let own: Vec<Sample> =
            samples.iter().filter(|it| (it.replica, it.start) == (0, last.start)).copied().collect();
        (last.age >= SHORTEST).then_some(())?;
        let quarter = (last.age / 4).max(WARM);
        let early = own.iter().position(|sample| sample.age >= quarter)?;
        let early = own.get(early..(early + WINDOW).min(own.len()))?;
        let late = own.get(own.len().saturating_sub(WINDOW)..)?;
        Some(Self {
            age: last.age,
            early: median(early, |sample| sample.resident)?,
            late: median(late, |sample| sample.resident)?,
            early_descriptors: median(early, |sample| sample.descriptors)?,
            late_descriptors: median(late, |sample| sample.descriptors)?,
        })
    }

    pub(super) fn percent(&self) -> u64 {
        self.late * 100 / self.early.max(1)
    }

    pub(super) fn violation(&self) -> Option<String> {
        let Self { age, early, late, .. } = self;
        (self.percent() > MOST_PERCENT).then(|| {
            let (early, late) = (early >> 20, late >> 20);
            format!("resident memory grew from {early} to {late} MiB in a process of {} s", age.as_secs())
        })
    }
}

/// Compares the descriptors of the old process and of a new one, both without load.
pub(super) fn descriptors_violation(old: Sample, new: Sample) -> Option<String> {
    let seconds = old.age.as_secs();
    if old.database_files > MOST_DATABASE_FILES {
        return Some(format!("{} files of the database are open after {seconds} s", old.database_files));
    }
    (old.descriptors > new.descriptors + MORE_DESCRIPTORS).then(|| {
        format!(
            "{} descriptors are open after {seconds} s, and {} in a new process",
            old.descriptors, new.descriptors
        )
    })
}

fn median<T: Ord + Copy>(samples: &[Sample], value: impl Fn(&Sample) -> T) -> Option<T> {
    let mut values: Vec<T> = samples.iter().map(value).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(resident: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |second| Sample {
            replica: 0,
            start: 3,
            age: Duration::from_secs(second),
            resident: resident(second),
            descriptors: 20,
            database_files: 0,
        };
        (0..720).map(|number| sample(number * 5)).collect()
    }

    #[test]
    fn growth_is_found_and_a_warm_up_is_not_growth() {
        let leaking = Growth::of(&samples(|second| (60 << 20) + second * 10_000)).unwrap();
        assert!(leaking.violation().is_some());
        let warming_up = Growth::of(&samples(|second| (60 << 20) + second.min(300) * 100_000)).unwrap();
        assert_eq!((warming_up.violation(), warming_up.percent()), (None, 100));
    }

    #[test]
    fn a_young_process_proves_nothing() {
        assert!(Growth::of(&samples(|_| 1)[..10]).is_none());
    }
}
