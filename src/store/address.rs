//! Where the database is: what people paste as its URL, as the driver wants it.

use std::str::FromStr;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// A database's address.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// The URL, as it was given.
    Sqlite(String),
    Postgres(Box<Postgres>),
}

#[derive(Clone, Debug)]
pub(super) struct Postgres {
    pub(super) options: PgConnectOptions,
    /// The URL shows that there is a pooler which gives each transaction another server connection.
    pub(super) says_pooled: bool,
}

/// What is wrong with an address, and what to write instead. It never quotes the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsupported(pub(super) String);

/// Parameters of other drivers that announce a pooler, and the values that do not.
const POOLER_PARAMETERS: [(&str, &[&str]); 5] = [
    ("pgbouncer", &["false", "0"]),
    ("statement-cache-capacity", &["1", "100", "256", "512", "1000"]),
    ("prepared_statements", &["true"]),
    ("prepareThreshold", &["1", "5"]),
    ("prepare_threshold", &["1", "5"]),
];
/// The parameters that the driver knows; others are for other drivers, or are defaults.
const KNOWN_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "passfile",
];

impl FromStr for Address {
    type Err = Unsupported;

    fn from_str(text: &str) -> Result<Self, Unsupported> {
        let text = unwrapped(text);
        if text.starts_with("sqlite:") {
            return Ok(Self::Sqlite(text.to_owned()));
        }
        Postgres::parse(text).map(Box::new).map(Self::Postgres)
    }
}

/// Without blanks, a byte order mark, and quotes around it.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim_matches(|it: char| it.is_whitespace() || it == '\u{feff}');
    for quote in ['"', '\'', '`'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            text = inner.trim();
        }
    }
    text
}

fn unsupported<T>(text: &str) -> Result<T, Unsupported> {
    Err(Unsupported(text.to_owned()))
}

impl Postgres {
    fn parse(text: &str) -> Result<Self, Unsupported> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return unsupported(
                "DATABASE_URL is not a URL: write postgres://USER:PASSWORD@HOST/DATABASE, or sqlite://FILE?mode=rwc",
            );
        };
        if !matches!(scheme, "postgres" | "postgresql") {
            return unsupported(
                "DATABASE_URL begins with another program's scheme: begin it with postgres:// or sqlite://",
            );
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let hosts = authority.rsplit('@').next().unwrap_or_default();
        if hosts.contains(',') {
            return unsupported(
                "DATABASE_URL names several hosts, which is not supported: name one, such as the address that your \
                 provider keeps pointing to the primary",
            );
        }
        // A socket is named by a parameter, and the URL then names no host.
        let rest = if hosts.is_empty() || hosts.starts_with(':') {
            let (before, after) = rest.split_at(authority.len() - hosts.len());
            format!("{before}localhost{after}")
        } else {
            rest.to_owned()
        };
        let url = Url::parse(&format!("postgres://{rest}")).map_err(|error| {
            Unsupported(format!(
                "DATABASE_URL cannot be read: {error}; a character such as `#`, `/` or `@` in the password is \
                 written as %23, %2F or %40"
            ))
        })?;
        Self::from_url(&url)
    }

    fn from_url(url: &Url) -> Result<Self, Unsupported> {
        let mut says_pooled = false;
        let mut has_system_roots = false;
        let mut mode = None;
        let mut kept = Vec::new();
        for (name, value) in url.query_pairs() {
            if let Some((_, harmless)) = POOLER_PARAMETERS.iter().find(|(known, _)| *known == name) {
                says_pooled |= !harmless.contains(&&*value);
                continue;
            }
            match (&*name, &*value) {
                ("sslrootcert" | "ssl-root-cert" | "ssl-ca", "system") => has_system_roots = true,
                ("sslmode" | "ssl-mode", value) => mode = Some(value.to_owned()),
                ("host", value) if value.contains(',') => {
                    return unsupported("DATABASE_URL names several hosts, which is not supported: name one");
                }
                (name, _) if KNOWN_PARAMETERS.contains(&name) || name.starts_with("options[") => {
                    kept.push((name.to_owned(), value.into_owned()));
                }
                _ => {}
            }
        }
        let mode = ssl_mode(mode.as_deref(), has_system_roots)?;
        let mut url = url.clone();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        let options = PgConnectOptions::from_str(url.as_str())
            .map_err(|error| Unsupported(format!("DATABASE_URL cannot be used: {error}")))?;
        let options = match mode {
            Some(mode) => options.ssl_mode(mode),
            None => options,
        };
        // The driver takes the brackets around an IPv6 address for a part of the name.
        let options = match options.get_host().strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => {
                let address = address.to_owned();
                options.host(&address)
            }
            None => options,
        };
        // PgBouncer takes no such parameter, and the text of a floating number is nothing that we read.
        let options = options.extra_float_digits(None).application_name("usersync");
        Ok(Self { options, says_pooled })
    }
}

