//! `[[sources]]`: the configured providers.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::api::SourceApi;
use super::error::{ValueError, fault};
use super::key::Shape;
use super::list::SourceList;
use super::map::SourceMap;
use super::provider::{ProviderKind, Signing};
use super::rule::TokenRule;
use super::secret::{self, BearerToken};
use super::settings::{Kind, Located, parsed, settings};
use super::slot::Slot;

settings! {
    /// The keys of a source, before its provider is known.
    struct SourceKeys {
        /// Its name in the webhook's address, `/webhooks/{name}`, and in the column `source`.
        ///
        /// `a-z`, `0-9`, `_`, `-`; at most 63 characters; unique. Do not change it later: the rows would belong to
        /// another source.
        #[required = "write one: it is part of the webhook's address"]
        name: Option<String> as Option<Name>,
        /// `clerk`, `auth0`, `workos`, or `standard` for any other.
        ///
        /// [A page for each](providers/).
        #[required = "write the name of one, such as \"clerk\"; docs/providers has a page on each"]
        provider: Option<ProviderKind>,
        /// The secrets that deliveries are signed with. Several can be valid at a time: that is how a secret is rotated.
        /// If it is left out, the source only accepts tokens.
        ///
        /// Base64, with or without `whsec_`; for WorkOS any text. Supabase's `v1,whsec_…|v1,whsec_…` is accepted. To
        /// rotate: add the new one, change it at the provider, remove the old one.
        webhook_secrets: Vec<Located<SecretString>>,
        /// For auth0 (event streams) and standard: bearer tokens of deliveries that are not signed. May be set beside
        /// `webhook_secrets`.
        ///
        /// A message with signature headers is checked by its signature, any other by its bearer token.
        bearer_tokens: Vec<SecretString> as Vec<BearerToken>,
        /// What the source's tokens look like. The first rule that matches decides. If there is none, the source only
        /// receives webhooks.
        tokens: Vec<TokenRule>,
        /// For standard, required there if the source receives webhooks: where the values are in its payloads, as JSON
        /// pointers.
        map: Option<SourceMap>,
        /// The provider's management API, for `usersync backfill`, `usersync reconcile` and the watch in `serve`. If it
        /// is left out, no request is sent to the provider.
        api: Option<SourceApi>,
        /// For standard: how the provider's list of users is read.
        list: Option<SourceList>,
    }
}

/// A configured instance of a provider. One without secrets only answers for tokens, one without rules only
/// receives.
#[derive(Clone, Debug)]
pub struct Source {
    /// In the webhook's address and in the `source` column: `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// Whose format its deliveries have.
    pub provider: ProviderKind,
    /// Each of them is accepted. What they look like depends on [`Signing`].
    pub webhook_secrets: Vec<SecretString>,
    /// Any one that fits passes; only for providers that take them.
    pub bearer_tokens: Vec<SecretString>,
    /// In the order in which they are tried.
    pub tokens: Vec<TokenRule>,
    /// Always there for a source of a mapped provider that receives deliveries; never for the others.
    pub map: Option<SourceMap>,
    /// The provider's management API; without it no request is sent to the provider.
    pub api: Option<SourceApi>,
    /// Only for a mapped provider.
    pub list: Option<SourceList>,
}

impl Kind for ProviderKind {
    type Value = Self;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Self> {
        let known = slot.context.providers;
        slot.parse(|text| {
            known.iter().copied().find(|kind| kind.name == text).ok_or_else(|| {
                let names = names(known, "or", |_| true);
                let remedy =
                    format!("write {names}; standard is for any other that signs by Standard Webhooks");
                fault(format!("`{text}` is not a known provider"), remedy)
            })
        })
    }
}

/// The names of some providers, as a sentence has them.
fn names(known: &[ProviderKind], conjunction: &str, which: impl Fn(&ProviderKind) -> bool) -> String {
    let names: Vec<&str> = known.iter().filter(|kind| which(kind)).map(|kind| kind.name).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => {
            format!("{} {conjunction} {last}", others.join(", "))
        }
        _ => names.concat(),
    }
}

/// Every source that could be read; the others, and names used twice, are reported.
pub(super) struct Sources;

impl Kind for Sources {
    type Value = Vec<Source>;
    const SHAPE: Shape = Shape::List(&SourceKeys::SHAPE);

    fn read(slot: &Slot<'_>) -> Option<Vec<Source>> {
        let slots: Vec<_> = slot.elements().collect();
        refuse_repeated_names(&slots);
        Some(slots.iter().filter_map(read).collect())
    }
}

