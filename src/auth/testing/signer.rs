//! Keys that sign tokens; the integration tests use this file too.
#![expect(clippy::disallowed_methods, reason = "a test signs as a provider does")]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A provider's key pair, under a `kid`.
#[derive(Clone)]
pub(crate) struct Signer {
    kid: String,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    P256(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// An RS256 key; the pair is always the same one, for it is slow to make.
pub(crate) fn rsa(kid: &str) -> Signer {
    static PAIR: LazyLock<Arc<RsaKeyPair>> =
        LazyLock::new(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
    Signer { kid: kid.to_owned(), pair: Pair::Rsa(Arc::clone(&PAIR)) }
}

/// A new ES256 key.
pub(crate) fn p256(kid: &str) -> Signer {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    Signer { kid: kid.to_owned(), pair: Pair::P256(Arc::new(pair)) }
}

/// A new Ed25519 key.
pub(crate) fn ed25519(kid: &str) -> Signer {
    Signer { kid: kid.to_owned(), pair: Pair::Ed25519(Arc::new(Ed25519KeyPair::generate().unwrap())) }
}

impl Signer {
    /// The public key, as a JWKS has it.
    pub(crate) fn jwk(&self) -> Value {
        let (kid, alg) = (&self.kid, self.alg());
        match &self.pair {
            Pair::Rsa(_) => {
                let (n, e) = self.rsa_components();
                json!({"kty": "RSA", "use": "sig", "alg": alg, "kid": kid, "n": base64url(n), "e": base64url(e)})
            }
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (base64url(x), base64url(y));
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": alg, "kid": kid, "x": x, "y": y})
            }
            Pair::Ed25519(pair) => {
                let x = base64url(pair.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": alg, "kid": kid, "x": x})
            }
        }
    }

    /// The algorithm's name.
    pub(crate) fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// A token with the usual header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.alg(), "typ": "JWT", "kid": self.kid}), claims)
    }

    /// A token with a header of one's own; the signature is this key's, whatever the header contains.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = base64url(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The public key in DER, which a careless verifier takes for an HMAC secret.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// PKCS #1 of a 2048-bit key: a sequence of the modulus (after nine bytes) and the exponent 65537.
    fn rsa_components(&self) -> (Vec<u8>, Vec<u8>) {
        let der = self.public_der();
        (der[9..9 + 256].to_vec(), der[der.len() - 3..].to_vec())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// Base64url without padding.
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
