//! What was sent, what was acknowledged, and every answer that is not allowed.
#![expect(clippy::print_stderr, reason = "a violation is printed at once")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::history::{History, Kind, Message};
use super::http::Answer;
use super::random::Random;

/// How soon everybody sees what was acknowledged: a row is cached for a second at most.
const SEEN_AFTER: Duration = Duration::from_secs(5);
/// How many violations are printed at once.
const MOST_PRINTED: u64 = 10;
/// How many violations are kept in words.
const MOST_VIOLATIONS: usize = 50;

/// The record of a run. Clones share it.
#[derive(Clone)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

pub(super) struct Book {
    pub(super) history: History,
    pub(super) random: Random,
    pub(super) sent: Vec<Sent>,
    /// What is sent, or sent again, when its time has come.
    waiting: BinaryHeap<Reverse<(Instant, u32)>>,
    pub(super) counts: Counts,
    /// Users of whom something other than a deletion was acknowledged.
    known: HashMap<u32, Instant>,
    deleted: HashMap<u32, Instant>,
    pub(super) violations: Vec<String>,
    pub(super) violated: u64,
}

/// A message, and what is known of it.
pub(super) struct Sent {
    pub(super) message: Message,
    /// An answer has confirmed the commit.
    pub(super) acknowledged: bool,
    /// Of the answer that was not `duplicate`; there may be one such answer.
    pub(super) outcome: Option<&'static str>,
}

/// Counts of what happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Deliveries, by the outcome of the answer.
    pub(super) acknowledged: BTreeMap<&'static str, u64>,
    /// Answers that are not 2xx, by the kind of request and the status.
    pub(super) refused: BTreeMap<(&'static str, u16), u64>,
    pub(super) unanswered: BTreeMap<&'static str, u64>,
    /// Everything else that was counted, by its name.
    pub(super) others: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(super) fn deliveries(&self) -> u64 {
        self.acknowledged.values().sum()
    }
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        let history = History::new(Random::new(seed));
        let random = Random::new(seed.wrapping_add(1));
        Self(Arc::new(Mutex::new(Book {
            history,
            random,
            sent: Vec::new(),
            waiting: BinaryHeap::new(),
            counts: Counts::default(),
            known: HashMap::new(),
            deleted: HashMap::new(),
            violations: Vec::new(),
            violated: 0,
        })))
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn violation(&self, what: impl Into<String>) {
        self.open().violation(what.into());
    }

    pub(super) fn count(&self, what: &'static str) {
        *self.open().counts.others.entry(what).or_default() += 1;
    }
}

impl Book {
    pub(super) fn violation(&mut self, what: String) {
        self.violated += 1;
        if self.violated <= MOST_PRINTED {
            eprintln!("  VIOLATION: {what}");
        }
        if self.violations.len() < MOST_VIOLATIONS {
            self.violations.push(what);
        }
    }

    /// What to send next: what waits and is due, else something new.
    pub(super) fn next(&mut self) -> Message {
        if let Some(message) = self.due() {
            return message;
        }
        // A provider repeats some messages that were answered: the answer was lost.
        if !self.sent.is_empty() && self.random.one_in(20) {
            let index = self.random.index(self.sent.len());
            if self.sent[index].acknowledged {
                return self.sent[index].message;
            }
        }
        let message = self.history.next_message();
        self.sent.push(Sent { message, acknowledged: false, outcome: None });
        // Some are late: later ones overtake them. Some are sent twice at the same time.
        if self.random.one_in(15) {
            self.wait(message.number, 2_000, 60_000);
            return self.next();
        }
        if self.random.one_in(20) {
            self.wait(message.number, 0, 1);
        }
        message
    }

    fn due(&mut self) -> Option<Message> {
        let &Reverse((at, number)) = self.waiting.peek()?;
        (at <= Instant::now()).then_some(())?;
        self.waiting.pop();
        Some(self.message(number))
    }

    /// Everything that waits, due or not.
    pub(super) fn take_waiting(&mut self) -> Vec<Message> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().map(|Reverse((_, number))| self.message(number)).collect()
    }

    fn message(&self, number: u32) -> Message {
        self.sent[number as usize].message
    }

    fn wait(&mut self, number: u32, from: u64, to: u64) {
        let at = Instant::now() + self.random.milliseconds(from, to);
        self.waiting.push(Reverse((at, number)));
    }

    /// A delivery that was not acknowledged: most are sent again, some never.
    pub(super) fn failed(&mut self, message: &Message) {
        if self.random.one_in(50) {
            *self.counts.others.entry("deliveries given up by the sender").or_default() += 1;
        } else {
            self.wait(message.number, 1_000, 10_000);
        }
    }

    /// A delivery was answered 200.
    pub(super) fn acknowledged(&mut self, message: &Message, was_acknowledged: bool, answer: &Answer) {
        let id = message.id();
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let outcomes = ["applied", "stale", "parked", "duplicate", "ignored"];
        let Some(outcome) = outcomes.into_iter().find(|outcome| body["outcome"] == *outcome) else {
            return self.violation(format!("{id} was answered {answer:?}"));
        };
        *self.counts.acknowledged.entry(outcome).or_default() += 1;
        let allowed: &[&str] = match message.kind {
            Kind::Session => &["ignored"],
            Kind::Unreadable => &["parked", "duplicate"],
            Kind::Created | Kind::Updated | Kind::Deleted => &["applied", "stale", "duplicate"],
        };
        if !allowed.contains(&outcome) {
            self.violation(format!("{id}, {:?}, was answered {outcome}", message.kind));
        }
        let now = Instant::now();
        match message.kind {
            Kind::Created | Kind::Updated => drop(self.known.entry(message.user).or_insert(now)),
            Kind::Deleted => drop(self.deleted.entry(message.user).or_insert(now)),
            Kind::Unreadable | Kind::Session => {}
        }
        let sent = &mut self.sent[message.number as usize];
        sent.acknowledged = true;
        if matches!(outcome, "duplicate" | "ignored") {
            return;
        }
        let earlier = sent.outcome.replace(outcome);
        if was_acknowledged || earlier.is_some() {
            self.violation(format!(
                "{id} was acknowledged as {earlier:?}, and then taken again as {outcome}"
            ));
        }
    }

    /// What the answer about a user must be, as far as that is certain: 200 or 410, or 410 alone.
    pub(super) fn certain_statuses(&self, user: u32) -> &'static [u16] {
        let is_seen = |since: Option<&Instant>| since.is_some_and(|since| since.elapsed() > SEEN_AFTER);
        if is_seen(self.deleted.get(&user)) {
            &[410]
        } else if is_seen(self.known.get(&user)) {
            &[200, 410]
        } else {
            &[200, 404, 410]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: &str) -> Answer {
        Answer::of(200, &format!(r#"{{"outcome":"{outcome}"}}"#))
    }

    #[test]
    fn a_delivery_is_taken_once() {
        let ledger = Ledger::new(7);
        let mut book = ledger.open();
        let message = book.next();
        book.acknowledged(&message, false, &answer("applied"));
        book.acknowledged(&message, true, &answer("duplicate"));
        assert_eq!(book.violations, Vec::<String>::new());
        book.acknowledged(&message, true, &answer("applied"));
        assert_eq!(book.violations.len(), 1);
        book.acknowledged(&message, true, &answer("parked"));
        assert_eq!(book.violations.len(), 3, "it can be read, and it was taken before");
    }
}
