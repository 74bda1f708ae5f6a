//! What `usersync dev` stores between runs: the source's secret, the issuer's key, the sample user.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::directory;
use crate::auth::service_key::ServiceKey;
use crate::cli::system::create_private;
use crate::clock::{Clock, NoRandomness, random_bytes, randomness};
use crate::domain::Timestamp;
use crate::http::DevelopmentProvider;

/// The default directory for the development database, the keys and the sample events.
pub(in crate::cli) const DIRECTORY: &str = ".usersync";
/// The name of the development source.
pub(super) const SOURCE: &str = "dev";
/// `aud` of the development issuer's tokens.
pub(super) const APPLICATION_ID: &str = "usersync-dev";
const FILE: &str = "dev.json";
const KEY_ID: &str = "dev";

fn new_directory_key() -> anyhow::Result<String> {
    Ok(format!("sk_dev_{}", URL_SAFE_NO_PAD.encode(random_bytes::<24>()?)))
}

/// Writes a file that only its owner can read.
pub(super) fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut opened = create_private(file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(opened.write_all(text.as_bytes())?)
}

/// The development source and issuer. Its secrets are valid for this development service only.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::cli) struct Development {
    /// `iss` of the tokens; changes with the port.
    pub(super) issuer: String,
    /// `whsec_…` of the source.
    pub(super) secret: String,
    /// A service key for the listing.
    pub(super) service_key: String,
    /// `whsec_…` that events are signed with; empty in a file of an earlier version.
    #[serde(default)]
    pub(super) endpoint_secret: String,
    /// The sample user's id.
    pub(super) subject: String,
    /// The key that reads the provider's list of users.
    #[serde(default)]
    pub(super) directory_key: String,
    /// PKCS #8, base64.
    private_key: String,
}

impl Development {
    /// Loads it from the directory; `None` if the directory has none.
    pub(in crate::cli) fn load(directory: &Path) -> anyhow::Result<Option<Self>> {
        let file = directory.join(FILE);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let loaded = serde_json::from_str(&text);
        loaded
            .with_context(|| format!("{} is damaged; delete it to start from scratch", file.display()))
            .and_then(Self::completed)
            .map(Some)
    }

    /// With what a file of an earlier version lacks.
    fn completed(mut self) -> anyhow::Result<Self> {
        if self.endpoint_secret.is_empty() {
            self.endpoint_secret = webhook_secret()?;
        }
        if self.directory_key.is_empty() {
            self.directory_key = new_directory_key()?;
        }
        Ok(self)
    }

    /// Generates new secrets and a new key.
    pub(super) fn generate() -> anyhow::Result<Self> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &randomness());
        Ok(Self {
            issuer: String::new(),
            secret: webhook_secret()?,
            endpoint_secret: webhook_secret()?,
            service_key: ServiceKey::generate()?.reveal().to_owned(),
            subject: "user_ada".to_owned(),
            directory_key: new_directory_key()?,
            private_key: STANDARD.encode(key.map_err(|_| NoRandomness)?),
        })
    }

    /// Saves it in the directory, in a file that only its owner can read.
    pub(super) fn save(&self, directory: &Path) -> anyhow::Result<()> {
        write_private(&directory.join(FILE), &serde_json::to_string_pretty(self)?)
    }

    /// What the service needs of the provider: the issuer's URL, its key set, how it signs, and the list of users.
    pub(super) fn public(&self, clock: Clock) -> anyhow::Result<DevelopmentProvider> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8()?)
            .map_err(|_| anyhow!("the development key is damaged; delete {FILE} to start from scratch"))?;
        // An uncompressed point: one byte for the format, then x and y of 32 bytes each.
        let point = key.public_key().as_ref();
        let [x, y] = [point.get(1..33), point.get(33..65)]
            .map(|half| URL_SAFE_NO_PAD.encode(half.unwrap_or_default()));
        let key =
            json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": x, "y": y});
        let own = self.clone();
        Ok(DevelopmentProvider {
            issuer: self.issuer.clone(),
            keys: json!({"keys": [key]}),
            sign: Arc::new(move |subject, claims, expires_in| {
                own.token(subject, claims, clock.now(), expires_in).ok()
            }),
            directory: directory::of(self)?,
        })
    }

    /// Signs a token for a user; the given claims override the standard ones.
    pub(in crate::cli) fn token(
        &self,
        subject: &str,
        claims: Map<String, Value>,
        now: Timestamp,
        expires_in: Duration,
    ) -> anyhow::Result<String> {
        let mut all = json!({
            "iss": self.issuer,
            "sub": subject,
            "aud": APPLICATION_ID,
            "iat": now.as_seconds(),
            "exp": now.plus(expires_in).as_seconds(),
        });
        if let Some(all) = all.as_object_mut() {
            all.extend(claims);
        }
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(jsonwebtoken::encode(&header, &all, &EncodingKey::from_ec_der(&self.pkcs8()?))?)
    }

    fn pkcs8(&self) -> anyhow::Result<Vec<u8>> {
        STANDARD
            .decode(&self.private_key)
            .context("the development key is damaged; delete dev.json to start from scratch")
    }
}

fn webhook_secret() -> Result<String, NoRandomness> {
    Ok(format!("whsec_{}", STANDARD.encode(random_bytes::<24>()?)))
}
