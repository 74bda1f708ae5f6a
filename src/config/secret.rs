//! Secrets: checked without ever being shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::error::{Fault, fault};
use super::key::Shape;
use super::settings::Kind;
use super::slot::Slot;

/// A database's address.
pub(super) struct DatabaseUrl;

impl Kind for DatabaseUrl {
    type Value = SecretString;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<SecretString> {
        slot.accept(database_url(slot.secret()?))
    }

    #[cfg(test)]
    fn show(value: &SecretString) -> Option<String> {
        Some(format!("{:?}", value.expose_secret()))
    }
}

/// A secret of the Standard Webhooks scheme: base64, usually after `whsec_`.
fn standard_webhooks(secret: SecretString, source: &str) -> Result<SecretString, Fault> {
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

/// The secrets in one text: Supabase joins several as `v1,whsec_…|v1,whsec_…`.
pub(super) fn split_standard_webhooks(
    secret: &SecretString,
    source: &str,
) -> Result<Vec<SecretString>, Fault> {
    secret
        .expose_secret()
        .split('|')
        .map(|part| part.trim().trim_start_matches("v1,"))
        .map(|part| standard_webhooks(SecretString::from(part), source))
        .collect()
}

/// A database address that can be read. It is not shown: it holds the password.
fn database_url(url: SecretString) -> Result<SecretString, Fault> {
    let text = url.expose_secret();
    let [is_sqlite, is_postgres] = [&["sqlite:"][..], &["postgres://", "postgresql://"]]
        .map(|schemes| schemes.iter().any(|scheme| text.starts_with(scheme)));
    if is_sqlite || is_postgres {
        // No database reads what is after a `#`: it must be part of the password.
        return match Url::parse(text) {
            Ok(address) if is_sqlite || address.fragment().is_none() => Ok(url),
            _ => Err(fault(
                "cannot be read as an address",
                "percent-encode special characters in the user and password, such as %23 for # and %40 for @",
            )),
        };
    }
    let remedy = "write sqlite://usersync.db?mode=rwc or postgres://user:password@host/database";
    Err(fault("is not the address of a SQLite or PostgreSQL database", remedy))
}
