//! The histories of some users, as a provider sends them. A message is small: its body is made whenever it is sent.

use serde_json::{Map, Value, json};

use super::random::Random;

/// How many users exist, or were deleted not long ago.
const USERS: usize = 200;
/// The provider's time of the first message, in milliseconds.
const BEGINNING: i64 = 1_767_225_600_000;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Created,
    Updated,
    Deleted,
    /// Something about the user that cannot be read: it is parked.
    Unreadable,
    /// Not about users: it is acknowledged, and not stored.
    Session,
}

/// A message of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) number: u32,
    pub(super) user: u32,
    pub(super) kind: Kind,
    /// The provider's time of the change.
    stamp: i64,
    /// Of the values in its body.
    seed: u64,
}

/// Makes one message after the other.
pub(super) struct History {
    random: Random,
    users: Vec<Person>,
    born: u32,
    messages: u32,
}

struct Person {
    number: u32,
    /// The provider's time of the last message; 0 if there was none.
    latest: i64,
    /// How many messages still come about a user that was deleted.
    afterwards: Option<u64>,
}

/// The user's id at the provider.
pub(super) fn user_id(user: u32) -> String {
    format!("user_soak_{user:07}")
}

impl History {
    pub(super) fn new(random: Random) -> Self {
        Self { random, users: Vec::new(), born: 0, messages: 0 }
    }

    /// How many users there were until now; the next one has this number.
    pub(super) fn born(&self) -> u32 {
        self.born
    }

    pub(super) fn next_message(&mut self) -> Message {
        let number = self.messages;
        self.messages += 1;
        if self.users.len() < USERS && (self.users.is_empty() || self.random.one_in(4)) {
            self.users.push(Person { number: self.born, latest: 0, afterwards: None });
            self.born += 1;
        }
        let index = self.random.index(self.users.len());
        let random = &mut self.random;
        let seed = random.number();
        let person = &mut self.users[index];
        let message =
            |kind, stamp, person: &Person| Message { number, user: person.number, kind, stamp, seed };
        if random.one_in(200) {
            let kind = if random.one_in(2) { Kind::Unreadable } else { Kind::Session };
            return message(kind, person.latest, person);
        }
        let is_new = person.latest == 0;
        // Sometimes the time does not advance, and two changes have the same stamp.
        let step = i64::try_from(random.below(4)).unwrap_or(0);
        person.latest = if is_new { BEGINNING } else { person.latest + step };
        // One in four arrives late: it is older than the last one.
        let late = if random.one_in(4) { i64::try_from(random.below(20)).unwrap_or(0) } else { 0 };
        let stamp = (person.latest - late).max(BEGINNING);
        match &mut person.afterwards {
            None if !is_new && random.one_in(40) => {
                person.afterwards = Some(random.below(6));
                message(Kind::Deleted, person.latest, person)
            }
            Some(0) => {
                let person = self.users.swap_remove(index);
                message(Kind::Deleted, person.latest, &person)
            }
            Some(left) => {
                *left -= 1;
                message(Kind::Updated, stamp, person)
            }
            None if is_new => message(Kind::Created, BEGINNING, person),
            None => message(Kind::Updated, stamp, person),
        }
    }
}

impl Message {
    /// As the provider repeats it with every attempt.
    pub(super) fn id(&self) -> String {
        format!("msg_soak_{:08}", self.number)
    }

    /// The number in an id.
    pub(super) fn number_of(id: &str) -> Option<u32> {
        id.strip_prefix("msg_soak_")?.parse().ok()
    }

    /// The same with every call.
    pub(super) fn body(&self) -> String {
        let id = user_id(self.user);
        let body = match self.kind {
            Kind::Created => json!({"type": "user.created", "data": self.data(&id)}),
            Kind::Updated => json!({"type": "user.updated", "data": self.data(&id)}),
            Kind::Deleted => {
                json!({"type": "user.deleted", "timestamp": self.stamp, "data": {"id": id, "deleted": true}})
            }
            Kind::Unreadable => json!({"type": "user.updated", "data": {"id": id, "first_name": 7}}),
            Kind::Session => json!({"type": "session.created", "data": {"id": "sess_1", "user_id": id}}),
        };
        body.to_string()
    }

    fn data(&self, id: &str) -> Map<String, Value> {
        let mut random = Random::new(self.seed);
        let word = |random: &mut Random| format!("{:x}", random.number());
        let mut data = Map::new();
        data.insert("id".to_owned(), json!(id));
        data.insert("created_at".to_owned(), json!(BEGINNING));
        data.insert("updated_at".to_owned(), json!(self.stamp));
        for key in ["first_name", "last_name", "username", "image_url"] {
            if !random.one_in(4) {
                let value = if random.one_in(8) { Value::Null } else { json!(word(&mut random)) };
                data.insert(key.to_owned(), value);
            }
        }
        if random.one_in(2) {
            let note = "x".repeat(random.index(2000));
            data.insert("public_metadata".to_owned(), json!({"note": note, "n": word(&mut random)}));
        }
        if random.one_in(2) {
            let address = format!("{}@example.com", word(&mut random));
            data.insert("primary_email_address_id".to_owned(), json!("idn_1"));
            data.insert("email_addresses".to_owned(), json!([{"id": "idn_1", "email_address": address}]));
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_always_has_the_same_body() {
        let mut history = History::new(Random::new(7));
        for number in 0..5000 {
            let message = history.next_message();
            assert_eq!(message.number, number);
            assert_eq!(message.body(), message.body());
            assert_eq!(Message::number_of(&message.id()), Some(number));
        }
        assert!(history.born() > 200, "users are deleted, and others are born");
    }
}
