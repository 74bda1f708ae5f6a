//! How every provider sends: which events, and how it proves that it sent them.
//!
//! What a provider sends is described in its folder, in `src/providers/<provider>/senders.toml`; how each
//! proof is made is defined here.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use usersync::internals::config::{Config, ProviderKind, Signing, Source};
use usersync::internals::providers;

use super::app::{OLD_SECRET, SECRET};
use super::client::{SignedRequest, signed_at};

/// What it sends about one user, who is called Ada Lovelace when created and Ada King when updated.
#[derive(Clone)]
pub(crate) struct Sender {
    /// The source that it sends to.
    pub(crate) source: String,
    pub(crate) proof: Proof,
    /// The provider of its source.
    provider: ProviderKind,
    /// The `usersync.toml` with its source, if the source needs more than a name and secrets.
    configuration: Option<String>,
    pub(crate) created: String,
    pub(crate) updated: String,
    pub(crate) deleted: String,
    /// An event that is not about a user.
    pub(crate) unknown: String,
    /// Where the user's id is in an event.
    pub(crate) user_id: String,
    /// Where the time of the change is in an event.
    pub(crate) stamp: String,
    /// Where the time of the event itself is, if it is another one.
    pub(crate) envelope_time: Option<String>,
    /// Where the message's own id is in an event that has one, unless the headers have it.
    pub(crate) message_id: Option<String>,
}

/// How it proves that a message is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proof {
    /// A signature, as Svix makes it.
    StandardWebhooks,
    /// The same, but several signatures are joined by a comma, as Supabase does.
    JoinedStandardWebhooks,
    /// A timestamp and a signature in one header, as WorkOS does.
    TimestampedHmac,
    /// A bearer token, on a source that accepts signatures too.
    BearerBesideSignatures,
    /// A bearer token, and nothing else is accepted.
    Bearer,
}

/// A provider's `senders.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    senders: Vec<DescribedSender>,
}

/// A sender in it: the events are names of files among the provider's fixtures.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedSender {
    source: String,
    proof: Proof,
    configuration: Option<String>,
    created: String,
    updated: String,
    deleted: String,
    unknown: String,
    user_id: String,
    stamp: String,
    envelope_time: Option<String>,
    message_id: Option<String>,
}

impl Proof {
    /// The secret in use, the one that is being rotated out, and one of another sender.
    pub(crate) fn secrets(self) -> [&'static str; 3] {
        match self {
            Self::StandardWebhooks | Self::JoinedStandardWebhooks => {
                [SECRET, OLD_SECRET, "whsec_plJ3nmyCDGBKInavdOK15jsl"]
            }
            Self::TimestampedHmac => ["workos-test-secret", "workos rotated out", "workos-other-secret"],
            Self::Bearer | Self::BearerBesideSignatures => {
                ["token-in-use", "token-rotated-out", "token-of-others"]
            }
        }
    }

    /// How many seconds an attempt's time may be off, if it has one.
    pub(crate) fn tolerance(self) -> Option<i64> {
        match self {
            Self::StandardWebhooks | Self::JoinedStandardWebhooks => Some(300),
            Self::TimestampedHmac => Some(180),
            Self::Bearer | Self::BearerBesideSignatures => None,
        }
    }

    /// The answer to a message whose proof does not match, and to one without any.
    pub(crate) fn refusals(self) -> [&'static str; 2] {
        match self {
            Self::StandardWebhooks | Self::JoinedStandardWebhooks | Self::TimestampedHmac => {
                ["400 invalid_signature", "400 missing_signature"]
            }
            Self::BearerBesideSignatures => ["401 invalid_bearer_token", "400 missing_signature"],
            Self::Bearer => ["401 invalid_bearer_token", "401 invalid_auth_header"],
        }
    }

    /// The keys of a source that accepts it, with the secrets in use and rotated out.
    fn settings(self) -> String {
        let list = |secrets: [&str; 3]| format!("[{:?}, {:?}]", secrets[0], secrets[1]);
        match self {
            Self::Bearer => format!("bearer_tokens = {}", list(self.secrets())),
            Self::BearerBesideSignatures => format!(
                "bearer_tokens = {}\nwebhook_secrets = {}",
                list(self.secrets()),
                list(Self::StandardWebhooks.secrets())
            ),
            _ => format!("webhook_secrets = {}", list(self.secrets())),
        }
    }
}

