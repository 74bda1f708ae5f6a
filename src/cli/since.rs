//! `--since`, as several commands take it.

use super::Usage;
use crate::clock::Clock;
use crate::domain::Timestamp;

/// A moment: RFC 3339, or how long ago, such as `2d`.
pub(super) fn parse(since: Option<&str>, clock: &Clock) -> Result<Option<Timestamp>, Usage> {
    let Some(since) = since else { return Ok(None) };
    let ago = || humantime::parse_duration(since).ok().map(|ago| clock.now().minus(ago));
    match Timestamp::parse(since).or_else(ago) {
        Some(time) => Ok(Some(time)),
        None => Err(Usage(format!(
            "--since {since:?} is neither a time such as 2026-01-31T12:00:00Z nor a duration such as 2d"
        ))),
    }
}
