//! What is told while a run is under way.

use crate::store::RunCounts;

/// Whoever watches a run.
pub(crate) trait Progress: Send {
    /// So many users were read, of so many where the provider tells.
    fn read(&mut self, counts: RunCounts, total: Option<u64>);

    /// The provider is still preparing its list.
    fn preparing(&mut self, percent: Option<u64>);

    /// Something that whoever watches should know.
    fn note(&mut self, text: &str);
}

/// Nobody watches: a run beside the service.
#[derive(Debug)]
pub(super) struct Quiet;

impl Progress for Quiet {
    fn read(&mut self, _: RunCounts, _: Option<u64>) {}

    fn preparing(&mut self, _: Option<u64>) {}

    fn note(&mut self, _: &str) {}
}
