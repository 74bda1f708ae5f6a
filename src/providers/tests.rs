//! What holds for every provider in the registry: its fixtures, its variables, and what is said about it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::read::ReadEvent;
use super::testing::mutated;
use super::{NotJson, Provider, REGISTRY, ReadMessage, Registered, Source, kinds};
use crate::config::{self, Config, ConfigErrors, RuleKind, RuleValue, TokenRule, Variables};
use crate::domain::{Change, ChangeKind, Timestamp, UserKey};
use crate::signature::{LONGEST_ID, Message, Verified};

/// Published by Svix as an example.
pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The settings that these variables alone make.
pub(super) fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    load_with("", variables)
}

pub(super) fn load_with(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(file.as_bytes()).unwrap();
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(Some(on_disk.path()), &variables, &kinds())
}

pub(super) fn shown(secrets: &[SecretString]) -> Vec<&str> {
    secrets.iter().map(SecretString::expose_secret).collect()
}

pub(super) fn domain_and_audience(rule: &TokenRule) -> (&str, &str) {
    let RuleKind::Oidc { domain, .. } = &rule.kind else { panic!("{rule:?}") };
    (domain.as_str(), rule.application_id.as_deref().unwrap())
}

/// The files with this ending, in order.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == ending));
    files.sort();
    files
}

