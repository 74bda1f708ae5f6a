//! The result: every check in its order, and under the one that failed how to fix it.

use std::fmt;

/// The result of one check.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// With what was found.
    Passed(String),
    /// With what was found, and how to fix it.
    Failed { found: String, fix: String },
    /// An earlier check failed, so this one was not made.
    NotReached,
}

/// The checks, in the order in which the service makes them.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(&'static str, Verdict)>);

/// A check that failed, with what was found and how to fix it.
pub(super) struct Failure {
    pub(super) check: &'static str,
    pub(super) found: String,
    pub(super) fix: String,
}

impl Report {
    pub(super) fn passed(&mut self, check: &'static str, found: impl Into<String>) {
        self.0.push((check, Verdict::Passed(found.into())));
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        let Failure { check, found, fix } = failure;
        self.0.push((check, Verdict::Failed { found, fix }));
    }

    pub(super) fn not_reached(&mut self, checks: &[&'static str]) {
        self.0.extend(checks.iter().map(|check| (*check, Verdict::NotReached)));
    }

    /// Adds checks that are made in this order until one fails: those before it passed, those after it were
    /// not made.
    pub(super) fn made(
        &mut self,
        checks: &[&'static str],
        failure: Option<Failure>,
        found: impl Fn(&str) -> String,
    ) {
        let failed_at = failure.as_ref().and_then(|it| checks.iter().position(|check| *check == it.check));
        let (before, after) = checks.split_at(failed_at.unwrap_or(checks.len()));
        for check in before {
            self.passed(check, found(check));
        }
        if let Some(failure) = failure {
            self.failed(failure);
        }
        self.not_reached(after.get(1..).unwrap_or_default());
    }

    /// The checks, in the order in which the service makes them.
    pub(crate) fn checks(&self) -> &[(&'static str, Verdict)] {
        &self.0
    }

    /// The first check that failed.
    pub(crate) fn first_failed(&self) -> Option<&'static str> {
        let failed = self.0.iter().find(|(_, verdict)| matches!(verdict, Verdict::Failed { .. }));
        failed.map(|(check, _)| *check)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, verdict) in &self.0 {
            match verdict {
                Verdict::Passed(found) => writeln!(f, "passed       {check:<20} {found}")?,
                Verdict::Failed { found, fix } => {
                    writeln!(f, "FAILED       {check:<20} {found}\n{:<12} fix: {fix}", "")?;
                }
                Verdict::NotReached => writeln!(f, "not reached  {check}")?,
            }
        }
        Ok(())
    }
}
