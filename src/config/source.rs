//! `[[sources]]`: the configured providers.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::error::{Fault, fault};
use super::map::{self, SourceMap};
use super::reader::Reader;
use super::rule::{self, TokenRule};
use super::{Tokens, secret};

/// A configured instance of a provider. One without secrets only answers for tokens, one without rules only receives.
#[derive(Clone, Debug)]
pub struct Source {
    /// Stands in the webhook's address and in the `source` column: `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// Whose format its deliveries have.
    pub provider: ProviderKind,
    /// Any one that fits passes. Base64, perhaps after `whsec_`; for `WorkOS` the bytes of the text itself.
    pub webhook_secrets: Vec<SecretString>,
    /// Any one that fits passes; `Auth0` and `Standard` only.
    pub bearer_tokens: Vec<SecretString>,
    /// In the order in which they are tried.
    pub tokens: Vec<TokenRule>,
    /// Always there for a `Standard` source that receives deliveries; never for the others.
    pub map: Option<SourceMap>,
}

/// Whose format a source's deliveries have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Clerk.
    Clerk,
    /// Auth0: event streams or a signing Action.
    Auth0,
    /// WorkOS.
    Workos,
    /// Anyone who signs as Standard Webhooks says, mapped by JSON pointers.
    Standard,
}

impl ProviderKind {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clerk => "clerk",
            Self::Auth0 => "auth0",
            Self::Workos => "workos",
            Self::Standard => "standard",
        }
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let all = [Self::Clerk, Self::Auth0, Self::Workos, Self::Standard];
        all.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let remedy =
                "write clerk, auth0, workos, or standard for any other that signs by Standard Webhooks";
            fault(format!("`{text}` is no known provider"), remedy)
        })
    }

    fn takes_bearer_tokens(self) -> bool {
        matches!(self, Self::Auth0 | Self::Standard)
    }

    /// The secrets in one configured text, checked as this provider's scheme has them.
    fn webhook_secrets(self, secret: SecretString, source: &str) -> Result<Vec<SecretString>, Fault> {
        match self {
            Self::Workos => Ok(vec![secret]),
            Self::Standard => secret::split_standard_webhooks(&secret, source),
            Self::Clerk | Self::Auth0 => Ok(vec![secret::standard_webhooks(secret, source)?]),
        }
    }
}

/// Every source that could be read; the others, and names used twice, are noted.
pub(super) fn read_all(root: &Reader<'_>, tokens: &Tokens) -> Vec<Source> {
    let readers = root.tables("sources");
    refuse_repeated_names(&readers);
    readers.iter().filter_map(|reader| read(reader, tokens)).collect()
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

fn read(reader: &Reader<'_>, tokens: &Tokens) -> Option<Source> {
    let name = reader.required("name", "write one: it stands in the webhook's address", source_name);
    let provider = reader.required("provider", "write clerk, auth0, workos or standard", ProviderKind::parse);
    let rules: Vec<_> = reader.tables("tokens").iter().map(|reader| rule::read(reader, tokens)).collect();
    let provider = provider?;
    let label = reader.raw_text("name").unwrap_or_default();
    let webhook_secrets = reader.secrets("webhook_secrets", |secret| provider.webhook_secrets(secret, label));
    let bearer_tokens = reader.secrets("bearer_tokens", Ok);
    if reader.has("bearer_tokens") && !provider.takes_bearer_tokens() {
        let problem = format!("is for auth0 and standard; {} signs its deliveries", provider.name());
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
    match (provider, reader.has("map")) {
        (ProviderKind::Standard, true) => map::read(&reader.section("map")),
        (ProviderKind::Standard, false) if receives => {
            let remedy = "write [sources.map] with JSON pointers into its payloads";
            reader
                .refuse("map", fault("is missing, and the format of a standard source is not known", remedy));
            None
        }
        (_, true) if provider != ProviderKind::Standard => {
            let problem =
                format!("is for provider = \"standard\"; the format of {} is known", provider.name());
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
