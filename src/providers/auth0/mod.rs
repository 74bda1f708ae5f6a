//! Auth0: CloudEvents of an event stream (with a bearer token) or of an Action (signed as Svix does).
//!
//! Source: Auth0's event types and their schemas. An update may carry only a part of the user. The id of a
//! social login is made from the id that the person has at the social network, so the same id returns when
//! that person signs up again.

mod directory;
mod file;
mod watch;

use serde_json::Value;

use super::directory::without;
use super::file::FileUser;
use super::{
    Advice, DecodedEvent, Provider, Registered, Unreadable, event_time, facts_at, listed_user, object_at,
    string_at, time_at,
};
use crate::config::{ProviderKind, RuleValue, Signing, Variables};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy};

/// Auth0's format.
#[derive(Debug)]
struct Auth0;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "auth0",
        signing: Signing::StandardWebhooks,
        takes_bearer_tokens: true,
        is_mapped: false,
        api_credentials: &["domain", "client_id", "client_secret"],
        variables: Some(&VARIABLES),
        shared_issuers: &[],
        domain_key_prefixes: &[],
        dashboards: &[(
            "manage.auth0.com",
            "the Domain in the settings of the application, such as \"https://tenant.us.auth0.com\"",
        )],
        similar_hosts: &[],
    },
    make: |_| Box::new(Auth0),
    api: directory::api,
    is_own: file::is_own,
    advice: ADVICE,
};

const VARIABLES: Variables = Variables {
    webhook_secrets: &["AUTH0_WEBHOOK_SECRET"],
    bearer_tokens: &["AUTH0_EVENT_STREAM_TOKEN"],
    requirements: &[
        ("AUTH0_DOMAIN", "AUTH0_CLIENT_ID"),
        ("AUTH0_CLIENT_ID", "AUTH0_DOMAIN"),
        ("AUTH0_AUDIENCE", "AUTH0_DOMAIN"),
    ],
    // ID tokens carry the client id as their audience, access tokens the API's identifier.
    rules: &[
        &[
            ("type", RuleValue::Fixed("oidc")),
            ("domain", RuleValue::of("AUTH0_DOMAIN")),
            ("applicationID", RuleValue::of("AUTH0_CLIENT_ID")),
        ],
        &[
            ("type", RuleValue::Fixed("oidc")),
            ("domain", RuleValue::of("AUTH0_DOMAIN")),
            ("applicationID", RuleValue::of("AUTH0_AUDIENCE")),
        ],
    ],
    api: &[
        ("client_id", &["AUTH0_MANAGEMENT_CLIENT_ID"]),
        ("client_secret", &["AUTH0_MANAGEMENT_CLIENT_SECRET"]),
        ("domain", &["AUTH0_MANAGEMENT_DOMAIN", "AUTH0_DOMAIN"]),
    ],
};

const ADVICE: Advice = Advice {
    vendor: Some("Auth0"),
    bearer_sender: Some("Auth0's event streams"),
    readable_token: Some("request an API's `audience`"),
    key_pair: Some("the API's signing algorithm"),
    ..Advice::NONE
};

impl Provider for Auth0 {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Reusable
    }

    fn event_id<'a>(&self, event: &'a Value) -> Option<&'a str> {
        string_at(event, "id").ok()
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        string_at(event, "type")
    }

    fn user_pointer(&self) -> &'static str {
        "/data/object/user_id"
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<DecodedEvent, Unreadable> {
        // The dashboard sends it to test a stream; its user is invented.
        if event.get("a0purpose").and_then(Value::as_str) == Some("test") {
            return Ok(DecodedEvent::NotAboutUsers);
        }
        // An older page of Auth0's documentation has the longer names.
        match event_type.strip_prefix("com.auth0.").unwrap_or(event_type) {
            "user.created" => upsert(event, Carries::WholeUser),
            "user.updated" => upsert(event, Carries::Changes),
            "user.deleted" => delete(event),
            _ => Ok(DecodedEvent::NotAboutUsers),
        }
    }

    fn listed_id_pointer(&self) -> &'static str {
        "/user_id"
    }

    fn listed(&self, user: &Value) -> Result<DecodedEvent, Unreadable> {
        // A file may lack `created_at`. Then a deletion is not undone by the file.
        listed_user(user, "user_id", |user| facts(user, Carries::Changes))
    }

    fn describe(&self, user: Value) -> Value {
        let mut user = without_secrets(user);
        // The API leaves out what is not set.
        if let Some(members) = user.as_object_mut() {
            for (name, _) in FIELDS {
                members.entry(name).or_insert(Value::Null);
            }
        }
        user
    }

    fn file_user(&self, user: FileUser) -> Result<Value, Unreadable> {
        Ok(without_secrets(file::user(user)?))
    }
}

