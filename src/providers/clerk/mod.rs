//! Clerk: `{type, timestamp, data}`, signed by Svix. Its ids are never reused.
//!
//! Source: Clerk's published webhook schema. `user.created` and `user.updated` carry the whole user.

mod directory;
mod file;
mod watch;

use serde_json::Value;

use super::directory::without;
use super::file::FileUser;
use super::{
    Advice, DecodedEvent, DevelopmentInstances, Provider, Registered, Unreadable, event_time, facts_at,
    listed_user, object_at, string_at, time_at,
};
use crate::config::{ProviderKind, RuleValue, Signing, Variables};
use crate::domain::{ChangeKind, Facts, Field, IdPolicy, Timestamp};

/// Clerk's format.
#[derive(Debug)]
struct Clerk;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "clerk",
        signing: Signing::StandardWebhooks,
        takes_bearer_tokens: false,
        is_mapped: false,
        api_credentials: &["secret_key"],
        variables: Some(&VARIABLES),
        shared_issuers: &[],
        domain_key_prefixes: &["pk_test_", "pk_live_"],
        dashboards: &[("dashboard.clerk.com", "the Frontend API URL, which it shows under API keys")],
        // The first is for the sign-in pages.
        similar_hosts: &[(".accounts.dev", ".clerk.accounts.dev")],
    },
    make: |_| Box::new(Clerk),
    api: directory::api,
    is_own: file::is_own,
    advice: ADVICE,
};

const VARIABLES: Variables = Variables {
    webhook_secrets: &["CLERK_WEBHOOK_SECRET", "CLERK_WEBHOOK_SIGNING_SECRET"],
    bearer_tokens: &[],
    requirements: &[("CLERK_JWT_AUDIENCE", "CLERK_JWT_ISSUER_DOMAIN")],
    rules: &[&[
        ("type", RuleValue::Fixed("oidc")),
        ("domain", RuleValue::of("CLERK_JWT_ISSUER_DOMAIN")),
        ("applicationID", RuleValue::of_or("CLERK_JWT_AUDIENCE", "convex")),
    ]],
    api: &[("secret_key", &["CLERK_SECRET_KEY"])],
};

const ADVICE: Advice = Advice {
    vendor: Some("Clerk"),
    no_audience: Some(no_audience),
    key_pair: Some("a template without a custom signing key"),
    development: Some(DevelopmentInstances {
        vendor: "Clerk",
        issuer_suffix: ".clerk.accounts.dev",
        production_issuer: "https://clerk.<your domain>",
        production_keys: "pk_live_…",
    }),
    ..Advice::NONE
};

fn no_audience(audience: &str, rule: &str) -> String {
    format!(
        "Clerk's session tokens have no `aud`: name the JWT template that sets it to {audience:?}, as in \
            getToken({{ template: {audience:?} }}); or, for session tokens, leave applicationID out of \
            {rule} and name your front ends in authorizedParties"
    )
}

impl Provider for Clerk {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Final
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        string_at(event, "type")
    }

    fn user_pointer(&self) -> &'static str {
        "/data/id"
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<DecodedEvent, Unreadable> {
        match event_type {
            "user.created" | "user.updated" => upsert(event),
            "user.deleted" => delete(event),
            // There are more than forty types, and new ones appear; only these three are about a user.
            _ => Ok(DecodedEvent::NotAboutUsers),
        }
    }

    fn listed(&self, user: &Value) -> Result<DecodedEvent, Unreadable> {
        listed_user(user, "id", facts)
    }

    fn describe(&self, user: Value) -> Value {
        without(user, &["private_metadata", "totp_secret", "password_digest", "password_hasher"])
    }

    fn file_user(&self, user: FileUser) -> Result<Value, Unreadable> {
        Ok(self.describe(file::user(user)?))
    }
}

fn upsert(event: &Value) -> Result<DecodedEvent, Unreadable> {
    let user = object_at(event, "data")?;
    let stamp = match time_at(user, "updated_at")? {
        Some(stamp) => stamp,
        None => time_at(event, "timestamp")?.ok_or_else(|| {
            Unreadable::new("the event has no time: neither `data.updated_at` nor `timestamp` is set")
        })?,
    };
    Ok(DecodedEvent::Change {
        external_id: string_at(user, "id")?.to_owned(),
        stamp,
        kind: ChangeKind::Upsert {
            lifetime: time_at(user, "created_at")?,
            event_time: event_time(event, "timestamp"),
            facts: facts(user)?,
        },
    })
}

