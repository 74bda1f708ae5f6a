//! JSON Web Key Sets (RFC 7517): which keys of a set are usable, and which of them match a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use crate::auth::rule::is_named;
use crate::config::Algorithm;

/// How long an RSA modulus may be, in bits: a shorter key is weak, and a longer one is slow to check.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The length of a coordinate on P-256 and of a key on Ed25519, in bytes.
const CURVE_BYTES: usize = 32;

/// The usable keys of one rule.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

/// A public key, for one algorithm.
#[derive(Debug)]
pub(crate) struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    material: Material,
    decoding: DecodingKey,
}

/// The numbers that make up a key; two keys of a set with the same numbers and `kid` are one.
#[derive(Debug, PartialEq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The uncompressed point: 4, x, y.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads `{"keys":[…]}`. Keys of another type, use, curve or algorithm are skipped, and so are broken and
    /// weak ones; `None` if this is not a key set at all.
    pub(crate) fn from_json(jwks: &Value) -> Option<Self> {
        let mut keys: Vec<Key> = Vec::new();
        for key in jwks.get("keys")?.as_array()?.iter().filter_map(Key::from_jwk) {
            if !keys.iter().any(|known| known.kid == key.kid && known.material == key.material) {
                keys.push(key);
            }
        }
        Some(Self(keys))
    }

    /// The keys for an algorithm; with a `kid`, only those that have it.
    pub(crate) fn matching(&self, algorithm: Algorithm, kid: Option<&str>) -> Vec<&Key> {
        let has_kid = |key: &Key| kid.is_none() || key.kid.as_deref() == kid;
        self.0.iter().filter(|key| key.algorithm == algorithm && has_kid(key)).collect()
    }

    /// How many keys there are for an algorithm.
    pub(crate) fn count(&self, algorithm: Algorithm) -> usize {
        self.matching(algorithm, None).len()
    }

    /// The `kid` of every usable key that has one.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| key.kid.as_deref())
    }

    /// How many usable keys there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    /// Whether this key made the signature (in base64url) of a string.
    pub(crate) fn verifies(&self, signed: &str, signature: &str) -> bool {
        let algorithm = match self.algorithm {
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        };
        jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.decoding, algorithm).unwrap_or(false)
    }

    fn from_jwk(jwk: &Value) -> Option<Self> {
        let (algorithm, material) = match (string(jwk, "kty")?, string(jwk, "crv")) {
            ("RSA", _) => (Algorithm::Rs256, Material::rsa(jwk)?),
            ("EC", Some("P-256")) => (Algorithm::Es256, Material::p256(jwk)?),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, Material::ed25519(jwk)?),
            _ => return None,
        };
        let is_for_signatures = jwk.get("use").is_none_or(|value| value == "sig");
        let is_for_algorithm = |name: &str| is_named(algorithm, name);
        if !is_for_signatures || !jwk.get("alg").is_none_or(|alg| alg.as_str().is_some_and(is_for_algorithm))
        {
            return None;
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        let decoding = material.decoding_key();
        Some(Self { kid, algorithm, material, decoding })
    }
}

impl Material {
    fn rsa(jwk: &Value) -> Option<Self> {
        let (modulus, exponent) = (number(jwk, "n")?, number(jwk, "e")?);
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        (RSA_BITS.contains(&bits) && !exponent.is_empty()).then_some(Self::Rsa { modulus, exponent })
    }

    fn p256(jwk: &Value) -> Option<Self> {
        let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
        (x.len() == CURVE_BYTES && y.len() == CURVE_BYTES).then(|| Self::P256([vec![4], x, y].concat()))
    }

    fn ed25519(jwk: &Value) -> Option<Self> {
        bytes(jwk, "x").filter(|x| x.len() == CURVE_BYTES).map(Self::Ed25519)
    }

    fn decoding_key(&self) -> DecodingKey {
        match self {
            Self::Rsa { modulus, exponent } => DecodingKey::from_rsa_raw_components(modulus, exponent),
            Self::P256(point) => DecodingKey::from_ec_der(point),
            Self::Ed25519(key) => DecodingKey::from_ed_der(key),
        }
    }
}

fn string<'j>(jwk: &'j Value, name: &str) -> Option<&'j str> {
    jwk.get(name)?.as_str()
}

fn bytes(jwk: &Value, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(string(jwk, name)?).ok()
}

