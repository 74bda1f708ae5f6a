//! Signed Clerk deliveries without end, each a message of its own.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use svix::webhooks::Webhook;

use crate::call::Call;

/// The webhook's URL without its host.
const PATH: &str = "/webhooks/clerk";
/// A delivery that another one overtook, which a database that lets writers wait unfairly makes happen, is
/// stale.
const COMMITTED: [&str; 2] = [r#""outcome":"applied""#, r#""outcome":"stale""#];
/// Users who are there before the measurement; updates and tokens are about them.
pub(crate) const KNOWN_USERS: u32 = 1000;
/// One delivery in this many is of a new user, the others update a known one.
const CREATED_EVERY: u32 = 4;

/// Makes and signs deliveries, the known users first.
pub(crate) struct Deliveries {
    webhook: Webhook,
    created: Value,
    updated: Value,
    committed: Arc<[String]>,
    host: String,
    sent: u32,
}

impl Deliveries {
    /// To the webhook at this host.
    pub(crate) fn new(webhook: Webhook, host: String) -> anyhow::Result<Self> {
        let created = include_str!("../../../tests/fixtures/clerk/user_created_google.json");
        let updated = include_str!("../../../tests/fixtures/clerk/user_updated.json");
        Ok(Self {
            webhook,
            created: serde_json::from_str(created)?,
            updated: serde_json::from_str(updated)?,
            committed: COMMITTED.map(str::to_owned).into(),
            host,
            sent: 0,
        })
    }

    /// The body of an update, as large as all of them.
    pub(crate) fn sample(&self) -> String {
        event(&self.updated, &user(0), 0).to_string()
    }

    /// The next so many, signed now: that must not cost the measured time anything.
    pub(crate) fn sign(&mut self, count: u32) -> anyhow::Result<Vec<Call>> {
        (0..count).map(|_| self.next()).collect()
    }

    /// The known users as they are now: new to an empty database, changes to what it has.
    pub(crate) fn known(&mut self) -> anyhow::Result<Vec<Call>> {
        (0..KNOWN_USERS).map(|number| self.update(number)).collect()
    }

    /// A change of a known user.
    pub(crate) fn update(&mut self, known: u32) -> anyhow::Result<Call> {
        let number = self.sent;
        self.sent += 1;
        self.call(number, &user(known), &self.updated)
    }

    /// The creation of a user who is not known yet, and that user's id.
    pub(crate) fn new_user(&mut self) -> anyhow::Result<(String, Call)> {
        let number = self.sent;
        self.sent += 1;
        let user = user(number);
        let call = self.call(number, &user, &self.created)?;
        Ok((user, call))
    }

    fn next(&mut self) -> anyhow::Result<Call> {
        let number = self.sent;
        self.sent += 1;
        if number < KNOWN_USERS || number.is_multiple_of(CREATED_EVERY) {
            self.call(number, &user(number), &self.created)
        } else {
            // Round the known users, so that two updates of one are hardly ever under way together.
            self.call(number, &user(number % KNOWN_USERS), &self.updated)
        }
    }

    fn call(&self, number: u32, user: &str, fixture: &Value) -> anyhow::Result<Call> {
        let message_id = format!("msg_bench_{number:08}");
        let body = event(fixture, user, number).to_string();
        let sent_at = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let signature = self.webhook.sign(&message_id, sent_at, body.as_bytes())?;
        let headers = [
            ("content-type", "application/json"),
            ("svix-id", &message_id),
            ("svix-timestamp", &sent_at.to_string()),
            ("svix-signature", &signature),
        ];
        Ok(Call::post(&self.host, PATH, &headers, &body).expecting(Arc::clone(&self.committed)))
    }
}

/// The id of a user; those of the known ones are `0..KNOWN_USERS`.
pub(crate) fn user(number: u32) -> String {
    format!("user_bench_{number:08}")
}

/// The fixture about another user; later numbers are later changes.
fn event(fixture: &Value, user: &str, number: u32) -> Value {
    let mut event = fixture.clone();
    let later = |value: &Value| json!(value.as_u64().unwrap_or_default() + u64::from(number));
    let data = &mut event["data"];
    data["id"] = json!(user);
    data["email_addresses"][0]["email_address"] = json!(format!("{user}@example.com"));
    data["updated_at"] = later(&fixture["data"]["updated_at"]);
    event["timestamp"] = later(&fixture["timestamp"]);
    event
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    /// As the program reads them.
    fn headers(call: &Call) -> HeaderMap {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        assert!(request.parse(&call.request).unwrap().is_complete());
        let pairs = request.headers.iter().map(|header| {
            let name = header.name.parse::<HeaderName>().unwrap();
            (name, HeaderValue::from_bytes(header.value).unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn every_delivery_is_signed_and_different() {
        let webhook = || Webhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let mut deliveries = Deliveries::new(webhook(), "localhost".to_owned()).unwrap();
        let mut bodies = std::collections::BTreeSet::new();
        for call in deliveries.sign(KNOWN_USERS + 10).unwrap() {
            webhook().verify(call.body(), &headers(&call)).unwrap();
            assert!(bodies.insert(call.body().to_vec()));
        }
    }

    #[test]
    fn updates_are_later_than_what_is_known() {
        let webhook = Webhook::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let deliveries = Deliveries::new(webhook, String::new()).unwrap();
        let created = event(&deliveries.created, &user(7), 7);
        let updated = event(&deliveries.updated, &user(7), KNOWN_USERS + 7);
        assert!(updated["data"]["updated_at"].as_u64() > created["data"]["updated_at"].as_u64());
        assert_eq!(updated["data"]["id"], created["data"]["id"]);
    }
}
