//! Every provider as it sends: what, and how it vouches for it.

use std::collections::BTreeMap;
use std::io::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use usersync::config::{Config, Source};
use usersync::providers;

use super::app::{OLD_SECRET, SECRET};
use super::client::{Wire, signed_at};

/// What it sends of one user, who is called Ada Lovelace when created and Ada King when updated.
pub(crate) struct Sender {
    /// The source that it sends to.
    pub(crate) source: &'static str,
    pub(crate) proof: Proof,
    pub(crate) created: &'static str,
    pub(crate) updated: &'static str,
    pub(crate) deleted: &'static str,
    /// An event that says nothing of users.
    pub(crate) unknown: &'static str,
    /// Where the user's id is in an event.
    pub(crate) id: &'static str,
    /// Where the message's own id is in an event that has one, unless the headers have it.
    pub(crate) message_id: Option<&'static str>,
}

/// How it vouches for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// As Svix does.
    Svix,
    /// As Svix does, but several signatures are joined by a comma.
    Joined,
    /// As WorkOS does.
    Workos,
    /// A bearer token, on a source that takes signatures too.
    BearerBesideSvix,
    /// A bearer token, and nothing else is taken.
    Bearer,
}

impl Proof {
    /// The secret in use, the one that is being rotated out, and one of somebody else's.
    pub(crate) fn secrets(self) -> [&'static str; 3] {
        match self {
            Self::Svix | Self::Joined => [SECRET, OLD_SECRET, "whsec_plJ3nmyCDGBKInavdOK15jsl"],
            Self::Workos => ["workos-test-secret", "workos rotated out", "workos-other-secret"],
            Self::Bearer | Self::BearerBesideSvix => ["token in use", "token rotated out", "token of others"],
        }
    }

    /// How many seconds an attempt's time may be off, if it has one.
    pub(crate) fn tolerance(self) -> Option<i64> {
        match self {
            Self::Svix | Self::Joined => Some(300),
            Self::Workos => Some(180),
            Self::Bearer | Self::BearerBesideSvix => None,
        }
    }

    /// The answer to a message whose proof does not fit, and to one without any.
    pub(crate) fn refusals(self) -> [&'static str; 2] {
        match self {
            Self::Svix | Self::Joined | Self::Workos => ["400 invalid_signature", "400 missing_signature"],
            Self::BearerBesideSvix => ["401 invalid_bearer_token", "400 missing_signature"],
            Self::Bearer => ["401 invalid_bearer_token", "401 invalid_auth_header"],
        }
    }
}

impl Sender {
    /// A message as it goes over the wire. The id is for the headers of those schemes that have one there.
    pub(crate) fn wire(&self, secret: &str, id: &str, seconds: i64, body: impl Into<Vec<u8>>) -> Wire {
        let mut wire = signed_at(id, seconds, secret, body);
        wire.path = format!("/webhooks/{}", self.source);
        match self.proof {
            Proof::Svix => {}
            Proof::Joined => {
                let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
                for (header, name) in wire.headers.iter_mut().zip(names) {
                    header.0 = name;
                }
                wire.headers[2].1.insert_str(0, "v1,AAAA, ");
            }
            Proof::Workos => {
                let milliseconds = seconds * 1_000;
                let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
                hmac.update(format!("{milliseconds}.").as_bytes());
                hmac.update(&wire.body);
                let signature = hex::encode(hmac.finalize().into_bytes());
                wire.headers = vec![("workos-signature", format!("t={milliseconds}, v1={signature}"))];
            }
            Proof::Bearer | Proof::BearerBesideSvix => {
                wire.headers = vec![("authorization", format!("Bearer {secret}"))];
            }
        }
        wire
    }
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../fixtures/", $name, ".json"))
    };
}

/// One of each provider, and of each way in which it vouches.
pub(crate) fn senders() -> [Sender; 7] {
    [
        Sender {
            source: "clerk",
            proof: Proof::Svix,
            created: fixture!("clerk/user_created_password"),
            updated: fixture!("clerk/user_updated"),
            deleted: fixture!("clerk/user_deleted"),
            unknown: r#"{"type":"session.created","object":"event","data":{"id":"sess_1"}}"#,
            id: "/data/id",
            message_id: None,
        },
        Sender { source: "auth0", proof: Proof::Svix, message_id: None, ..auth0_stream() },
        auth0_stream(),
        Sender {
            source: "workos",
            proof: Proof::Workos,
            created: fixture!("workos/user_created"),
            updated: fixture!("workos/user_updated"),
            deleted: fixture!("workos/user_deleted"),
            unknown: fixture!("workos/session_created"),
            id: "/data/id",
            message_id: Some("/id"),
        },
        Sender {
            source: "stytch",
            proof: Proof::Svix,
            created: fixture!("standard/stytch_user_created"),
            updated: fixture!("standard/stytch_user_updated"),
            deleted: fixture!("standard/stytch_user_deleted"),
            unknown: fixture!("standard/stytch_unknown"),
            id: "/id",
            message_id: None,
        },
        Sender {
            source: "supabase",
            proof: Proof::Joined,
            created: fixture!("standard/supabase_user_created"),
            updated: fixture!("standard/supabase_user_updated"),
            deleted: fixture!("standard/supabase_user_deleted"),
            unknown: fixture!("standard/supabase_unknown"),
            id: "/user/id",
            message_id: None,
        },
        Sender {
            source: "homemade",
            proof: Proof::Bearer,
            created: fixture!("standard/homemade_user_created"),
            updated: fixture!("standard/homemade_user_updated"),
            deleted: fixture!("standard/homemade_user_deleted"),
            unknown: fixture!("standard/homemade_unknown"),
            id: "/user/number",
            message_id: None,
        },
    ]
}

fn auth0_stream() -> Sender {
    Sender {
        source: "auth0-stream",
        proof: Proof::BearerBesideSvix,
        created: fixture!("auth0/user_created"),
        updated: fixture!("auth0/user_updated"),
        deleted: fixture!("auth0/user_deleted"),
        unknown: fixture!("auth0/organization_created"),
        id: "/data/object/user_id",
        message_id: Some("/id"),
    }
}

/// Adds the source of every sender beside `clerk`.
pub(crate) fn with_every_provider(config: &mut Config) {
    let mut workos = sources("", &[("WORKOS_WEBHOOK_SECRET", "workos-test-secret")]).remove(0);
    workos.webhook_secrets.push("workos rotated out".into());
    config.sources.push(workos);
    for name in ["auth0", "auth0-stream"] {
        let mut source = sources("", &AUTH0).remove(0);
        name.clone_into(&mut source.name);
        source.webhook_secrets.extend(config.sources[0].webhook_secrets.last().cloned());
        source.bearer_tokens.push("token rotated out".into());
        config.sources.push(source);
    }
    for file in [
        include_str!("../../fixtures/standard/stytch.toml"),
        include_str!("../../fixtures/standard/supabase.toml"),
        include_str!("../../fixtures/standard/homemade.toml"),
    ] {
        config.sources.extend(sources(file, &[]));
    }
}

/// What makes the source `auth0` without a file.
pub(crate) const AUTH0: [(&str, &str); 2] =
    [("AUTH0_WEBHOOK_SECRET", SECRET), ("AUTH0_EVENT_STREAM_TOKEN", "token in use")];

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