/// An unsigned number, without the zeros that some providers put in front.
fn number(jwk: &Value, name: &str) -> Option<Vec<u8>> {
    Some(bytes(jwk, name)?.into_iter().skip_while(|byte| *byte == 0).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::KeySet;
    use crate::auth::testing::{ed25519, key_set, mutated, p256, rsa};
    use crate::config::Algorithm;

    /// The JWK with one member set, or taken out by null.
    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        jwk
    }

    fn usable(keys: &[Value]) -> usize {
        KeySet::from_json(&json!({ "keys": keys })).unwrap().len()
    }

    proptest::proptest! {
        #[test]
        fn a_changed_key_set_has_no_keys_but_those_that_were_listed(
            document in mutated(key_set(&[&rsa("r"), &p256("p"), &ed25519("e")])),
        ) {
            let keys = serde_json::from_slice(&document).ok().and_then(|jwks: Value| KeySet::from_json(&jwks));
            // No edit repeats as many bytes as a key has.
            proptest::prop_assert!(keys.is_none_or(|keys| keys.len() <= 3));
        }
    }

    #[test]
    fn unusable_keys_are_skipped() {
        let (rsa, p256, ed25519) = (rsa("k").jwk(), p256("k").jwk(), ed25519("k").jwk());
        let short = "AQAB".repeat(64);
        for (jwk, expected) in [
            (rsa.clone(), 1),
            (p256.clone(), 1),
            (ed25519.clone(), 1),
            (with(rsa.clone(), "alg", json!(null)), 1),
            (with(rsa.clone(), "use", json!(null)), 1),
            (with(rsa.clone(), "kid", json!(null)), 1),
            (with(rsa.clone(), "x5c", json!(["…"])), 1),
            (with(rsa.clone(), "use", json!("enc")), 0),
            (with(rsa.clone(), "alg", json!("RS512")), 0),
            (with(rsa.clone(), "alg", json!("HS256")), 0),
            (with(rsa.clone(), "alg", json!(256)), 0),
            (with(rsa.clone(), "kid", json!(7)), 0),
            (with(rsa.clone(), "kty", json!("oct")), 0),
            (with(rsa.clone(), "kty", json!(null)), 0),
            (with(rsa.clone(), "n", json!(short)), 0),
            (with(rsa.clone(), "n", json!("AAAA")), 0),
            (with(rsa.clone(), "n", json!("not base64")), 0),
            (with(rsa, "e", json!("")), 0),
            (with(p256.clone(), "alg", json!("Ed25519")), 0),
            (with(p256.clone(), "crv", json!("P-384")), 0),
            (with(p256.clone(), "crv", json!("secp256k1")), 0),
            (with(p256.clone(), "y", json!("AQAB")), 0),
            (with(p256, "y", json!(null)), 0),
            (with(ed25519.clone(), "crv", json!("X25519")), 0),
            (with(ed25519.clone(), "crv", json!("Ed448")), 0),
            (with(ed25519.clone(), "alg", json!("Ed25519")), 1),
            (with(ed25519.clone(), "alg", json!("Ed448")), 0),
            (with(ed25519.clone(), "alg", json!("ed25519")), 0),
            (with(ed25519, "x", json!("AQAB")), 0),
            (json!("a key"), 0),
        ] {
            assert_eq!(usable(std::slice::from_ref(&jwk)), expected, "{jwk}");
        }
    }

    #[test]
    fn a_repeated_key_counts_once_and_two_keys_may_share_a_kid() {
        let (one, other) = (p256("k").jwk(), p256("k").jwk());
        assert_eq!(usable(&[one.clone(), one.clone()]), 1);
        assert_eq!(usable(&[one, other]), 2);
    }

    #[test]
    fn json_without_a_list_of_keys_is_not_a_key_set() {
        for wrong in [json!(null), json!([]), json!({}), json!({"keys": null}), json!({"keys": {}})] {
            assert!(KeySet::from_json(&wrong).is_none(), "{wrong}");
        }
        assert_eq!(usable(&[]), 0);
    }

    #[test]
    fn a_kid_and_the_algorithm_must_both_match() {
        let keys = json!({"keys": [p256("a").jwk(), p256("b").jwk(), ed25519("a").jwk()]});
        let keys = KeySet::from_json(&keys).unwrap();
        let matching = |algorithm, kid| keys.matching(algorithm, kid).len();
        assert_eq!(matching(Algorithm::Es256, Some("a")), 1);
        assert_eq!(matching(Algorithm::Es256, None), 2);
        assert_eq!(matching(Algorithm::EdDsa, Some("b")), 0);
        assert_eq!(matching(Algorithm::Rs256, None), 0);
    }
}
