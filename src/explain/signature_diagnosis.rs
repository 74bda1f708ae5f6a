//! Why the signature of a delivery matches no secret of its source.
//!
//! Each possible cause is tested with the source's own scheme, with one thing changed: another secret, or
//! another way of writing the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

use super::json_variants;
use crate::config::{self, Config};
use crate::domain::Timestamp;
use crate::providers::Source;

/// A delivery, and what it is checked against.
#[derive(Clone, Copy)]
pub(super) struct SavedDelivery<'a> {
    pub(super) settings: &'a config::Source,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    pub(super) at: Timestamp,
}

impl SavedDelivery<'_> {
    /// The source's place in the configuration.
    pub(super) fn path(&self, config: &Config) -> String {
        let name = &self.settings.name;
        let position = config.sources.iter().position(|source| source.name == *name);
        format!("sources[{}] (`{name}`)", position.unwrap_or_default())
    }

    /// Whether the delivery would pass at a source with these settings.
    fn matches(&self, settings: &config::Source) -> bool {
        Source::new(settings)
            .is_ok_and(|source| source.verify(self.headers, self.body.to_vec(), self.at).is_ok())
    }

    /// The source with other secrets.
    fn with(&self, webhook_secrets: Vec<SecretString>, bearer_tokens: Vec<SecretString>) -> config::Source {
        config::Source { webhook_secrets, bearer_tokens, ..self.settings.clone() }
    }
}

/// Which of the source's secrets matches, by its number.
pub(super) fn matching_secret(evidence: &SavedDelivery<'_>) -> Option<String> {
    matching_secret_of(evidence.settings, evidence)
}

/// Which of a source's secrets matches, in the scheme of the source that the delivery was sent to.
fn matching_secret_of(owner: &config::Source, evidence: &SavedDelivery<'_>) -> Option<String> {
    let config::Source { webhook_secrets, bearer_tokens, .. } = owner;
    let secret = |one: &&SecretString| evidence.matches(&evidence.with(vec![(**one).clone()], Vec::new()));
    let token = |one: &&SecretString| evidence.matches(&evidence.with(Vec::new(), vec![(**one).clone()]));
    let number = |index: usize, of: &[SecretString]| format!("{} of {}", index + 1, of.len());
    let found = |list: &[SecretString], which: &dyn Fn(&&SecretString) -> bool| {
        list.iter().position(|one| which(&one)).map(|index| number(index, list))
    };
    let secret = found(webhook_secrets, &secret).map(|number| format!("secret {number} in webhook_secrets"));
    secret.or_else(|| found(bearer_tokens, &token).map(|number| format!("token {number} in bearer_tokens")))
}

/// The cause, and what to do about it; `None` if no known cause explains it.
pub(super) fn diagnose(config: &Config, evidence: &SavedDelivery<'_>) -> Option<String> {
    another_source(config, evidence)
        .or_else(|| rewritten_body(evidence))
        .or_else(|| undecoded_secret(evidence))
}

fn another_source(config: &Config, evidence: &SavedDelivery<'_>) -> Option<String> {
    let (here, path) = (&evidence.settings.name, evidence.path(config));
    let mut others = config.sources.iter().filter(|other| other.name != *here);
    others.find_map(|other| {
        let name = &other.name;
        let which = match matching_secret_of(other, evidence) {
            Some(which) => which,
            None if evidence.matches(other) => "a secret".to_owned(),
            None => return None,
        };
        Some(format!(
            "the signature matches {which} of source `{name}`: correct the URL at the provider to \
                /webhooks/{name}; or, if the secrets were mixed up, put that one in webhook_secrets of {path}"
        ))
    })
}

fn rewritten_body(evidence: &SavedDelivery<'_>) -> Option<String> {
    let variant = json_variants::variants(evidence.body)
        .into_iter()
        .find(|variant| SavedDelivery { body: &variant.body, ..*evidence }.matches(evidence.settings))?;
    Some(format!(
        "the signature matches the body {}: a proxy, a body parser or the tool that saved this file rewrote \
            the body. Pass on the raw bytes",
        variant.how
    ))
}

/// Some senders sign with the characters of the secret instead of the bytes that its base64 encodes.
fn undecoded_secret(evidence: &SavedDelivery<'_>) -> Option<String> {
    let undecoded = |text: &str| SecretString::from(STANDARD.encode(text));
    let texts = evidence.settings.webhook_secrets.iter().flat_map(|secret| {
        let text = secret.expose_secret();
        [undecoded(text), undecoded(text.trim_start_matches("whsec_"))]
    });
    evidence.matches(&evidence.with(texts.collect(), Vec::new())).then(|| {
        "the sender signs with the characters of the secret: it must decode the base64 after whsec_ first, \
            or sign with the svix package"
            .to_owned()
    })
}
