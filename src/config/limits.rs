//! `[limits]`

use std::num::NonZeroU32;
use std::time::Duration;

use super::reader::Reader;
use super::units;

/// How much one client may take of the service, and all of them together. A client is an address.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests to `/v1` that one client may send each second.
    pub requests_per_second: NonZeroU32,
    /// How many it may send at once after a pause.
    pub burst: NonZeroU32,
    /// Streams, and questions that wait, which one client may have open.
    pub streams_per_client: NonZeroU32,
    /// The same of all clients.
    pub streams: NonZeroU32,
    /// Connections in all; more are not accepted before one ends.
    pub connections: NonZeroU32,
    /// How long a client may leave unread what was sent to it.
    pub send_timeout: Duration,
}

impl Limits {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        let default = Self::default();
        let count = |key, default| reader.optional(key, units::count).unwrap_or(default);
        Self {
            requests_per_second: count("requests_per_second", default.requests_per_second),
            burst: count("burst", default.burst),
            streams_per_client: count("streams_per_client", default.streams_per_client),
            streams: count("streams", default.streams),
            connections: count("connections", default.connections),
            send_timeout: reader
                .optional("send_timeout", units::positive_duration)
                .unwrap_or(default.send_timeout),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const fn count(number: u32) -> NonZeroU32 {
            NonZeroU32::MIN.saturating_add(number - 1)
        }
        Self {
            requests_per_second: count(1_000),
            burst: count(2_000),
            streams_per_client: count(100),
            streams: count(10_000),
            connections: count(25_000),
            send_timeout: Duration::from_secs(30),
        }
    }
}
