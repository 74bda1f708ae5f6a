//! What a connection to PostgreSQL is told before anything else.

use std::time::Duration;

/// What every connection is told, or must not be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// Behind a pooler that gives each transaction another server connection. Nothing may then outlive a transaction:
    /// no prepared statement, no setting.
    pub(super) is_pooled: bool,
    /// How long the server works on one statement.
    pub(super) statement_timeout: Option<Duration>,
}

impl Session {
    /// The settings as statements; `set` is `SET`, or `SET LOCAL` for one transaction.
    ///
    /// Every statement has its index. A plan that was made while a table was small would read all of it, and is kept until
    /// the server has new statistics. The compiler is only for statements that read a lot.
    pub(super) fn settings(self, set: &str) -> String {
        let timeout = self
            .statement_timeout
            .map(|timeout| format!("; {set} statement_timeout = {}", timeout.as_millis()));
        format!("{set} enable_seqscan = off; {set} jit = off{}", timeout.unwrap_or_default())
    }
}
