//! Service keys: `usk_` and 64 hexadecimal digits, kept by their hash alone.

use sha2::{Digest, Sha256};

use crate::clock::{NoRandomness, random_bytes};

/// How every service key begins, for people and for secret scanners.
const PREFIX: &str = "usk_";
/// How many random bytes follow.
const SECRET_BYTES: usize = 32;
/// `usk_` and eight digits: enough to recognise a key by, too little to guess the rest.
pub(crate) const PREFIX_LENGTH: usize = 12;

/// A new key: shown once, then only its hash is known.
#[derive(Clone)]
pub struct ServiceKey(String);

impl ServiceKey {
    /// A key that cannot be guessed.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self(format!("{PREFIX}{}", hex::encode(random_bytes::<SECRET_BYTES>()?))))
    }

    /// The whole key.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first characters.
    pub fn prefix(&self) -> &str {
        self.0.get(..PREFIX_LENGTH).unwrap_or_default()
    }

    /// What is kept of it.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl std::fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceKey({}…)", self.prefix())
    }
}

/// Whether a bearer means to be a service key, and not a token.
pub fn looks_like_service_key(bearer: &str) -> bool {
    bearer.starts_with(PREFIX)
}

/// Whether a text has the form of a whole key.
pub fn is_complete_key(text: &str) -> bool {
    let digits = text.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == 2 * SECRET_BYTES && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What is kept of a key: its SHA-256. The key has 256 random bits, so a slow hash would protect nothing
/// more.
pub fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key))
}

#[cfg(test)]
mod tests {
    use super::{ServiceKey, hash, is_complete_key};

    #[test]
    fn a_key_is_new_each_time_and_never_shown_by_debug() {
        let (one, two) = (ServiceKey::generate().unwrap(), ServiceKey::generate().unwrap());
        assert_ne!(one.reveal(), two.reveal());
        assert!(
            is_complete_key(one.reveal()) && !is_complete_key(one.prefix()) && !is_complete_key("reports")
        );
        assert_eq!(one.hash(), hash(one.reveal()));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }
}
