//! Acme: `{event, sent_at, person}`, with a timestamp and an HMAC in one header. Its ids are never reused.
//!
//! Source: Acme's webhook reference, <https://docs.acme.example/webhooks>.

use serde_json::Value;

use super::{
    Advice, DecodedEvent, Provider, Registered, Unreadable, event_time, facts_at, object_at, string_at,
    time_at,
};
use crate::config::{ProviderKind, RuleValue, Signing, Variables};
use crate::domain::{ChangeKind, Field, IdPolicy, Timestamp};

#[derive(Debug)]
struct Acme;

pub(super) const REGISTERED: Registered = Registered {
    kind: ProviderKind {
        name: "example",
        signing: Signing::TimestampedHmac { header: "acme-signature" },
        takes_bearer_tokens: false,
        is_mapped: false,
        api_credentials: &["secret_key"],
        variables: Some(&Variables {
            webhook_secrets: &["ACME_WEBHOOK_SECRET"],
            bearer_tokens: &[],
            requirements: &[("ACME_APP_ID", "ACME_DOMAIN")],
            rules: &[&[
                ("type", RuleValue::Fixed("oidc")),
                ("domain", RuleValue::of("ACME_DOMAIN")),
                ("applicationID", RuleValue::of("ACME_APP_ID")),
            ]],
            api: &[("secret_key", &["ACME_API_KEY"])],
        }),
        shared_issuers: &[],
        domain_key_prefixes: &[],
        dashboards: &[],
        similar_hosts: &[],
    },
    make: |_| Box::new(Acme),
    api: |_| None,
    is_own: |_| false,
    advice: Advice { vendor: Some("Acme"), key_pair: Some("Security, Signing keys"), ..Advice::NONE },
};

const FIELDS: &[(&str, Field)] = &[("full_name", Field::Name), ("mail", Field::Email)];

impl Provider for Acme {
    fn ids(&self) -> IdPolicy {
        IdPolicy::Final
    }

    fn event_type<'a>(&self, event: &'a Value) -> Result<&'a str, Unreadable> {
        string_at(event, "event")
    }

    fn user_pointer(&self) -> &'static str {
        "/person/id"
    }

    fn decode(&self, event: &Value, event_type: &str) -> Result<DecodedEvent, Unreadable> {
        let is_delete = match event_type {
            "person.saved" => false,
            "person.removed" => true,
            _ => return Ok(DecodedEvent::NotAboutUsers),
        };
        let person = object_at(event, "person")?;
        // A removal has no time of its own, so it is dated by the event's.
        let time = if is_delete { time_at(event, "sent_at")? } else { time_at(person, "changed_at")? };
        let kind = if is_delete {
            ChangeKind::Delete
        } else {
            ChangeKind::Upsert {
                lifetime: time_at(person, "since")?,
                event_time: event_time(event, "sent_at"),
                facts: facts_at(person, FIELDS)?,
            }
        };
        Ok(DecodedEvent::Change {
            external_id: string_at(person, "id")?.to_owned(),
            stamp: time.unwrap_or(Timestamp::EPOCH),
            kind,
        })
    }
}
