//! Secrets: looked up where they are kept, checked without ever being shown.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::error::{Fault, fault};

/// The secret itself, or what `env:NAME` or `file:/path` refers to, without the blanks around it.
pub(super) fn resolve(text: &str, environment: &BTreeMap<String, String>) -> Result<SecretString, Fault> {
    let found = if let Some(name) = text.strip_prefix("env:") {
        environment.get(name).cloned().ok_or_else(|| {
            fault(format!("the variable {name} is not set"), format!("set {name}, or correct its name"))
        })?
    } else if let Some(path) = text.strip_prefix("file:") {
        std::fs::read_to_string(path).map_err(|error| {
            fault(format!("the file {path} cannot be read: {error}"), "check its name and permissions")
        })?
    } else {
        return Ok(SecretString::from(text));
    };
    let found = found.trim();
    if found.is_empty() {
        return Err(fault(format!("{text} is empty"), "put the secret there"));
    }
    Ok(SecretString::from(found))
}

/// A secret of the Standard Webhooks scheme: base64, usually after `whsec_`.
pub(super) fn standard_webhooks(secret: SecretString, source: &str) -> Result<SecretString, Fault> {
    let text = secret.expose_secret();
    let key = text.strip_prefix("whsec_").unwrap_or(text);
    match STANDARD.decode(key) {
        Ok(bytes) if !bytes.is_empty() => Ok(secret),
        _ => Err(fault(
            format!("is no webhook secret for source `{source}`: it is not base64, perhaps after `whsec_`"),
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
pub(super) fn database_url(url: SecretString) -> Result<SecretString, Fault> {
    let text = url.expose_secret();
    let [is_sqlite, is_postgres] = [&["sqlite:"][..], &["postgres://", "postgresql://"]]
        .map(|schemes| schemes.iter().any(|scheme| text.starts_with(scheme)));
    if is_sqlite || is_postgres {
        // A `#` begins what no database looks at: it belongs to the password.
        return match Url::parse(text) {
            Ok(address) if is_sqlite || address.fragment().is_none() => Ok(url),
            _ => Err(fault(
                "cannot be read as an address",
                "write what is special in a user or password as % and two digits, such as %23 for # and %40 for @",
            )),
        };
    }
    let remedy = "write sqlite://usersync.db?mode=rwc or postgres://user:password@host/database";
    Err(fault("is no address of a SQLite or PostgreSQL database", remedy))
}
