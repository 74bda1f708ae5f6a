//! An issuer of tokens whose signing key changes: the keys are served by HTTP.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// `aud` of the tokens.
pub(super) const AUDIENCE: &str = "soak";
/// `iss` of the tokens.
pub(super) const ISSUER: &str = "https://issuer.example.com";
/// Tokens are dated back: the clock of a replica may be stepped back by less than this.
const DATED_BACK: u64 = 600;
/// A token is good for longer than it is used, whatever the clock of a replica says.
const LIFE: u64 = 3600;
/// A token is used again for this time, as an app uses it.
const USED_FOR: u64 = 900;
/// More tokens than this are not kept.
const MOST_TOKENS: usize = 5000;

/// A running issuer. Clones are the same one.
#[derive(Clone)]
pub(super) struct Issuer {
    address: SocketAddr,
    keys: Arc<Mutex<Keys>>,
}

struct Keys {
    /// The newest is the last. The one before it stays published: tokens that it signed are still on their way.
    published: Vec<Key>,
    made: u32,
    /// The tokens in use, and the time that each was made for.
    tokens: HashMap<String, (u64, String)>,
}

struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

impl Key {
    fn generate(number: u32) -> anyhow::Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Ok(Self { id: format!("soak-{number}"), pair: pair.map_err(|_| anyhow!("no key could be made"))? })
    }

    fn sign(&self, subject: &str, now: u64) -> anyhow::Result<String> {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.id});
        let claims = json!({
            "iss": ISSUER, "sub": subject, "aud": AUDIENCE, "iat": now - DATED_BACK, "exp": now + USED_FOR + LIFE,
        });
        let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| anyhow!("a token could not be signed"))?;
        Ok(format!("{signed}.{}", base64url(signature)))
    }

    fn public(&self) -> anyhow::Result<serde_json::Value> {
        // An uncompressed point: one byte for the format, then x and y of 32 bytes each.
        let point = self.pair.public_key().as_ref();
        let [x, y] = [point.get(1..33), point.get(33..65)];
        let [x, y] = [x.context("no point")?, y.context("no point")?].map(base64url);
        Ok(json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id, "x": x, "y": y}))
    }
}

impl Issuer {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let keys = Keys { published: vec![Key::generate(1)?], made: 1, tokens: HashMap::new() };
        let issuer = Self { address: listener.local_addr()?, keys: Arc::new(Mutex::new(keys)) };
        let shared = issuer.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let issuer = shared.clone();
                tokio::spawn(async move { issuer.serve(connection).await });
            }
        });
        Ok(issuer)
    }

    pub(super) fn keys_url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs with a new key from now on.
    pub(super) fn rotate(&self) -> anyhow::Result<()> {
        let mut keys = self.keys();
        keys.made += 1;
        let key = Key::generate(keys.made)?;
        if keys.published.len() > 1 {
            keys.published.remove(0);
        }
        keys.published.push(key);
        keys.tokens.clear();
        Ok(())
    }

    /// The `Authorization` of this user: the same for a while.
    pub(super) fn bearer(&self, subject: &str) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut keys = self.keys();
        if let Some((_, token)) = keys.tokens.get(subject).filter(|(made_at, _)| now - made_at < USED_FOR) {
            return Ok(format!("Bearer {token}"));
        }
        let key = keys.published.last().context("there is no key")?;
        let token = key.sign(subject, now)?;
        if keys.tokens.len() >= MOST_TOKENS {
            keys.tokens.clear();
        }
        keys.tokens.insert(subject.to_owned(), (now, token.clone()));
        Ok(format!("Bearer {token}"))
    }

    async fn serve(&self, mut connection: TcpStream) -> anyhow::Result<()> {
        let mut request = [0; 4096];
        while connection.read(&mut request).await? > 0 {
            let keys = self.keys().published.iter().map(Key::public).collect::<anyhow::Result<Vec<_>>>()?;
            let body = json!({"keys": keys}).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            connection.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
