//! What can be checked of a database's settings without a connection. The store checks the rest.

use secrecy::{ExposeSecret, SecretString};
use url::{ParseError, Url};

use super::error::{ValueError, fault};
use super::key::Shape;
use super::settings::{Kind, parsed};
use super::slot::Slot;

/// A database's address.
pub(super) struct DatabaseUrl;

impl Kind for DatabaseUrl {
    type Value = SecretString;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<SecretString> {
        let pasted = slot.secret()?;
        slot.accept(database_url(SecretString::from(without_wrapping(pasted.expose_secret()))))
    }

    #[cfg(test)]
    fn show(value: &SecretString) -> Option<String> {
        Some(format!("{:?}", value.expose_secret()))
    }
}

/// The URL of a PostgreSQL server.
pub(super) struct DirectUrl;

impl Kind for DirectUrl {
    type Value = SecretString;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<SecretString> {
        let url = DatabaseUrl::read(slot)?;
        if is_sqlite(&url) {
            slot.refuse(fault("is for PostgreSQL only", "write the server's own URL, postgres://…"));
        }
        Some(url)
    }
}

/// A URL without what is pasted around it: whitespace, a byte order mark, quotes.
fn without_wrapping(text: &str) -> &str {
    let mut text = text.trim_matches(|it: char| it.is_whitespace() || it == '\u{feff}');
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            text = inner.trim();
        }
    }
    text
}

/// Whether the URL names a SQLite file.
fn is_sqlite(url: &SecretString) -> bool {
    url.expose_secret().starts_with("sqlite:")
}

/// A URL whose form is right. It is never shown: it holds the password.
fn database_url(url: SecretString) -> Result<SecretString, ValueError> {
    let text = url.expose_secret();
    if is_sqlite(&url) {
        return Ok(url);
    }
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        let remedy = "write sqlite://usersync.db?mode=rwc or postgres://user:password@host/database";
        return Err(fault("is not the URL of a SQLite or PostgreSQL database", remedy));
    }
    if names_several_hosts(text) {
        return Err(fault("names several hosts, which is not supported", "name one of them"));
    }
    match Url::parse(text) {
        // No database reads what is after a `#`: it must be part of the password.
        Ok(address) if address.fragment().is_none() => Ok(url),
        // The URL of a socket names no host but for the one in its query.
        Err(ParseError::EmptyHost) if text.contains("host=") && !text.contains('#') => Ok(url),
        _ => Err(fault(
            "cannot be read as a URL",
            "percent-encode special characters in the user and password, such as %23 for # and %40 for @",
        )),
    }
}

fn names_several_hosts(text: &str) -> bool {
    let hosts = text.split('/').nth(2).and_then(|authority| authority.rsplit('@').next());
    hosts.is_some_and(|hosts| hosts.contains(','))
}

/// The name of a PostgreSQL schema that needs no quotes.
pub(super) struct SchemaName;

parsed!(SchemaName as String, Text, schema_name, |name: &String| format!("{name:?}"));

fn schema_name(text: &str) -> Result<String, ValueError> {
    let fits = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let starts_well = text.bytes().next().is_some_and(|letter| fits(letter) && !letter.is_ascii_digit());
    if text.starts_with("pg_") || text == "information_schema" {
        return Err(fault(format!("`{text}` is a schema of PostgreSQL itself"), "write another name"));
    }
    if starts_well && text.len() <= 63 && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    let remedy = "use a-z, 0-9 and _, beginning with a letter or _, 63 at most";
    Err(fault(format!("`{text}` is not a name for a schema"), remedy))
}