fn delete(event: &Value) -> Result<DecodedEvent, Unreadable> {
    let user = object_at(event, "data")?;
    Ok(DecodedEvent::Change {
        external_id: string_at(user, "id")?.to_owned(),
        // A deletion is final whenever it happened, so one without a time is applied too.
        stamp: time_at(event, "timestamp")?.unwrap_or(Timestamp::EPOCH),
        kind: ChangeKind::Delete,
    })
}

const FIELDS: [(&str, Field); 5] = [
    ("first_name", Field::GivenName),
    ("last_name", Field::FamilyName),
    ("username", Field::Nickname),
    ("image_url", Field::PictureUrl),
    ("public_metadata", Field::Metadata),
];

fn facts(user: &Value) -> Result<Facts, Unreadable> {
    let mut facts = facts_at(user, &FIELDS)?;
    primary(user, &EMAIL, &mut facts)?;
    primary(user, &PHONE, &mut facts)?;
    Ok(facts)
}

/// A list of contacts, one of which is the primary one.
struct Contacts {
    /// The user's key that holds the id of the primary contact.
    primary: &'static str,
    /// The user's key that holds the list.
    list: &'static str,
    /// The key of the address or number in an entry of the list.
    contact: &'static str,
    /// The field that the primary contact becomes.
    field: Field,
    /// The field for whether it is verified.
    verified: Field,
}

const EMAIL: Contacts = Contacts {
    primary: "primary_email_address_id",
    list: "email_addresses",
    contact: "email_address",
    field: Field::Email,
    verified: Field::EmailVerified,
};

const PHONE: Contacts = Contacts {
    primary: "primary_phone_number_id",
    list: "phone_numbers",
    contact: "phone_number",
    field: Field::PhoneNumber,
    verified: Field::PhoneNumberVerified,
};

/// Adds the primary contact: the entry that the user names by id, never the first of the list.
fn primary(user: &Value, contacts: &Contacts, facts: &mut Facts) -> Result<(), Unreadable> {
    let Some(id) = user.get(contacts.primary) else { return Ok(()) };
    if !(id.is_string() || id.is_null()) {
        return Err(Unreadable::new(format!("`{}` is not a string", contacts.primary)));
    }
    let entries = match user.get(contacts.list) {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(Unreadable::new(format!("`{}` is not a list", contacts.list))),
    };
    let named = entries.iter().find(|entry| id.is_string() && entry.get("id") == Some(id));
    let (contact, verified) = match named {
        Some(entry) => {
            let status = entry.pointer("/verification/status").and_then(Value::as_str);
            (
                entry.get(contacts.contact).cloned().unwrap_or_default(),
                Value::Bool(status == Some("verified")),
            )
        }
        None => (Value::Null, Value::Null),
    };
    facts.set(contacts.field, contact)?;
    facts.set(contacts.verified, verified)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::{SECRET, domain_and_audience, load, shown};

    #[test]
    fn the_variables_make_a_source() {
        for name in ["CLERK_WEBHOOK_SECRET", "CLERK_WEBHOOK_SIGNING_SECRET"] {
            let config =
                load(&[(name, SECRET), ("CLERK_JWT_ISSUER_DOMAIN", "https://a.clerk.accounts.dev")]).unwrap();
            let [source] = config.sources.as_slice() else { panic!("{config:?}") };
            assert_eq!((source.name.as_str(), source.provider.name), ("clerk", "clerk"));
            assert_eq!(shown(&source.webhook_secrets), [SECRET]);
            assert_eq!(domain_and_audience(&source.tokens[0]), ("https://a.clerk.accounts.dev/", "convex"));
        }
    }

    #[test]
    fn the_audience_can_be_set() {
        let variables = [("CLERK_JWT_ISSUER_DOMAIN", "a.clerk.accounts.dev"), ("CLERK_JWT_AUDIENCE", "mine")];
        let config = load(&variables).unwrap();
        assert_eq!(domain_and_audience(&config.sources[0].tokens[0]).1, "mine");
    }
}
