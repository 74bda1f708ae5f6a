//! Reports the progress of a run.

use crate::store::RunCounts;

/// Receives the progress of a run.
pub(crate) trait Progress: Send {
    /// The number of users read so far, and the total if the provider reports it.
    fn read(&mut self, counts: RunCounts, total: Option<u64>);

    /// The provider is still preparing its list.
    fn preparing(&mut self, percent: Option<u64>);

    /// A note for the operator.
    fn note(&mut self, text: &str);
}

/// Reports nothing: for a run inside the service.
#[derive(Debug)]
pub(crate) struct Quiet;

impl Progress for Quiet {
    fn read(&mut self, _: RunCounts, _: Option<u64>) {}

    fn preparing(&mut self, _: Option<u64>) {}

    fn note(&mut self, _: &str) {}
}
