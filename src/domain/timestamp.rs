//! A moment, to the microsecond: the finest that both databases keep.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// A bare number below this counts seconds, from it on milliseconds: as seconds it would be the year 5138.
const FIRST_MILLISECONDS: f64 = 1e11;

/// Microseconds since 1970-01-01T00:00:00Z, always within the years 0001 to 9999.
///
/// Shown and serialised as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    const MIN: Self = Self(-62_135_596_800_000_000);
    const MAX: Self = Self(253_402_300_799_999_999);

    /// From microseconds since the epoch; values outside the years 0001 to 9999 are clamped.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros).clamp(Self::MIN, Self::MAX)
    }

    /// From whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(1_000_000))
    }

    /// From RFC 3339, in any offset.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self::from_micros(parsed.timestamp_micros()))
    }

    /// From the form that HTTP headers have, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn from_http_date(text: &str) -> Option<Self> {
        Some(DateTime::parse_from_rfc2822(text.trim()).ok()?.to_utc().into())
    }

    /// From what providers send: epoch seconds, epoch milliseconds or RFC 3339.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::from_epoch(number.as_f64()?),
            _ => None,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be finite and in range; below a microsecond nothing is kept"
    )]
    fn from_epoch(number: f64) -> Option<Self> {
        let unit = if number.abs() < FIRST_MILLISECONDS { 1_000_000.0 } else { 1_000.0 };
        let micros = number * unit;
        #[expect(clippy::cast_precision_loss, reason = "the bounds need not be exact")]
        let possible = (Self::MIN.0 as f64..=Self::MAX.0 as f64).contains(&micros);
        possible.then(|| Self::from_micros(micros.round() as i64))
    }

    /// Whether it is a date: a change that the provider has not dated has [`Self::EPOCH`].
    pub fn is_date(self) -> bool {
        self != Self::EPOCH
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment moved by a duration, forward.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros(duration)))
    }

    /// How long after an earlier moment this is; nothing if it is not after it.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This moment moved by a duration, backward.
    #[must_use]
    pub fn minus(self, duration: std::time::Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros(duration)))
    }
}

/// The pause that a `Retry-After` header requests: seconds or an HTTP date.
pub fn retry_after(text: &str, now: Timestamp) -> Option<std::time::Duration> {
    let seconds = text.trim().parse().ok().map(std::time::Duration::from_secs);
    seconds.or_else(|| Some(Timestamp::from_http_date(text)?.since(now)))
}

fn micros(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self::from_micros(moment.timestamp_micros())
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(moment: Timestamp) -> Self {
        // Within the years 0001 to 9999 every microsecond is a date.
        DateTime::from_timestamp_micros(moment.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&DateTime::<Utc>::from(*self).to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Timestamp, retry_after};

    #[test]
    fn seconds_milliseconds_and_rfc_3339_are_one_moment() {
        let moment = Timestamp::from_seconds(1_767_268_800);
        for same in [
            json!(1_767_268_800),
            json!(1_767_268_800_000_i64),
            json!("2026-01-01T12:00:00Z"),
            json!("2026-01-01T13:00:00.000+01:00"),
        ] {
            assert_eq!(Timestamp::from_json(&same), Some(moment), "{same}");
        }
        assert_eq!(moment.to_string(), "2026-01-01T12:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for wrong in [
            json!(null),
            json!("soon"),
            json!(1e300),
            json!(-1e300),
            json!([1]),
            json!("99999-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp::from_json(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fractions_survive_the_round_trip_to_the_microsecond() {
        let moment = Timestamp::from_micros(1_767_268_800_123_456);
        assert_eq!(moment.to_string(), "2026-01-01T12:00:00.123456Z");
        assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
    }

    #[test]
    fn an_http_date_is_read() {
        let moment = Timestamp::parse("1994-11-06T08:49:37Z");
        assert_eq!(Timestamp::from_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), moment);
        assert_eq!(Timestamp::from_http_date(" Sun, 06 Nov 1994 09:49:37 +0100 "), moment);
        for wrong in ["", "37", "1994-11-06T08:49:37Z", "Mon, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(Timestamp::from_http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("1994-11-06T08:49:07Z").unwrap();
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