fn refuse_repeated_names(slots: &[Slot<'_>]) {
    let mut first_of_name = BTreeMap::new();
    for slot in slots.iter().map(|slot| slot.key("name")) {
        let Some(name) = slot.raw_text() else { continue };
        if let Some(first) = first_of_name.get(name) {
            let remedy = "give each source its own name: it is part of the webhook's address";
            slot.refuse(fault(format!("`{name}` is already {first}"), remedy));
        } else {
            first_of_name.insert(name, slot.path().to_owned());
        }
    }
}

fn read(slot: &Slot<'_>) -> Option<Source> {
    let keys = SourceKeys::read(slot)?;
    let provider = keys.provider?;
    let label = slot.key("name").raw_text().unwrap_or_default();
    let webhook_secrets = keys.webhook_secrets.into_iter().filter_map(|Located { path, value }| {
        let secrets = match provider.signing {
            Signing::StandardWebhooks => secret::split_standard_webhooks(&value, label),
            Signing::TimestampedHmac { .. } => Ok(vec![value]),
        };
        secrets.map_err(|fault| slot.context.problems.add(path, fault)).ok()
    });
    let webhook_secrets = webhook_secrets.flatten().collect();
    let bearer_tokens = slot.key("bearer_tokens");
    if bearer_tokens.is_set() && !provider.takes_bearer_tokens {
        let takers = names(slot.context.providers, "and", |kind| kind.takes_bearer_tokens);
        let problem = format!("is for {takers}; {} signs its deliveries", provider.name);
        bearer_tokens.refuse(fault(problem, "write the signing secret in webhook_secrets"));
    }
    check_map(slot, provider);
    if !["webhook_secrets", "bearer_tokens", "tokens"].iter().any(|key| slot.key(key).is_filled()) {
        let problem = format!("source `{label}` has neither secrets nor token rules, so it can do nothing");
        let remedy = "give it webhook_secrets, [[sources.tokens]] or both";
        slot.key("webhook_secrets").refuse(fault(problem, remedy));
    }
    check_api(slot, provider, keys.api.as_ref());
    let SourceKeys { name, bearer_tokens, tokens, map, api, list, .. } = keys;
    Some(Source { name: name?, provider, webhook_secrets, bearer_tokens, tokens, map, api, list })
}

fn check_map(slot: &Slot<'_>, provider: ProviderKind) {
    let receives = ["webhook_secrets", "bearer_tokens"].iter().any(|key| slot.key(key).is_filled());
    let map = slot.key("map");
    if provider.is_mapped && receives && !map.is_set() {
        let problem = format!("is missing, and the format of a {} source is not known", provider.name);
        map.refuse(fault(problem, "write [sources.map] with JSON pointers into its payloads"));
    }
    if !provider.is_mapped && map.is_set() {
        let problem = format!("is for provider = \"standard\"; the format of {} is known", provider.name);
        map.refuse(fault(problem, "leave it out"));
    }
}

/// The keys of `[sources.api]` that are credentials of one provider or another.
const CREDENTIALS: [&str; 4] = ["secret_key", "domain", "client_id", "client_secret"];

/// The credentials that the provider's API takes are there, and no others.
fn check_api(slot: &Slot<'_>, provider: ProviderKind, api: Option<&SourceApi>) {
    let list = slot.key("list");
    if list.is_set() && !provider.is_mapped {
        let problem = format!("is for provider = \"standard\"; the list of {} is known", provider.name);
        list.refuse(fault(problem, "write its credentials under [sources.api]"));
    }
    if api.is_none() {
        return;
    }
    let needed = provider.api_credentials;
    for name in CREDENTIALS {
        let key = slot.key("api").key(name);
        if needed.contains(&name) {
            key.require(&format!("the API of {} needs it", provider.name));
        } else if key.is_set() {
            let instead = if needed.is_empty() { "write [sources.list.auth]" } else { "leave it out" };
            key.refuse(fault(format!("is not for {}", provider.name), instead));
        }
    }
}

/// A source's name.
struct Name;

parsed!(Name as String, Text, source_name, |name: &String| format!("{name:?}"));

fn source_name(text: &str) -> Result<String, ValueError> {
    let fits = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9');
    let starts_well = text.bytes().next().is_some_and(fits);
    if starts_well && text.len() <= 63 && text.bytes().all(|letter| fits(letter) || b"_-".contains(&letter)) {
        return Ok(text.to_owned());
    }
    let remedy =
        "use a-z, 0-9, _ and -, beginning with a letter or digit, 63 at most: it is part of an address";
    Err(fault(format!("`{text}` is not a name for a source"), remedy))
}