fn stem(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

/// The source that a fixture is of. That of a mapped provider is described beside the fixture, by a configuration whose
/// name the fixture's begins with.
fn source_of(registered: &Registered, fixture: &Path) -> config::Source {
    if !registered.kind.is_mapped {
        let name = registered.kind.name;
        let file =
            format!("[[sources]]\nname = {name:?}\nprovider = {name:?}\nwebhook_secrets = [{SECRET:?}]");
        return load_with(&file, &[]).unwrap().sources.remove(0);
    }
    let folder = fixture.parent().unwrap();
    let configurations = files(folder, "toml");
    let file = configurations.iter().find(|file| stem(fixture).starts_with(stem(file)));
    let file = file.unwrap_or_else(|| panic!("{} has no map", fixture.display()));
    let config = Config::load(Some(file), &BTreeMap::new(), &kinds()).unwrap();
    config.sources[0].clone()
}

fn fixtures(provider: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(provider);
    let fixtures = files(&folder, "json");
    assert!(!fixtures.is_empty(), "{provider} has no fixtures");
    fixtures
}

#[test]
fn every_fixture_decodes_to_its_snapshot() {
    for registered in REGISTRY {
        let name = registered.kind.name;
        for file in fixtures(name) {
            let provider = (registered.make)(&source_of(registered, &file));
            let event = ReadEvent::read(&*provider, &fs::read_to_string(&file).unwrap()).unwrap();
            insta::assert_debug_snapshot!(format!("{name}__{}", stem(&file)), event);
        }
    }
}

/// Every provider that has variables, by name.
fn with_variables() -> impl Iterator<Item = (&'static str, &'static Variables)> {
    REGISTRY.iter().filter_map(|registered| Some((registered.kind.name, registered.kind.variables?)))
}

#[test]
fn one_secret_alone_makes_a_source_that_only_receives() {
    for (provider, variables) in with_variables() {
        for name in variables.webhook_secrets.iter().chain(variables.bearer_tokens) {
            let config = load(&[(name, SECRET)]).unwrap();
            let [source] = config.sources.as_slice() else { panic!("{name}: {config:?}") };
            assert_eq!((source.name.as_str(), source.provider.name), (provider, provider));
            assert!(source.tokens.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_secret_means_the_same_with_quotes_spaces_or_a_byte_order_mark_around_it() {
    for (_, variables) in with_variables() {
        for name in variables.webhook_secrets.iter().chain(variables.bearer_tokens) {
            let secrets = |value: &str| {
                let config = load(&[(name, value)]).unwrap();
                let source = &config.sources[0];
                [&source.webhook_secrets, &source.bearer_tokens].map(|list| shown(list).join(" "))
            };
            let plain = secrets(SECRET);
            for (before, after) in
                [("\u{feff}", ""), ("\"", "\""), ("'", "'"), ("\u{feff}\"", "\"\n"), (" ", "\r\n")]
            {
                assert_eq!(secrets(&format!("{before}{SECRET}{after}")), plain, "{name} {before:?}");
            }
        }
    }
}

#[test]
fn the_variables_of_a_rule_alone_make_a_source_that_only_answers_for_tokens() {
    for (provider, variables) in with_variables() {
        let values = variables.rules.iter().flat_map(|rule| rule.iter());
        let names = values.filter_map(|(_, value)| match value {
            RuleValue::Variable { name, .. } => Some((*name, "id.example.com")),
            RuleValue::Fixed(_) => None,
        });
        let config = load(&names.collect::<Vec<_>>()).unwrap();
        let [source] = config.sources.as_slice() else { panic!("{provider}: {config:?}") };
        assert!(source.webhook_secrets.is_empty() && source.bearer_tokens.is_empty(), "{provider}");
        assert_eq!(source.tokens.len(), variables.rules.len(), "{provider}");
    }
}

#[test]
fn a_variable_that_needs_another_is_refused_without_it() {
    for (_, variables) in with_variables() {
        for (set, missing) in variables.requirements {
            let errors = load(&[(set, "x.example.com")]).unwrap_err().to_string();
            let expected = format!("{set}: is set without {missing}; set {missing} as well, or unset {set}");
            assert_eq!(errors, expected);
        }
    }
}

#[test]
fn a_token_rule_without_an_audience_is_refused_for_an_issuer_that_everyone_shares() {
    for registered in REGISTRY {
        let name = registered.kind.name;
        for issuer in registered.kind.shared_issuers {
            let file = format!(
                "[[sources]]\nname = 'one'\nprovider = '{name}'\n[[sources.tokens]]\ntype = 'oidc'\ndomain = '{issuer}'"
            );
            let errors = load_with(&file, &[]).unwrap_err().to_string();
            assert!(errors.contains("signs tokens for everyone's applications"), "{errors}");
        }
    }
}

#[test]
fn the_example_of_a_provider_works_from_its_variables_to_a_change() {
    let config =
        load(&[("ACME_WEBHOOK_SECRET", "acme secret"), ("ACME_DOMAIN", "acme.example.com")]).unwrap();
    let source = Source::new(&config.sources[0]).unwrap();
    let body = fs::read("tests/fixtures/example/saved.json").unwrap();
    let now = Timestamp::parse("2026-01-02T08:30:02Z").unwrap();
    let milliseconds = now.as_micros() / 1_000;
    let mut hmac = Hmac::<Sha256>::new_from_slice(b"acme secret").unwrap();
    hmac.update(&[format!("{milliseconds}.").as_bytes(), &body].concat());
    let signature = hex::encode(hmac.finalize().into_bytes());
    let header = format!("t={milliseconds}, v1={signature}").parse().unwrap();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("acme-signature"), header)]);

    let message = source.verify(&headers, body, now).unwrap();
    let ReadMessage::Delivery(delivery) = source.read(message, now).unwrap() else {
        panic!("not about a user")
    };
    let change = delivery.change().unwrap();
    assert_eq!(change.user, UserKey::new("example", "acme_1"));
    assert_eq!(change.stamp.to_string(), "2026-01-02T08:30:00Z");

    assert!(super::signature_headers().contains(&("acme-signature", "Acme".to_owned())));
    assert!(super::vendors_with_variables().contains("Acme"));
    assert!(super::hints(|advice| advice.key_pair).contains("Acme: Security, Signing keys"));
}

/// Every fixture of a provider with its decoder.
fn corpus(registered: &'static Registered) -> Vec<(Box<dyn Provider>, Vec<String>)> {
    let mut corpus: Vec<(Box<dyn Provider>, Vec<String>)> = Vec::new();
    for file in fixtures(registered.kind.name) {
        let payload = fs::read_to_string(&file).unwrap();
        if let Some((_, payloads)) = corpus.last_mut().filter(|_| !registered.kind.is_mapped) {
            payloads.push(payload);
        } else {
            corpus.push(((registered.make)(&source_of(registered, &file)), vec![payload]));
        }
    }
    corpus
}

/// What is true of every message that was read, whatever its bytes were.
fn assert_storable(read: &ReadMessage) {
    let (message_id, event_type) = match read {
        ReadMessage::Delivery(delivery) => (&delivery.message_id, &delivery.event_type),
        ReadMessage::NotAboutUsers { message_id, event_type } => (message_id, event_type),
    };
    assert!(
        !message_id.is_empty() && message_id.len() <= LONGEST_ID && !message_id.contains('\0'),
        "{read:?}"
    );
    let ReadMessage::Delivery(delivery) = read else { return };
    assert!(event_type.as_ref().is_none_or(|name| !name.is_empty() && !name.contains('\0')), "{read:?}");
    assert!(delivery.user().is_none_or(|user| UserKey::id_error(&user.external_id).is_none()), "{read:?}");
    if let Some(Change { kind: ChangeKind::Upsert { facts, .. }, .. }) = delivery.change() {
        for (_, value) in facts.clone() {
            assert!(!value.to_string().contains("\\u0000"), "{read:?}");
        }
    }
}

/// `PROPTEST_CASES` sets how many payloads are tried; hours of them find more.
#[test]
fn no_payload_panics_a_decoder_and_what_is_read_can_be_stored() {
    let now = Timestamp::from_seconds(1_767_528_000);
    for (provider, payloads) in REGISTRY.iter().flat_map(corpus) {
        proptest!(|(body in mutated(payloads))| {
            let read = || {
                let message = Message { id: None, body: body.clone() };
                super::read::read("source", &*provider, Verified::trusted(message), now)
            };
            let is_json = std::str::from_utf8(&body).is_ok_and(|body| {
                serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
            });
            match read() {
                Ok(message) => {
                    prop_assert!(is_json);
                    assert_storable(&message);
                    prop_assert_eq!(format!("{message:?}"), format!("{:?}", read().unwrap()), "reading is pure");
                }
                Err(NotJson) => prop_assert!(!is_json),
            }
        });
    }
}

#[test]
fn the_page_on_adding_a_provider_shows_the_example_that_is_compiled_and_tested() {
    let page = include_str!("../../CONTRIBUTING.md");
    let example = include_str!("example/mod.rs").split("\n#[cfg(test)]").next().unwrap();
    assert!(page.contains(example.trim_end()), "CONTRIBUTING.md shows another src/providers/example/mod.rs");
}
