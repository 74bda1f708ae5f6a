//! A bearer token: `Authorization: Bearer <token>`, the same for every message. It proves who sends a message,
//! not that the message is unchanged.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::{Scheme, SignatureError, only};
use crate::domain::Timestamp;

/// The scheme with the tokens of one source. Any of them is accepted, so that a token can be rotated.
pub struct Bearer {
    /// The digest of each token, so that a comparison does not reveal the length of a token either.
    digests: Vec<[u8; 32]>,
}

impl Bearer {
    /// A scheme with these tokens.
    pub fn new<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        Self { digests: tokens.into_iter().map(digest).collect() }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bearer({} tokens)", self.digests.len())
    }
}

impl Scheme for Bearer {
    fn is_used_by(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(header::AUTHORIZATION)
    }

    /// The headers hold no message id: it is in the body, or a digest of the body.
    fn check(&self, headers: &HeaderMap, _: &[u8], _: Timestamp) -> Result<Option<String>, SignatureError> {
        let given = digest(token(headers).ok_or(SignatureError::NoBearerToken)?);
        let matches = |known: &[u8; 32]| verify_slices_are_equal(known, &given).is_ok();
        self.digests.iter().any(matches).then_some(None).ok_or(SignatureError::WrongBearerToken)
    }

    fn checks(&self) -> &'static [&'static str] {
        &["bearer_token"]
    }
}

/// The token in the header, if there is exactly one such header and it holds a bearer token.
fn token(headers: &HeaderMap) -> Option<&str> {
    let value = only(headers, "authorization").ok()?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{Bearer, Scheme, SignatureError};
    use crate::domain::Timestamp;

    fn check(values: &[&'static str]) -> Result<Option<String>, SignatureError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
        }
        Bearer::new(["old token", "new"]).check(&headers, b"{}", Timestamp::EPOCH)
    }

    #[test]
    fn any_of_the_tokens_passes_and_nothing_similar_does() {
        for right in ["Bearer new", "bearer new", "BEARER  new", "Bearer old token"] {
            assert_eq!(check(&[right]), Ok(None), "{right}");
        }
        for wrong in ["Bearer ne", "Bearer newer", "Bearer NEW", "Bearer old", "Bearer new new"] {
            assert_eq!(check(&[wrong]), Err(SignatureError::WrongBearerToken), "{wrong}");
        }
    }

    #[test]
    fn a_header_without_a_bearer_token_is_refused_as_such() {
        for none in
            [&[][..], &["new"], &["Bearer"], &["Bearer "], &["Basic new"], &["Bearer new", "Bearer new"]]
        {
            assert_eq!(check(none), Err(SignatureError::NoBearerToken), "{none:?}");
        }
    }
}
