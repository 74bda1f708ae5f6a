//! What a run invents: the webhook's secret, and an issuer with one RS256 key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use svix::webhooks::Webhook;

/// `aud` of the tokens.
pub(crate) const APPLICATION_ID: &str = "bench";
/// `iss` of the tokens; no request is sent to it.
pub(crate) const ISSUER: &str = "https://issuer.example.com";
const KEY_ID: &str = "bench-key";
/// Longer than any run.
const TOKEN_LIFE: Duration = Duration::from_hours(2);

/// The secrets of one run.
pub(crate) struct Credentials {
    webhook_secret: String,
    key: RsaKeyPair,
}

impl Credentials {
    pub(crate) fn generate() -> anyhow::Result<Self> {
        let mut secret = [0; 24];
        rand::fill(&mut secret).map_err(|_| anyhow!("the system gives no random numbers"))?;
        let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no RSA key could be made"))?;
        Ok(Self { webhook_secret: format!("whsec_{}", STANDARD.encode(secret)), key })
    }

    pub(crate) fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    /// Signs deliveries with the webhook's secret.
    pub(crate) fn webhook(&self) -> anyhow::Result<Webhook> {
        Webhook::new(&self.webhook_secret).context("the secret is not one of Svix")
    }

    /// The public key as a `data:` URI, so that no one has to serve it.
    pub(crate) fn key_set_uri(&self) -> anyhow::Result<String> {
        // PKCS #1 of a 2048-bit key: a sequence of the modulus (after nine bytes) and the exponent 65537.
        let der = self.key.public_key().as_ref();
        let modulus = der.get(9..9 + 256).context("the RSA key is not of 2048 bits")?;
        let keys = json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": base64url(modulus), "e": "AQAB",
        }]});
        Ok(format!("data:application/json;base64,{}", STANDARD.encode(keys.to_string())))
    }

    /// The `Authorization` of this user, with a token as large as a usual one.
    pub(crate) fn bearer(&self, subject: &str) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let claims = json!({
            "iss": ISSUER, "sub": subject, "aud": APPLICATION_ID,
            "iat": now.as_secs(), "nbf": now.as_secs(), "exp": (now + TOKEN_LIFE).as_secs(),
            "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
            "email": format!("{subject}@example.com"), "email_verified": true,
            "picture": "https://img.clerk.com/eyJ0eXBlIjoicHJveHkifQ",
        });
        Ok(format!("Bearer {}", self.sign(&claims)?))
    }

    fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": KEY_ID});
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| anyhow!("a token could not be signed"))?;
        Ok(format!("{signed}.{}", base64url(signature)))
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
