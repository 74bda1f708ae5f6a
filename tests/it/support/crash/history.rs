//! The histories of some users, as a provider sends them.

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use usersync::internals::config;
use usersync::internals::domain::{Delivery, Timestamp};
use usersync::internals::providers::{ReadMessage, Sources};

use super::Random;
use crate::support::app::{NOW, SECRET};
use crate::support::client::signed_at;

/// How many users exist, or were deleted not long ago.
const USERS: usize = 40;

/// A message of the provider: its id, its body, and what the service must read it as.
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) delivery: Delivery,
}

/// Makes one message after the other.
pub(crate) struct History {
    sources: Sources,
    random: Random,
    users: Vec<Person>,
    born: u64,
    messages: u64,
}

struct Person {
    id: String,
    /// The provider's time of the last message, in milliseconds; 0 if there was none.
    latest: i64,
    /// How many messages still come about a user that was deleted.
    afterwards: Option<u64>,
}

/// The source that the binary makes of `CLERK_WEBHOOK_SECRET`.
pub(crate) fn source() -> config::Source {
    config::Source {
        name: "clerk".to_owned(),
        provider: usersync::internals::providers::CLERK,
        webhook_secrets: vec![SecretString::from(SECRET)],
        bearer_tokens: Vec::new(),
        tokens: Vec::new(),
        map: None,
        api: None,
        list: None,
    }
}

impl History {
    pub(crate) fn new() -> Self {
        let sources = Sources::new(&[source()]).unwrap();
        Self { sources, random: Random::new(), users: Vec::new(), born: 0, messages: 0 }
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// The next message.
    pub(crate) fn next_message(&mut self) -> Message {
        let id = format!("msg_{}", self.messages);
        self.messages += 1;
        let body = self.event().to_string();
        let delivery = self.read(&id, &body);
        Message { id, body, delivery }
    }

    fn event(&mut self) -> Value {
        if self.users.len() < USERS && (self.users.is_empty() || self.random.one_in(3)) {
            self.born += 1;
            self.users.push(Person { id: format!("user_{}", self.born), latest: 0, afterwards: None });
        }
        let index = usize::try_from(self.random.below(self.users.len() as u64)).unwrap();
        let random = &mut self.random;
        let person = &mut self.users[index];
        if random.one_in(50) {
            return json!({"type": "user.updated", "data": {"id": person.id, "first_name": 7}});
        }
        let is_new = person.latest == 0;
        // Sometimes the time does not advance, and two changes have the same stamp.
        let step = i64::try_from(random.below(4)).unwrap();
        person.latest = if is_new { NOW * 1000 } else { person.latest + step };
        match &mut person.afterwards {
            None if !is_new && random.one_in(12) => {
                person.afterwards = Some(random.below(6));
                deletion(person)
            }
            Some(0) => {
                let person = self.users.swap_remove(index);
                deletion(&person)
            }
            Some(left) => {
                *left -= 1;
                upsert(random, person, false)
            }
            None => upsert(random, person, is_new),
        }
    }

    fn read(&self, id: &str, body: &str) -> Delivery {
        let source = self.sources.get("clerk").unwrap();
        let mut headers = http::HeaderMap::new();
        for (name, value) in signed_at(id, NOW, SECRET, body).headers {
            headers.insert(name, value.parse().unwrap());
        }
        let now = Timestamp::from_seconds(NOW);
        let message = source.verify(&headers, body.into(), now).unwrap();
        match source.read(message, now).unwrap() {
            ReadMessage::Delivery(delivery) => delivery,
            ReadMessage::NotAboutUsers { .. } => panic!("{body} says nothing of users"),
        }
    }
}

fn deletion(person: &Person) -> Value {
    json!({"type": "user.deleted", "timestamp": person.latest, "data": {"id": person.id, "deleted": true}})
}

fn upsert(random: &mut Random, person: &Person, is_new: bool) -> Value {
    // One in four arrives late: it is older than the last one.
    let late = if random.one_in(4) { i64::try_from(random.below(20)).unwrap() } else { 0 };
    let word = |random: &mut Random| format!("{:x}", random.below(u64::MAX));
    let mut data = Map::new();
    data.insert("id".to_owned(), json!(person.id));
    data.insert("created_at".to_owned(), json!(NOW * 1000));
    data.insert("updated_at".to_owned(), json!((person.latest - late).max(NOW * 1000)));
    for key in ["first_name", "last_name", "username", "image_url"] {
        if !random.one_in(4) {
            let value = if random.one_in(8) { Value::Null } else { json!(word(random)) };
            data.insert(key.to_owned(), value);
        }
    }
    if random.one_in(2) {
        let length = usize::try_from(random.below(2000)).unwrap();
        data.insert("public_metadata".to_owned(), json!({"note": "x".repeat(length), "n": word(random)}));
    }
    if random.one_in(2) {
        let address = format!("{}@example.com", word(random));
        data.insert("primary_email_address_id".to_owned(), json!("idn_1"));
        data.insert("email_addresses".to_owned(), json!([{"id": "idn_1", "email_address": address}]));
    }
    json!({"type": if is_new { "user.created" } else { "user.updated" }, "data": data})
}
