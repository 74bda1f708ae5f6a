//! A timestamp and an HMAC in one header, as WorkOS signs: `t=<milliseconds>, v1=<hex>`, HMAC-SHA256 over
//! `{t}.{body}`.
//!
//! The key is the bytes of the secret as it is written; it is not base64. Source: WorkOS' guide and the tests of
//! its libraries.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit};
use http::HeaderMap;
use sha2::Sha256;

use super::{Scheme, SignatureError, is_signed, only, plain_number, within};
use crate::domain::Timestamp;

/// In both directions. WorkOS' own libraries accept any time in the future.
const TOLERANCE: Duration = Duration::from_mins(3);

/// The scheme with the secrets of one source. Any of them is accepted, so that a secret can be rotated.
pub struct TimestampedHmac {
    header: &'static str,
    keys: Vec<Hmac<Sha256>>,
}

impl TimestampedHmac {
    /// A scheme with this header, in lower case, and these secrets as the provider shows them.
    pub fn new<'a>(header: &'static str, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        // HMAC accepts a key of any length, so no secret is dropped.
        let keys = secrets.into_iter().filter_map(|secret| Hmac::new_from_slice(secret.as_bytes()).ok());
        Self { header, keys: keys.collect() }
    }
}

impl fmt::Debug for TimestampedHmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimestampedHmac({}, {} secrets)", self.header, self.keys.len())
    }
}

impl Scheme for TimestampedHmac {
    fn is_used_by(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(self.header)
    }

    /// The headers hold no message id: it is in the body.
    fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<String>, SignatureError> {
        let invalid = SignatureError::InvalidHeader(self.header);
        let value = only(headers, self.header)?.to_str().map_err(|_| invalid.clone())?;
        let Signed { timestamp, signatures } = Signed::parse(value).ok_or(invalid)?;
        let attempt = Timestamp::from_micros(plain_number(timestamp)?.saturating_mul(1_000));
        within(TOLERANCE, attempt, now)?;

        let parts = [timestamp.as_bytes(), b".", body];
        is_signed(&self.keys, &parts, &signatures).then_some(None).ok_or(SignatureError::NoMatch)
    }

    fn checks(&self) -> &'static [&'static str] {
        &SignatureError::CHECKS
    }
}

/// The parsed header.
struct Signed<'a> {
    timestamp: &'a str,
    /// Those of version 1; other versions are skipped.
    signatures: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let parts: Vec<(&str, &str)> =
            header.split(',').map(|part| part.trim().split_once('=')).collect::<Option<_>>()?;
        let mut timestamps = parts.iter().filter(|(name, _)| *name == "t").map(|(_, value)| *value);
        let timestamp = timestamps.next().filter(|_| timestamps.next().is_none())?;
        let signatures =
            parts.iter().filter(|(name, _)| *name == "v1").map(|(_, value)| hex::decode(value).ok());
        Some(Self { timestamp, signatures: signatures.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{Scheme, SignatureError, TimestampedHmac};
    use crate::domain::Timestamp;

    const HEADER: &str = "workos-signature";
    /// The published vector.
    const SECRET: &str = "workos-test-secret";
    const MILLISECONDS: i64 = 1_716_883_200_000;
    const BODY: &str = r#"{"id":"event_01TEST","event":"user.created","data":{"object":"user","id":"user_01TEST"},"created_at":"2023-07-18T02:07:19.911Z"}"#;
    const SIGNATURE: &str = "f10251c1fda3b4f90d9e6124f61fba2b1cf603c4ac7de2ce3609e2fa1697fd6e";

    fn check(secrets: &[&str], header: &str, body: &str, off: i64) -> Result<Option<String>, SignatureError> {
        let headers =
            HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_str(header).unwrap())]);
        let now = Timestamp::from_micros((MILLISECONDS + off) * 1_000);
        TimestampedHmac::new(HEADER, secrets.iter().copied()).check(&headers, body.as_bytes(), now)
    }

    fn signed(timestamp: &str) -> String {
        format!("t={timestamp}, v1={SIGNATURE}")
    }

    #[test]
    fn the_published_vector_passes_with_any_of_several_secrets() {
        let header = signed("1716883200000");
        for secrets in [&[SECRET][..], &["another", SECRET], &[SECRET, "another"]] {
            assert_eq!(check(secrets, &header, BODY, 0), Ok(None));
        }
        assert_eq!(check(&["another"], &header, BODY, 0), Err(SignatureError::NoMatch));
        assert_eq!(check(&[], &header, BODY, 0), Err(SignatureError::NoMatch));
        assert_eq!(check(&[SECRET], &header, "{}", 0), Err(SignatureError::NoMatch));
    }

    #[test]
    fn one_of_several_signatures_is_enough_and_other_versions_are_skipped() {
        for header in [
            format!("t={MILLISECONDS},v1={SIGNATURE}"),
            format!("v1={SIGNATURE}, t={MILLISECONDS}"),
            format!("t={MILLISECONDS}, v1=00, v1={SIGNATURE}, v2=anything"),
        ] {
            assert_eq!(check(&[SECRET], &header, BODY, 0), Ok(None), "{header}");
        }
        let none = format!("t={MILLISECONDS}, v2={SIGNATURE}");
        assert_eq!(check(&[SECRET], &none, BODY, 0), Err(SignatureError::NoMatch));
    }

    #[test]
    fn an_attempt_may_be_three_minutes_off_in_either_direction_and_not_a_millisecond_more() {
        let at = |off| check(&[SECRET], &signed("1716883200000"), BODY, off);
        assert!(at(180_000).is_ok() && at(-180_000).is_ok());
        for (off, direction) in [(180_001, "old"), (-180_001, "in the future")] {
            let outside = SignatureError::OutsideTolerance { seconds: 181, direction, tolerance: 180 };
            assert_eq!(at(off), Err(outside));
        }
    }

    #[test]
    fn a_timestamp_written_in_another_way_is_refused() {
        for spelling in ["+1716883200000", "01716883200000", "1716883200000.0", "", "soon"] {
            let refused = check(&[SECRET], &signed(spelling), BODY, 0);
            assert_eq!(refused, Err(SignatureError::InvalidTimestamp), "{spelling}");
        }
        for extreme in [i64::MIN, i64::MAX] {
            let refused = check(&[SECRET], &signed(&extreme.to_string()), BODY, 0);
            assert!(matches!(refused, Err(SignatureError::OutsideTolerance { .. })));
        }
    }

    #[test]
    fn a_malformed_header_is_refused_as_such() {
        let malformed = Err(SignatureError::InvalidHeader(HEADER));
        for header in ["", "t", "v1=00", "t=1, t=1, v1=00", "t=1, v1=xyz", "t=1, v1=0", "t=1,, v1=00"] {
            assert_eq!(check(&[SECRET], header, BODY, 0), malformed, "{header}");
        }
        let scheme = TimestampedHmac::new(HEADER, [SECRET]);
        let missing = scheme.check(&HeaderMap::new(), b"{}", Timestamp::EPOCH);
        assert_eq!(missing, Err(SignatureError::MissingHeader(HEADER)));
    }
}
