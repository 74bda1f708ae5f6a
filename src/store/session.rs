//! The session settings that are sent first on every connection to PostgreSQL.

use std::time::Duration;

/// The session settings of every connection.
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
    /// Every statement has its index, and reads on in the order of that index as far as it has to. A plan that reads
    /// the whole table, or finds all rows first and sorts them, is best only while a table is small, but the server
    /// keeps it until it has new statistics. Its compiler is for statements that read a lot.
    ///
    /// So the plan does not depend on the parameters either, and the server makes it once for each prepared statement.
    /// By itself it would make it again for each execution: it assumes that an array of unknown length has ten elements,
    /// and most of ours have fewer, so the plan for the parameters always looks cheaper. Planning takes longer than the
    /// lookup of a user.
    pub(super) fn settings(self, set: &str) -> String {
        let mut sql = ["enable_seqscan", "enable_bitmapscan", "jit"]
            .map(|name| format!("{set} {name} = off"))
            .join("; ");
        sql = format!("{sql}; {set} plan_cache_mode = force_generic_plan");
        if let Some(timeout) = self.statement_timeout {
            sql = format!("{sql}; {set} statement_timeout = {}", timeout.as_millis());
        }
        sql
    }
}