impl Sender {
    /// A message as it is sent. The id is for the headers of those schemes that have one there.
    pub(crate) fn wire(
        &self,
        secret: &str,
        id: &str,
        seconds: i64,
        body: impl Into<Vec<u8>>,
    ) -> SignedRequest {
        let mut wire = signed_at(id, seconds, secret, body);
        wire.path = format!("/webhooks/{}", self.source);
        match self.proof {
            Proof::StandardWebhooks => {}
            Proof::JoinedStandardWebhooks => {
                let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
                for (header, name) in wire.headers.iter_mut().zip(names) {
                    header.0 = name;
                }
                wire.headers[2].1.insert_str(0, "v1,AAAA, ");
            }
            Proof::TimestampedHmac => {
                let Signing::TimestampedHmac { header } = self.provider.signing else {
                    panic!("{} signs in another way", self.provider.name)
                };
                let milliseconds = seconds * 1_000;
                let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
                hmac.update(format!("{milliseconds}.").as_bytes());
                hmac.update(&wire.body);
                let signature = hex::encode(hmac.finalize().into_bytes());
                wire.headers = vec![(header, format!("t={milliseconds}, v1={signature}"))];
            }
            Proof::Bearer | Proof::BearerBesideSignatures => {
                wire.headers = vec![("authorization", format!("Bearer {secret}"))];
            }
        }
        wire
    }

    /// The source that it sends to.
    fn settings(&self) -> Source {
        let generated = || {
            let keys = self.proof.settings();
            format!("[[sources]]\nname = {:?}\nprovider = {:?}\n{keys}", self.source, self.provider.name)
        };
        let file = self.configuration.clone().unwrap_or_else(generated);
        sources(&file, &[]).remove(0)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The senders of every provider.
pub(crate) fn senders() -> Vec<Sender> {
    let senders: Vec<Sender> = providers::kinds().into_iter().flat_map(senders_of).collect();
    assert!(!senders.is_empty(), "no provider has a sender");
    senders
}

/// The senders of one provider, at least one.
fn senders_of(provider: ProviderKind) -> Vec<Sender> {
    let read = |path: PathBuf| {
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let description = read(root().join("src/providers").join(provider.name).join("senders.toml"));
    let Described { senders } = toml::from_str(&description).unwrap();
    assert!(!senders.is_empty(), "{} has no sender", provider.name);
    let fixture = |name: String| read(root().join("tests/fixtures").join(provider.name).join(name));
    let event = |name: String| fixture(format!("{name}.json"));
    senders
        .into_iter()
        .map(|sender| Sender {
            source: sender.source,
            proof: sender.proof,
            provider,
            configuration: sender.configuration.map(|name| fixture(format!("{name}.toml"))),
            created: event(sender.created),
            updated: event(sender.updated),
            deleted: event(sender.deleted),
            unknown: event(sender.unknown),
            user_id: sender.user_id,
            stamp: sender.stamp,
            envelope_time: sender.envelope_time,
            message_id: sender.message_id,
        })
        .collect()
}

/// The sender to the source of this name.
pub(crate) fn sender_to(source: &str) -> Sender {
    let sender = senders().into_iter().find(|sender| sender.source == source);
    sender.unwrap_or_else(|| panic!("there is no sender for {source}"))
}

/// Makes sure that the source of every sender is there.
pub(crate) fn with_every_provider(config: &mut Config) {
    let known: Vec<String> = config.sources.iter().map(|source| source.name.clone()).collect();
    let missing = senders().into_iter().filter(|sender| !known.contains(&sender.source));
    config.sources.extend(missing.map(|sender| sender.settings()));
}

/// What makes the source `auth0` without a file.
pub(crate) const AUTH0: [(&str, &str); 2] =
    [("AUTH0_WEBHOOK_SECRET", SECRET), ("AUTH0_EVENT_STREAM_TOKEN", "token-in-use")];

/// The sources of a file and of variables, read as the service reads them.
pub(crate) fn sources(file: &str, variables: &[(&str, &str)]) -> Vec<Source> {
    let mut on_disk = tempfile::NamedTempFile::new().unwrap();
    on_disk.write_all(file.as_bytes()).unwrap();
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(Some(on_disk.path()), &variables, &providers::kinds()).unwrap().sources
}

/// The event with another value at a pointer.
pub(crate) fn with(event: &str, pointer: &str, value: Value) -> String {
    let mut event: Value = serde_json::from_str(event).unwrap();
    *event.pointer_mut(pointer).unwrap() = value;
    event.to_string()
}
