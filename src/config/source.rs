//! `[[sources]]`: the configured providers.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::error::{Fault, fault};
use super::map::{self, SourceMap};
use super::reader::Reader;
use super::rule::{self, TokenRule};
use super::variables::Variables;
use super::{Tokens, secret};

/// A configured instance of a provider. One without secrets only answers for tokens, one without rules only
/// receives.
#[derive(Clone, Debug)]
pub struct Source {
    /// Stands in the webhook's address and in the `source` column: `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// Whose format its deliveries have.
    pub provider: ProviderKind,
    /// Any one that fits passes. What they look like depends on [`Signing`].
    pub webhook_secrets: Vec<SecretString>,
    /// Any one that fits passes; only for providers that take them.
    pub bearer_tokens: Vec<SecretString>,
    /// In the order in which they are tried.
    pub tokens: Vec<TokenRule>,
    /// Always there for a source of a mapped provider that receives deliveries; never for the others.
    pub map: Option<SourceMap>,
}

/// What the configuration has to know of a provider; each provider's own file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderKind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// How its deliveries are signed, and so what its secrets look like.
    pub signing: Signing,
    /// Whether its deliveries may carry a bearer token instead of a signature.
    pub takes_bearer_tokens: bool,
    /// Whether its format is not known, but described in `[sources.map]`.
    pub is_mapped: bool,
    /// The environment variables that make a source of it without a file.
    pub variables: Option<&'static Variables>,
    /// Its issuers that sign for every customer's applications, without `https://`: a rule for one of them
    /// needs an `applicationID`.
    pub shared_issuers: &'static [&'static str],
}

/// How deliveries are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// As Svix does; secrets are base64, perhaps after `whsec_`.
    StandardWebhooks,
    /// A timestamp and an HMAC in one header; secrets are any text.
    TimestampedHmac {
        /// The header's name, in small letters.
        header: &'static str,
    },
}

impl Signing {
    /// The secrets in one configured text, checked.
    fn secrets(self, secret: SecretString, source: &str) -> Result<Vec<SecretString>, Fault> {
        match self {
            Self::StandardWebhooks => secret::split_standard_webhooks(&secret, source),
            Self::TimestampedHmac { .. } => Ok(vec![secret]),
        }
    }
}

/// The providers that a source can be of.
#[derive(Clone, Copy)]
pub(super) struct Known<'a>(pub(super) &'a [ProviderKind]);

impl Known<'_> {
    fn parse(self, text: &str) -> Result<ProviderKind, Fault> {
        self.0.iter().copied().find(|kind| kind.name == text).ok_or_else(|| {
            let remedy = format!(
                "write {}; standard is for any other that signs by Standard Webhooks",
                self.names("or", |_| true)
            );
            fault(format!("`{text}` is no known provider"), remedy)
        })
    }

    /// The names of some, as one says them.
    fn names(self, conjunction: &str, which: impl Fn(&ProviderKind) -> bool) -> String {
        let names: Vec<&str> = self.0.iter().filter(|kind| which(kind)).map(|kind| kind.name).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} {conjunction} {last}", others.join(", "))
            }
            _ => names.concat(),
        }
    }
}

/// Every source that could be read; the others, and names used twice, are noted.
pub(super) fn read_all(root: &Reader<'_>, tokens: &Tokens, known: Known<'_>) -> Vec<Source> {
    let readers = root.tables("sources");
    refuse_repeated_names(&readers);
    readers.iter().filter_map(|reader| read(reader, tokens, known)).collect()
}

fn refuse_repeated_names(readers: &[Reader<'_>]) {
    let mut first_of_name = BTreeMap::new();
    for reader in readers {
        let Some(name) = reader.raw_text("name") else { continue };
        if let Some(first) = first_of_name.get(name) {
            let remedy = "give each source its own name: it stands in the webhook's address";
            reader.refuse("name", fault(format!("`{name}` is already {first}"), remedy));
        } else {
            first_of_name.insert(name, reader.path("name"));
        }
    }
}

fn read(reader: &Reader<'_>, tokens: &Tokens, known: Known<'_>) -> Option<Source> {
    let name = reader.required("name", "write one: it stands in the webhook's address", source_name);
    let remedy = format!("write {}", known.names("or", |_| true));
    let provider = reader.required("provider", &remedy, |text| known.parse(text));
    let rules: Vec<_> =
        reader.tables("tokens").iter().map(|reader| rule::read(reader, tokens, known)).collect();
    let provider = provider?;
    let label = reader.raw_text("name").unwrap_or_default();
    let webhook_secrets = reader.secrets("webhook_secrets", |secret| provider.signing.secrets(secret, label));
    let bearer_tokens = reader.secrets("bearer_tokens", Ok);
    if reader.has("bearer_tokens") && !provider.takes_bearer_tokens {
        let takers = known.names("and", |kind| kind.takes_bearer_tokens);
        let problem = format!("is for {takers}; {} signs its deliveries", provider.name);
        reader.refuse("bearer_tokens", fault(problem, "write the signing secret in webhook_secrets"));
    }
    let map = read_map(reader, provider);
    if !["webhook_secrets", "bearer_tokens", "tokens"].iter().any(|key| reader.is_filled(key)) {
        let problem = format!("source `{label}` has neither secrets nor token rules, so it can do nothing");
        reader
            .refuse("webhook_secrets", fault(problem, "give it webhook_secrets, [[sources.tokens]] or both"));
    }
    Some(Source {
        name: name?,
        provider,
        webhook_secrets: webhook_secrets.into_iter().flatten().collect(),
        bearer_tokens,
        tokens: rules.into_iter().flatten().collect(),
        map,
    })
}

fn read_map(reader: &Reader<'_>, provider: ProviderKind) -> Option<SourceMap> {
    let receives = reader.is_filled("webhook_secrets") || reader.is_filled("bearer_tokens");
    match (provider.is_mapped, reader.has("map")) {
        (true, true) => map::read(&reader.section("map")),
        (true, false) if receives => {
            let problem = format!("is missing, and the format of a {} source is not known", provider.name);
            reader.refuse("map", fault(problem, "write [sources.map] with JSON pointers into its payloads"));
            None
        }
        (false, true) => {
            let problem = format!("is for provider = \"standard\"; the format of {} is known", provider.name);
            reader.refuse("map", fault(problem, "leave it out"));
            None
        }
        _ => None,
    }
}

fn source_name(text: &str) -> Result<String, Fault> {
    let fits = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9');
    let starts_well = text.bytes().next().is_some_and(fits);
    if starts_well && text.len() <= 63 && text.bytes().all(|letter| fits(letter) || b"_-".contains(&letter)) {
        return Ok(text.to_owned());
    }
    let remedy =
        "use a-z, 0-9, _ and -, beginning with a letter or digit, 63 at most: it stands in an address";
    Err(fault(format!("`{text}` is no name for a source"), remedy))
}
