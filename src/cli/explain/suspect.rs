//! Why no secret fits a delivery: what it would fit instead.
//!
//! Each suspicion is tried by the source's own scheme, with one thing changed: another secret, or another
//! spelling of the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

use super::respell;
use crate::config::{self, Config};
use crate::domain::Timestamp;
use crate::providers::Source;

/// A delivery, and what it is judged by.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) settings: &'a config::Source,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) at: Timestamp,
}

impl Evidence<'_> {
    /// Where the configuration has the source.
    pub(super) fn path(&self, config: &Config) -> String {
        let name = &self.settings.name;
        let position = config.sources.iter().position(|source| source.name == *name);
        format!("sources[{}] (`{name}`)", position.unwrap_or_default())
    }

    /// Whether the delivery would pass at a source like this one.
    fn fits(&self, settings: &config::Source) -> bool {
        Source::new(settings)
            .is_ok_and(|source| source.verify(self.headers, self.body.to_vec(), self.at).is_ok())
    }

    /// The source with other secrets.
    fn with(&self, webhook_secrets: Vec<SecretString>, bearer_tokens: Vec<SecretString>) -> config::Source {
        config::Source { webhook_secrets, bearer_tokens, ..self.settings.clone() }
    }
}

/// Which of the source's secrets fits, by its number.
pub(super) fn fitting(evidence: &Evidence<'_>) -> Option<String> {
    fitting_of(evidence.settings, evidence)
}

/// Which of a source's secrets fits, in the scheme of the source that the delivery came to.
fn fitting_of(owner: &config::Source, evidence: &Evidence<'_>) -> Option<String> {
    let config::Source { webhook_secrets, bearer_tokens, .. } = owner;
    let secret = |one: &&SecretString| evidence.fits(&evidence.with(vec![(**one).clone()], Vec::new()));
    let token = |one: &&SecretString| evidence.fits(&evidence.with(Vec::new(), vec![(**one).clone()]));
    let number = |index: usize, of: &[SecretString]| format!("{} of {}", index + 1, of.len());
    let found = |list: &[SecretString], which: &dyn Fn(&&SecretString) -> bool| {
        list.iter().position(|one| which(&one)).map(|index| number(index, list))
    };
    let secret = found(webhook_secrets, &secret).map(|number| format!("secret {number} in webhook_secrets"));
    secret.or_else(|| found(bearer_tokens, &token).map(|number| format!("token {number} in bearer_tokens")))
}

/// What the delivery would fit instead; `None` if nothing that could be thought of.
pub(super) fn accuse(config: &Config, evidence: &Evidence<'_>) -> Option<String> {
    another_source(config, evidence)
        .or_else(|| another_body(evidence))
        .or_else(|| key_taken_literally(evidence))
}

fn another_source(config: &Config, evidence: &Evidence<'_>) -> Option<String> {
    let (here, path) = (&evidence.settings.name, evidence.path(config));
    let mut others = config.sources.iter().filter(|other| other.name != *here);
    others.find_map(|other| {
        let name = &other.name;
        let which = match fitting_of(other, evidence) {
            Some(which) => which,
            None if evidence.fits(other) => "a secret".to_owned(),
            None => return None,
        };
        Some(format!(
            "it fits {which} of source `{name}`: correct the URL at the provider to /webhooks/{name}; \
                or, if the secrets were mixed up, put that one in webhook_secrets of {path}"
        ))
    })
}

fn another_body(evidence: &Evidence<'_>) -> Option<String> {
    let spelling = respell::spellings(evidence.body)
        .into_iter()
        .find(|spelling| Evidence { body: &spelling.body, ..*evidence }.fits(evidence.settings))?;
    Some(format!(
        "it fits the body {}: something on the way (a proxy, a body parser), or what kept this file, \
            wrote it anew. Hand the raw bytes on",
        spelling.how
    ))
}

/// Senders written by hand sign with the secret's text instead of the bytes that its base64 stands for.
fn key_taken_literally(evidence: &Evidence<'_>) -> Option<String> {
    let literally = |text: &str| SecretString::from(STANDARD.encode(text));
    let texts = evidence.settings.webhook_secrets.iter().flat_map(|secret| {
        let text = secret.expose_secret();
        [literally(text), literally(text.trim_start_matches("whsec_"))]
    });
    evidence.fits(&evidence.with(texts.collect(), Vec::new())).then(|| {
        "the sender signs with the secret's text: it must decode the base64 after whsec_ first, or sign \
            with the svix package"
            .to_owned()
    })
}