/// What must not be kept: hashes, second factors, the app's private metadata, and tokens of identity providers, which
/// are in `identities`.
fn without_secrets(user: Value) -> Value {
    const SECRETS: [&str; 7] = [
        "app_metadata",
        "password_hash",
        "passwordHash",
        "custom_password_hash",
        "mfa_factors",
        "multifactor",
        "identities",
    ];
    without(user, &SECRETS)
}

/// How much of a user an event carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carries {
    WholeUser,
    Changes,
}

fn upsert(event: &Value, carries: Carries) -> Result<DecodedEvent, Unreadable> {
    let user = user(event)?;
    let created_at = time_at(user, "created_at")?.ok_or_else(|| {
        Unreadable::new("`created_at` is missing; it is required, because ids can be reused")
    })?;
    let stamp = match time_at(user, "updated_at")? {
        Some(stamp) => stamp,
        None => time_at(event, "time")?.ok_or_else(|| {
            Unreadable::new("the event has no time: neither `data.object.updated_at` nor `time` is set")
        })?,
    };
    Ok(DecodedEvent::Change {
        external_id: string_at(user, "user_id")?.to_owned(),
        stamp,
        kind: ChangeKind::Upsert {
            lifetime: Some(created_at),
            event_time: event_time(event, "time"),
            facts: facts(user, carries)?,
        },
    })
}

fn delete(event: &Value) -> Result<DecodedEvent, Unreadable> {
    let user = user(event)?;
    let stamp = match time_at(user, "deleted_at")? {
        Some(stamp) => stamp,
        None => time_at(event, "time")?.ok_or_else(|| {
            Unreadable::new("the event has no time: neither `data.object.deleted_at` nor `time` is set")
        })?,
    };
    Ok(DecodedEvent::Change {
        external_id: string_at(user, "user_id")?.to_owned(),
        stamp,
        kind: ChangeKind::Delete,
    })
}

fn user(event: &Value) -> Result<&Value, Unreadable> {
    object_at(object_at(event, "data")?, "object")
}

/// Never `app_metadata`, which the user must not see.
const FIELDS: [(&str, Field); 10] = [
    ("name", Field::Name),
    ("given_name", Field::GivenName),
    ("family_name", Field::FamilyName),
    ("nickname", Field::Nickname),
    ("email", Field::Email),
    ("email_verified", Field::EmailVerified),
    ("phone_number", Field::PhoneNumber),
    ("phone_verified", Field::PhoneNumberVerified),
    ("picture", Field::PictureUrl),
    ("user_metadata", Field::Metadata),
];

fn facts(user: &Value, carries: Carries) -> Result<Facts, Unreadable> {
    let mut facts = facts_at(user, &FIELDS)?;
    // The username is used where the user has no nickname. An update that carries no nickname does not say
    // that there is none.
    let nickname = user.get("nickname");
    let has_none = nickname.map_or(carries == Carries::WholeUser, Value::is_null);
    if let Some(username) = user.get("username").filter(|_| has_none) {
        facts.set(Field::Nickname, username.clone())?;
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::{SECRET, domain_and_audience, load, shown};

    #[test]
    fn the_variables_make_a_source_for_id_tokens_and_access_tokens() {
        let config = load(&[
            ("AUTH0_DOMAIN", "tenant.us.auth0.com"),
            ("AUTH0_CLIENT_ID", "client"),
            ("AUTH0_WEBHOOK_SECRET", SECRET),
            ("AUTH0_EVENT_STREAM_TOKEN", "bearer"),
            ("AUTH0_AUDIENCE", "https://api.example.com"),
        ])
        .unwrap();
        let [source] = config.sources.as_slice() else { panic!("{config:?}") };
        assert_eq!(source.name, "auth0");
        assert_eq!(shown(&source.webhook_secrets), [SECRET]);
        assert_eq!(shown(&source.bearer_tokens), ["bearer"]);
        let rules: Vec<_> = source.tokens.iter().map(domain_and_audience).collect();
        let tenant = "https://tenant.us.auth0.com/";
        assert_eq!(rules, [(tenant, "client"), (tenant, "https://api.example.com")]);
    }

    #[test]
    fn the_domain_may_be_written_with_or_without_its_scheme() {
        for domain in ["tenant.us.auth0.com", "https://tenant.us.auth0.com", "https://tenant.us.auth0.com/"] {
            let config = load(&[("AUTH0_DOMAIN", domain), ("AUTH0_CLIENT_ID", "client")]).unwrap();
            let rules: Vec<_> = config.sources[0].tokens.iter().map(domain_and_audience).collect();
            assert_eq!(rules, [("https://tenant.us.auth0.com/", "client")]);
        }
    }
}
