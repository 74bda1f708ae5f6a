//! Secrets: checked without ever being shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::error::{ValueError, fault};
use super::key::Shape;
use super::settings::Kind;
use super::slot::Slot;

/// The shortest secret of an endpoint.
const LEAST_BYTES: usize = 16;

/// A secret of the Standard Webhooks scheme: base64, usually after `whsec_`.
fn standard_webhooks(secret: SecretString, source: &str) -> Result<SecretString, ValueError> {
    let text = secret.expose_secret();
    let key = text.strip_prefix("whsec_").unwrap_or(text);
    match STANDARD.decode(key) {
        Ok(bytes) if !bytes.is_empty() => Ok(secret),
        _ => Err(fault(
            format!(
                "is not a webhook secret for source `{source}`: it is not base64, with or without `whsec_` before it"
            ),
            "copy the whole signing secret from the provider's webhook page",
        )),
    }
}

/// The secret of an endpoint. A short one could be guessed.
pub(super) fn of_endpoint(secret: SecretString, endpoint: &str) -> Result<SecretString, ValueError> {
    let text = secret.expose_secret();
    let key = text.strip_prefix("whsec_").unwrap_or(text);
    match STANDARD.decode(key) {
        Ok(bytes) if bytes.len() >= LEAST_BYTES => Ok(secret),
        _ => Err(fault(
            format!(
                "is not a secret for endpoint `{endpoint}`: it is not `whsec_` and base64 of {LEAST_BYTES} bytes or more"
            ),
            "make one: echo whsec_$(openssl rand -base64 32)",
        )),
    }
}

/// The secrets in one text: Supabase joins several as `v1,whsec_…|v1,whsec_…`.
pub(super) fn split_standard_webhooks(
    secret: &SecretString,
    source: &str,
) -> Result<Vec<SecretString>, ValueError> {
    secret
        .expose_secret()
        .split('|')
        .map(|part| part.trim().trim_start_matches("v1,"))
        .map(|part| standard_webhooks(SecretString::from(part), source))
        .collect()
}

/// What a sender puts after `Authorization: Bearer`.
pub(super) struct BearerToken;

impl Kind for BearerToken {
    type Value = SecretString;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<SecretString> {
        let token = slot.secret()?;
        if token.expose_secret().contains(char::is_whitespace) {
            let remedy = "write the token alone, without `Bearer` before it";
            slot.refuse(fault("has a space in it, so no sender can send it as a bearer token", remedy));
        }
        Some(token)
    }
}