/// The driver trusts the authorities that the system trusts, or that `SSL_CERT_FILE` names, and in addition those of
/// `sslrootcert`.
fn ssl_mode(mode: Option<&str>, has_system_roots: bool) -> Result<Option<PgSslMode>, Unsupported> {
    Ok(Some(match mode {
        // As libpq has it: any host can have a certificate of a public CA, so the host name must be checked too.
        None if has_system_roots => PgSslMode::VerifyFull,
        None => return Ok(None),
        Some("verify-full") => PgSslMode::VerifyFull,
        Some(_) if has_system_roots => {
            return unsupported("DATABASE_URL has sslrootcert=system, which needs sslmode=verify-full");
        }
        // As in node-postgres: encrypted, and the certificate is not checked.
        Some("no-verify" | "require") => PgSslMode::Require,
        Some("verify-ca") => PgSslMode::VerifyCa,
        Some("prefer") => PgSslMode::Prefer,
        Some("allow") => PgSslMode::Allow,
        Some("disable") => PgSslMode::Disable,
        Some(_) => {
            return unsupported(
                "DATABASE_URL has an unknown sslmode: write disable, prefer, require, verify-ca or verify-full",
            );
        }
    }))
}

#[cfg(test)]
mod tests {
    use sea_orm::sqlx::postgres::PgSslMode;

    use super::{Address, Postgres};

    fn postgres(url: &str) -> Postgres {
        match url.parse() {
            Ok(Address::Postgres(postgres)) => *postgres,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn refusal(url: &str) -> String {
        match url.parse::<Address>() {
            Err(refusal) => refusal.0,
            Ok(_) => panic!("{url} is taken"),
        }
    }

    #[test]
    fn an_ipv6_address_is_a_host() {
        let options = postgres("postgres://u:p@[::1]:5433/db").options;
        assert_eq!((options.get_host(), options.get_port()), ("::1", 5433));
    }

    #[test]
    fn quotes_spaces_and_a_byte_order_mark_around_the_url_are_removed() {
        for url in [
            "'postgres://u:p@h/db'",
            "\"postgresql://u:p@h/db\"",
            " postgres://u:p@h/db\n",
            "\u{feff}postgres://u:p@h/db",
        ] {
            let options = postgres(url).options;
            assert_eq!((options.get_host(), options.get_database()), ("h", Some("db")), "{url}");
        }
        assert!(matches!(" 'sqlite://x.db' ".parse(), Ok(Address::Sqlite(url)) if url == "sqlite://x.db"));
    }

    #[test]
    fn a_cloud_sql_socket_is_found() {
        for url in [
            "postgresql://u:p@/db?host=/cloudsql/project:region:instance",
            "postgresql://u:p@localhost/db?host=/cloudsql/project:region:instance",
            "postgresql:///db?user=u&host=/cloudsql/project:region:instance",
        ] {
            let options = postgres(url).options;
            assert_eq!(
                options.get_socket().unwrap().to_str(),
                Some("/cloudsql/project:region:instance"),
                "{url}"
            );
            assert_eq!((options.get_username(), options.get_database()), ("u", Some("db")), "{url}");
        }
    }

    #[test]
    fn tls_is_asked_for_as_each_provider_writes_it() {
        for (query, expected) in [
            ("sslmode=verify-full&sslrootcert=system", PgSslMode::VerifyFull),
            ("sslrootcert=system", PgSslMode::VerifyFull),
            ("sslmode=no-verify", PgSslMode::Require),
            ("sslmode=require&channel_binding=require", PgSslMode::Require),
            ("sslmode=disable", PgSslMode::Disable),
            ("", PgSslMode::Prefer),
        ] {
            let options = postgres(&format!("postgres://u:p@h/db?{query}")).options;
            assert_eq!(
                std::mem::discriminant(&options.get_ssl_mode()),
                std::mem::discriminant(&expected),
                "{query}"
            );
        }
        assert!(refusal("postgres://u:p@h/db?sslmode=require&sslrootcert=system").contains("verify-full"));
        assert!(refusal("postgres://u:p@h/db?sslmode=on").contains("unknown sslmode"));
    }

    #[test]
    fn a_url_may_say_that_there_is_a_pooler() {
        for (query, expected) in [
            ("pgbouncer=true", true),
            ("pgbouncer=true&connection_limit=1", true),
            ("statement-cache-capacity=0", true),
            ("prepareThreshold=0", true),
            ("pgbouncer=false", false),
            ("connection_limit=1", false),
        ] {
            assert_eq!(
                postgres(&format!("postgres://u:p@h:6543/db?{query}")).says_pooled,
                expected,
                "{query}"
            );
        }
    }

    #[test]
    fn what_is_not_supported_is_named_and_nothing_is_quoted() {
        for (url, expected) in [
            ("postgres://u:hunter2@one,two/db", "several hosts"),
            ("postgres://u:hunter2@one:5432,two:5432/db", "several hosts"),
            ("postgres://u:hunter2@/db?host=one,two", "several hosts"),
            ("host=one user=u password=hunter2", "is not a URL"),
            ("jdbc:postgresql://h/db?password=hunter2", "another program's scheme"),
            ("postgresql+asyncpg://u:hunter2@h/db", "another program's scheme"),
            ("mysql://u:hunter2@h/db", "another program's scheme"),
            ("postgres://u:hunter2#x@h/db", "%23"),
        ] {
            let refusal = refusal(url);
            assert!(refusal.contains(expected) && !refusal.contains("hunter2"), "{url}: {refusal}");
        }
    }
}
