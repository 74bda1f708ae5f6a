//! WorkOS (AuthKit): `{id, event, created_at, data}`, with a timestamp and an HMAC in one header. Its ids are
//! never reused.
//!
//! Source: WorkOS' events reference. Every event carries the whole user. A deletion does so too, but its user
//! has no time of the deletion.

mod directory;
mod watch;

use serde_json::Value;

use super::file::FileUser;
use super::{
    Advice, DecodedEvent, Provider, Registered, Unreadable, event_time, facts_at, listed_user, object_at,
    string_at, time_at,
};
use crate::config::{ProviderKind, RuleValue, Signing, Variables};
use crate::domain::{ChangeKind, Field, IdPolicy, Timestamp};

/// WorkOS' format.
#[derive(Debug)]
struct Workos;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "workos",
        signing: Signing::TimestampedHmac { header: "workos-signature" },
        takes_bearer_tokens: false,
        is_mapped: false,
        api_credentials: &["secret_key"],
        variables: Some(&VARIABLES),
        shared_issuers: &["api.workos.com"],
        domain_key_prefixes: &[],
        dashboards: &[(
            "dashboard.workos.com",
            "https://api.workos.com/user_management/ with your client id, in a customJwt rule",
        )],
        similar_hosts: &[],
    },
    make: |_| Box::new(Workos),
    api: directory::api,
    is_own,
    advice: ADVICE,
};

const VARIABLES: Variables = Variables {
    webhook_secrets: &["WORKOS_WEBHOOK_SECRET"],
    bearer_tokens: &[],
    requirements: &[],
    rules: &[
        &[
            ("type", RuleValue::Fixed("customJwt")),
            ("algorithm", RuleValue::Fixed("RS256")),
            ("jwks", RuleValue::after("https://api.workos.com/sso/jwks/", "WORKOS_CLIENT_ID")),
            ("issuer", RuleValue::after("https://api.workos.com/user_management/", "WORKOS_CLIENT_ID")),
        ],
        // This issuer signs for every customer of WorkOS: only the client id shows whose token it is.
        &[
            ("type", RuleValue::Fixed("customJwt")),
            ("algorithm", RuleValue::Fixed("RS256")),
            ("jwks", RuleValue::after("https://api.workos.com/sso/jwks/", "WORKOS_CLIENT_ID")),
            ("issuer", RuleValue::Fixed("https://api.workos.com/")),
            ("applicationID", RuleValue::of("WORKOS_CLIENT_ID")),
        ],
    ],
    api: &[("secret_key", &["WORKOS_API_KEY"])],
};

const ADVICE: Advice = Advice { vendor: Some("WorkOS"), no_audience: Some(no_audience), ..Advice::NONE };

fn no_audience(_: &str, rule: &str) -> String {
    format!(
        "WorkOS access tokens have no `aud`: in {rule} write the issuer \
            https://api.workos.com/user_management/ with your client id, and leave applicationID out"
    )
}

impl Provider for Workos {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Final
    }

    fn event_id<'a>(&self, event: &'a Value) -> Option<&'a str> {
        string_at(event, "id").ok()
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        string_at(event, "event")
    }

    fn user_pointer(&self) -> &'static str {
        "/data/id"
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<DecodedEvent, Unreadable> {
        match event_type {
            "user.created" | "user.updated" => upsert(event),
            "user.deleted" => delete(event),
            _ => Ok(DecodedEvent::NotAboutUsers),
        }
    }

    fn listed(&self, user: &Value) -> Result<DecodedEvent, Unreadable> {
        listed_user(user, "id", |user| facts_at(user, &FIELDS))
    }
}

const FIELDS: [(&str, Field); 7] = [
    ("name", Field::Name),
    ("first_name", Field::GivenName),
    ("last_name", Field::FamilyName),
    ("email", Field::Email),
    ("email_verified", Field::EmailVerified),
    ("profile_picture_url", Field::PictureUrl),
    ("metadata", Field::Metadata),
];

/// Whether a user of a file can only be WorkOS's.
fn is_own(user: &FileUser) -> bool {
    let has_id = user.text("id").is_some_and(|id| id.starts_with("user_"));
    has_id && user.text("email").is_some() && (user.has("email_verified") || user.has("profile_picture_url"))
}

fn upsert(event: &Value) -> Result<DecodedEvent, Unreadable> {
    let user = object_at(event, "data")?;
    let stamp = match time_at(user, "updated_at")? {
        Some(stamp) => stamp,
        None => time_at(event, "created_at")?.ok_or_else(|| {
            Unreadable::new("the event has no time: neither `data.updated_at` nor `created_at` is set")
        })?,
    };
    Ok(DecodedEvent::Change {
        external_id: string_at(user, "id")?.to_owned(),
        stamp,
        kind: ChangeKind::Upsert {
            lifetime: time_at(user, "created_at")?,
            event_time: event_time(event, "created_at"),
            facts: facts_at(user, &FIELDS)?,
        },
    })
}

fn delete(event: &Value) -> Result<DecodedEvent, Unreadable> {
    let user = object_at(event, "data")?;
    Ok(DecodedEvent::Change {
        external_id: string_at(user, "id")?.to_owned(),
        // A deletion is final whenever it happened, so one without a time is applied too.
        stamp: time_at(event, "created_at")?.unwrap_or(Timestamp::EPOCH),
        kind: ChangeKind::Delete,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Algorithm, JwksLocation, RuleKind};
    use crate::providers::tests::{load, shown};

    #[test]
    fn the_variables_make_a_source_with_both_issuers() {
        let config =
            load(&[("WORKOS_CLIENT_ID", "client_1"), ("WORKOS_WEBHOOK_SECRET", "raw secret")]).unwrap();
        let [source] = config.sources.as_slice() else { panic!("{config:?}") };
        assert_eq!(shown(&source.webhook_secrets), ["raw secret"]);
        let expected = [
            ("https://api.workos.com/user_management/client_1", None),
            ("https://api.workos.com/", Some("client_1")),
        ];
        assert_eq!(source.tokens.len(), expected.len());
        for (rule, (expected_issuer, application_id)) in source.tokens.iter().zip(expected) {
            let RuleKind::CustomJwt { issuer, jwks: JwksLocation::Url(jwks), algorithm } = &rule.kind else {
                panic!()
            };
            assert_eq!((issuer.as_str(), rule.application_id.as_deref()), (expected_issuer, application_id));
            assert_eq!(jwks.as_str(), "https://api.workos.com/sso/jwks/client_1");
            assert_eq!(*algorithm, Algorithm::Rs256);
        }
    }
}
